package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// AnnounceConfig is the configuration of an Announcer.
type AnnounceConfig struct {
	// Registry is where the peer is announced. It is required.
	Registry Registry
	// Service is the name of the service. It is required.
	Service string
	// Addrs are the addresses that are announced, as Peer.Dial takes them, in place
	// of those that the peer listens on: behind a load balancer or a translation of
	// addresses, or for an address with a scheme. Default: those of Peer.Addrs.
	Addrs []string
	// Host takes the place of an unspecified host, such as that of 0.0.0.0:9090,
	// when Addrs is empty. Default: the first address of the machine that is not
	// its own loopback or link, IPv4 before IPv6.
	Host string
	// Weight, Priority and Meta are those of the instances.
	Weight, Priority int
	// Meta are values of the user's own.
	Meta map[string]string
	// TTL is after how long without a sign of life the registry forgets the peer.
	// It is that of a program that died: one that shuts down withdraws. Default:
	// 15 s.
	TTL time.Duration
	// Timeout bounds each request to the registry, and the withdrawal. Default: 3 s.
	Timeout time.Duration
	// OnError is told what the registry refused; it is tried again, after 200 ms
	// at first and 10 s at most. Default: a warning of the log.
	OnError func(error)
}

// Defaults of AnnounceConfig.
const (
	defaultTTL             = 15 * time.Second
	defaultAnnounceTimeout = 3 * time.Second
	maxAnnouncePause       = 10 * time.Second
)

// Announcer is the plugin of a peer that announces its addresses and routes: as soon
// as it listens, again whenever a route is added or the registry has lost it, and
// until the peer shuts down. Then it withdraws before the listeners are closed and
// the sessions drained, so that clients turn to others while this one still serves
// them. An outage of the registry never keeps the peer from serving.
//
// It belongs to one peer. From PostListen to PreShutdown it has one goroutine, and one
// for each address that waits for the loss of its lease.
type Announcer struct {
	cfg  AnnounceConfig
	id   string // of this process, before the address
	life context.Context
	die  context.CancelFunc
	news chan struct{} // there may be something to do

	mu      sync.Mutex // protects following
	peer    *tp.Peer   // nil as long as it does not listen
	stopped bool       // PreShutdown has begun
	routes  map[string]bool
	done    chan struct{} // closed when the goroutine has ended

	// Of the goroutine, and of PreShutdown after it.
	held map[string]*announcement // by ID
}

var (
	_ tp.PostRegPlugin     = new(Announcer)
	_ tp.PostListenPlugin  = new(Announcer)
	_ tp.PreShutdownPlugin = new(Announcer)
)

// announcement is an instance that is registered.
type announcement struct {
	instance Instance
	lease    Lease
}

// Announce returns the plugin, for tp.NewPeer. It copies cfg, and panics when
// Registry or Service is missing or the Service cannot be one.
func Announce(cfg AnnounceConfig) *Announcer {
	if cfg.Registry == nil {
		panic("registry: AnnounceConfig.Registry is nil")
	}
	if err := (Instance{Service: cfg.Service, Addr: "any", Weight: cfg.Weight}).Validate(); err != nil {
		panic(err.Error() + " (AnnounceConfig)")
	}
	if cfg.TTL <= 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultAnnounceTimeout
	}
	if cfg.OnError == nil {
		cfg.OnError = func(err error) { tp.Warnf("registry: announcing %s: %v", cfg.Service, err) }
	}
	cfg.Addrs = append([]string(nil), cfg.Addrs...)
	a := &Announcer{cfg: cfg, id: rand.Text()[:16], news: make(chan struct{}, 1), done: make(chan struct{}), routes: make(map[string]bool), held: make(map[string]*announcement)}
	a.life, a.die = context.WithCancel(context.Background())
	return a
}

// Name returns "registry".
func (a *Announcer) Name() string { return "registry" }

// PostReg announces the route. It is remembered, since the router has it only after
// this hook.
func (a *Announcer) PostReg(h *tp.Handler) *tp.Rerror {
	a.mu.Lock()
	a.routes[routeOf(h)] = true
	a.mu.Unlock()
	a.tell()
	return nil
}

// PostListen announces the address. It does not wait for the registry.
func (a *Announcer) PostListen(ctx tp.PeerCtx) *tp.Rerror {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped:
		return nil
	case a.peer == nil:
		a.peer = ctx.Peer()
		go a.run() // ended and waited for by PreShutdown
	case a.peer != ctx.Peer():
		return tp.NewRerror(tp.CodeInternalServerError, "an Announcer belongs to one peer: make one for each")
	}
	a.tell()
	return nil
}

// PreShutdown withdraws what was announced, within AnnounceConfig.Timeout and the
// context of the shutdown.
func (a *Announcer) PreShutdown(ctx tp.PeerCtx) *tp.Rerror {
	a.mu.Lock()
	if a.peer != nil && a.peer != ctx.Peer() { // one that was refused
		a.mu.Unlock()
		return nil
	}
	running := a.peer != nil && !a.stopped
	a.stopped = true
	a.mu.Unlock()
	a.die()
	if !running {
		return nil
	}
	<-a.done
	bound, cancel := context.WithTimeout(ctx.Context(), a.cfg.Timeout)
	defer cancel()
	var errs []error
	for _, h := range a.held {
		errs = append(errs, h.lease.Withdraw(bound))
	}
	if err := errors.Join(errs...); err != nil {
		return tp.NewRerror(tp.CodeInternalServerError, "not withdrawn from the registry, which forgets it by itself after "+a.cfg.TTL.String(), err.Error())
	}
	return nil
}

// tell wakes the goroutine.
func (a *Announcer) tell() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// run is the goroutine that keeps the registry right.
func (a *Announcer) run() {
	defer close(a.done)
	var watching sync.WaitGroup
	defer watching.Wait()
	pauses := backoff{most: maxAnnouncePause}
	for {
		var again <-chan time.Time
		var err error
		if gone := outside("Registry.Register", func() { err = a.announce(&watching) }); gone != nil {
			err = gone
		}
		switch {
		case a.life.Err() != nil:
			return
		case err != nil:
			_ = outside("AnnounceConfig.OnError", func() { a.cfg.OnError(err) })
			again = time.After(pauses.next())
		default:
			pauses.reset()
		}
		// Many routes may come at once, and a registry may lose each lease at once.
		select {
		case <-time.After(minPause):
		case <-a.life.Done():
			return
		}
		select {
		case <-a.news:
		case <-again:
		case <-a.life.Done():
			return
		}
	}
}

// announce registers what is not registered, or not as it is now, and withdraws what
// is no more.
func (a *Announcer) announce(watching *sync.WaitGroup) error {
	instances, err := a.instances()
	errs := []error{err}
	wanted := make(map[string]bool)
	for _, i := range instances {
		wanted[i.ID] = true
		old := a.held[i.ID]
		if old != nil && old.instance.Equal(i) && !isClosed(old.lease.Done()) {
			continue
		}
		lease, err := a.register(i)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", i.Addr, err))
			continue
		}
		if old != nil {
			a.withdraw(old)
		}
		a.held[i.ID] = &announcement{i, lease}
		watching.Go(func() {
			select {
			case <-lease.Done():
				a.tell()
			case <-a.life.Done():
			}
		})
	}
	for id, h := range a.held {
		if !wanted[id] && err == nil {
			a.withdraw(h)
			if a.life.Err() != nil {
				break // perhaps in vain: PreShutdown does it again
			}
			delete(a.held, id)
		}
	}
	return errors.Join(errs...)
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func (a *Announcer) register(i Instance) (Lease, error) {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.Timeout)
	defer cancel()
	return a.cfg.Registry.Register(ctx, i, a.cfg.TTL)
}

// withdraw gives up a lease that is of no more use: if that fails, it runs out.
func (a *Announcer) withdraw(h *announcement) {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.Timeout)
	defer cancel()
	_ = h.lease.Withdraw(ctx)
}

// instances returns what is to be announced now.
func (a *Announcer) instances() ([]Instance, error) {
	addrs := a.cfg.Addrs
	if len(addrs) == 0 {
		var err error
		if addrs, err = a.listened(); err != nil {
			return nil, err
		}
	}
	routes := a.allRoutes()
	all := make([]Instance, 0, len(addrs))
	for _, addr := range addrs {
		all = append(all, Instance{
			Service: a.cfg.Service, ID: a.id + "-" + addr, Addr: addr,
			Weight: a.cfg.Weight, Priority: a.cfg.Priority, Routes: routes, Meta: a.cfg.Meta,
		}.WithDefaults())
	}
	return all, nil
}

// listened returns the addresses that the peer listens on, as others dial them.
func (a *Announcer) listened() ([]string, error) {
	var addrs []string
	for _, l := range a.peer.Addrs() {
		addr := l.String()
		if l.Network() == "unix" {
			addrs = append(addrs, "unix://"+addr)
			continue
		}
		at, err := netip.ParseAddrPort(addr)
		if err == nil && at.Addr().IsUnspecified() {
			host, err := a.host()
			if err != nil {
				return nil, err
			}
			addr = net.JoinHostPort(host, fmt.Sprint(at.Port()))
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// host returns the host that is announced in place of an unspecified one.
func (a *Announcer) host() (string, error) {
	if a.cfg.Host != "" {
		return a.cfg.Host, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("registry: no address of this machine, set AnnounceConfig.Host: %w", err)
	}
	if host := hostOf(addrs); host != "" {
		return host, nil
	}
	return "", errors.New("registry: this machine has no address that others could dial: set AnnounceConfig.Host or Addrs")
}

// hostOf returns the first address that others may reach, IPv4 before IPv6, or "".
func hostOf(addrs []net.Addr) (host string) {
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr().String()
		}
		if host == "" {
			host = prefix.Addr().String()
		}
	}
	return host
}

// allRoutes returns what the peer serves, sorted.
func (a *Announcer) allRoutes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range []*tp.Router{a.peer.PullRouter, a.peer.PushRouter} {
		for _, h := range r.Handlers() {
			a.routes[routeOf(h)] = true
		}
	}
	return slices.Sorted(maps.Keys(a.routes))
}

// routeOf returns a path with its kind: see Instance.Routes.
func routeOf(h *tp.Handler) string {
	path := h.Name()
	if h.IsUnknown() {
		path = strings.TrimSuffix(path, "/") + "/*"
	}
	if h.IsPull() {
		return "pull " + path
	}
	return "push " + path
}
