package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

type (
	// Launcher pulls and pushes. A tp.Session is one, and so is whatever chooses
	// a session for each call.
	Launcher interface {
		// Pull is that of tp.Session.
		Pull(uri string, args interface{}, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd
		// Push is that of tp.Session.
		Push(uri string, args interface{}, setting ...socket.PacketSetting) *tp.Rerror
	}
	// BackendFunc chooses where a pull or push of a client goes. An error answers
	// the pull. It is called by many goroutines, and may take its time: of pushes,
	// those of the same client wait behind it.
	BackendFunc func(ctx tp.UnknownPushCtx) (Launcher, *tp.Rerror)
)

// Config is that of a Proxy.
type Config struct {
	// Backend chooses the backend. It is required. Pushes of one client keep their
	// order if they go to the same session.
	Backend BackendFunc
	// ID is the name of this proxy among all that a packet may meet: letters,
	// digits and "-_.", at most 64 of them. Default: a random one.
	ID string
	// MaxHops is through how many proxies a packet may come, with this one. Default: 8.
	MaxHops int
	// MaxPulls is how many pulls may be under way through the proxy, in both
	// directions together; beyond it they are answered 503. Default: no bound but
	// those of the peers, PeerConfig.MaxHandlers.
	MaxPulls int
	// Timeout bounds a pull that is passed on, beside the deadline of its caller.
	// Default: none.
	Timeout time.Duration
	// TrustedProxies are the addresses of clients that are proxies themselves: their
	// X-Real-IP and X-Proxy-Client are believed. Default: none.
	TrustedProxies []netip.Prefix
	// Logger is told of pushes that are dropped, once a second at most. Default: that
	// of tp.SetLogger.
	Logger tp.Logger
}

const (
	defaultMaxHops = 8
	maxIDLen       = 64
)

// Proxy passes pulls and pushes on. It is safe for concurrent use, has no goroutine,
// and needs no closing.
type Proxy struct {
	cfg     Config
	clients clients
	drops   drops

	mu     sync.Mutex // protects following
	fronts map[*tp.Peer]bool
	backs  map[*tp.Peer]bool

	pulls                        atomic.Int64
	toBackend, toClient          atomic.Uint64
	loops, busy, failed, dropped atomic.Uint64
}

var _ tp.PostDisconnectPlugin = new(Proxy)

// New returns a Proxy, and panics if a field of cfg cannot work.
func New(cfg Config) *Proxy {
	if cfg.Backend == nil {
		panic("proxy: Config.Backend is nil: nobody says where pulls and pushes go")
	}
	if cfg.MaxHops < 0 || cfg.MaxPulls < 0 || cfg.Timeout < 0 {
		panic(fmt.Sprintf("proxy: Config.MaxHops = %d, MaxPulls = %d, Timeout = %v: none can be negative", cfg.MaxHops, cfg.MaxPulls, cfg.Timeout))
	}
	if cfg.MaxHops == 0 {
		cfg.MaxHops = defaultMaxHops
	}
	if cfg.ID == "" {
		cfg.ID = randomID()
	}
	if len(cfg.ID) > maxIDLen || !isID(cfg.ID) {
		panic(fmt.Sprintf("proxy: Config.ID = %q: it has letters, digits and \"-_.\", at most %d of them", cfg.ID, maxIDLen))
	}
	cfg.TrustedProxies = append([]netip.Prefix(nil), cfg.TrustedProxies...)
	return &Proxy{cfg: cfg, fronts: make(map[*tp.Peer]bool), backs: make(map[*tp.Peer]bool)}
}

// randomID returns 12 characters that nobody can guess.
func randomID() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func isID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

// Name returns "proxy" and the id.
func (p *Proxy) Name() string { return "proxy " + p.cfg.ID }

// ID returns the id.
func (p *Proxy) ID() string { return p.cfg.ID }

// Front makes the pulls and pushes of a peer's sessions that no handler takes go to
// backends: all of them, or those at and below the given paths. It adds the Proxy to
// the plugins of the peer. It panics if the peer is the back, or is given twice: one
// that is both could not tell clients from backends.
func (p *Proxy) Front(peer *tp.Peer, paths ...string) {
	p.note(p.fronts, p.backs, peer, "Front")
	if err := peer.PluginContainer().Add(p); err != nil {
		panic("proxy: Front: " + err.Error())
	}
	setUnknown(peer, paths, p.pullToBackend, p.pushToBackend)
}

// Back makes the pulls and pushes of a peer's sessions that no handler takes go to
// the clients that they name: see ToClient. Paths are those of Front. It panics if
// the peer is the front, or is given twice.
func (p *Proxy) Back(peer *tp.Peer, paths ...string) {
	p.note(p.backs, p.fronts, peer, "Back")
	setUnknown(peer, paths, p.pullToClient, p.pushToClient)
}

func (p *Proxy) note(side, other map[*tp.Peer]bool, peer *tp.Peer, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if side[peer] || other[peer] {
		panic("proxy: " + what + ": the peer is a front or back already: use one peer for the clients and one for the backends")
	}
	side[peer] = true
}

func setUnknown(peer *tp.Peer, paths []string, pull func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror), push func(tp.UnknownPushCtx, *[]byte)) {
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	for _, path := range paths {
		peer.PullRouter.Group(path).SetUnknown(pull)
		peer.PushRouter.Group(path).SetUnknown(push)
	}
}

// Stats is what a Proxy is doing and has done.
type Stats struct {
	// Pulls is how many pulls are under way.
	Pulls int
	// Clients is how many clients are known to backends.
	Clients int
	// ToBackend and ToClient count the pulls and pushes that were passed on, or
	// tried to be.
	ToBackend, ToClient uint64
	// Loops counts those that were refused with 508, Busy those with 503. Failed
	// counts the other pulls that the proxy answered itself, Dropped the pushes that
	// it did not pass on.
	Loops, Busy, Failed, Dropped uint64
}

// Stats returns what the Proxy is doing and has done.
func (p *Proxy) Stats() Stats {
	return Stats{
		Pulls:     int(p.pulls.Load()),
		Clients:   p.clients.count(),
		ToBackend: p.toBackend.Load(),
		ToClient:  p.toClient.Load(),
		Loops:     p.loops.Load(),
		Busy:      p.busy.Load(),
		Failed:    p.failed.Load(),
		Dropped:   p.dropped.Load(),
	}
}
