package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/internal/usercode"
	"github.com/henrylee2cn/teleport/socket"
)

// ClientConfig is the configuration of a Client.
type ClientConfig struct {
	// Registry is where the members of the service are found. It is required.
	Registry Registry
	// Service is the name of the service. It is required.
	Service string
	// Choice says which member gets a call. Default: RoundRobin.
	Choice Choice
	// Attempts is on how many sessions one call is tried at most. Default: 3; 1 is no
	// failover.
	Attempts int
	// WaitTimeout bounds how long a call waits while no member has a connection,
	// beside the context of the call. Default: 10 s. Negative: it does not wait.
	WaitTimeout time.Duration
	// PullTimeout bounds a pull, its attempts and its waiting together, beside the
	// context of the call. Default: none; PeerConfig.DefaultPullTimeout bounds each
	// attempt.
	PullTimeout time.Duration
	// ProtoFunc is the packet format of the sessions, as for Peer.Dial.
	ProtoFunc []socket.ProtoFunc
	// OnError is told what the registry says is wrong, and which member cannot be
	// dialled; for each, only the first of several failures in a row. All is tried
	// again. It must not block. Default: a warning of the log.
	OnError func(error)
}

// Defaults of ClientConfig.
const (
	defaultAttempts    = 3
	defaultWaitTimeout = 10 * time.Second
	maxWatchPause      = 10 * time.Second
)

// healthPause is how often a call that waits looks whether a session which dials again
// by itself has a connection: none tells that.
const healthPause = 50 * time.Millisecond

// Client calls a service: it keeps one session with each address that the registry
// has, and sends each call over one of them. A session whose connection is lost, or
// whose other side is going away, gets no calls, and the address is dialled again. An
// address that the registry has no more gets no more calls, and its session is
// drained. It is safe for concurrent use, and must be closed, before its peer.
//
// A pull that failed without having been sent or executed, or whose connection was
// lost and that is marked with tp.WithIdempotent, is sent over another session, within
// its deadline. So is a push that was not sent.
//
// The sessions are those of the peer: its plugins see them, its handlers serve what
// the members call. PeerConfig.RedialTimes is best left 0: the Client dials again by
// itself, and a session that does so too holds up a call which meets it at the moment
// its connection is lost.
//
// It has one goroutine that watches the registry, and one for each member.
type Client struct {
	peer    *tp.Peer
	cfg     ClientConfig
	life    context.Context
	die     context.CancelFunc
	running sync.WaitGroup // its goroutines

	mu      sync.Mutex // protects following
	members []*member  // sorted by address
	chooser chooser
	news    notice.Notice // there are other members, or one has a session
	failing error         // what the registry said last
}

var _ tp.Puller = new(Client) // for tp.Pull

// NewClient returns a client of the service, which dials with the peer. It copies cfg
// and does not wait for the registry: the first calls do.
func NewClient(peer *tp.Peer, cfg ClientConfig) (*Client, error) {
	switch {
	case peer == nil:
		return nil, errors.New("registry: NewClient: the peer is nil")
	case cfg.Registry == nil:
		return nil, errors.New("registry: ClientConfig.Registry is nil")
	case cfg.Service == "":
		return nil, errors.New("registry: ClientConfig.Service is empty")
	case !cfg.Choice.isKnown():
		return nil, fmt.Errorf("registry: ClientConfig.Choice = %q: there is none of that name", cfg.Choice)
	case cfg.Attempts < 0:
		return nil, fmt.Errorf("registry: ClientConfig.Attempts = %d: it cannot be negative", cfg.Attempts)
	}
	if cfg.Attempts == 0 {
		cfg.Attempts = defaultAttempts
	}
	if cfg.WaitTimeout == 0 {
		cfg.WaitTimeout = defaultWaitTimeout
	}
	if cfg.OnError == nil {
		cfg.OnError = func(err error) { tp.Warnf("%v", err) }
	}
	c := &Client{peer: peer, cfg: cfg, chooser: chooser{choice: cfg.Choice}}
	c.life, c.die = context.WithCancel(context.Background())
	c.running.Go(c.watch)
	return c, nil
}

// Close ends the client: calls are refused, and its sessions are closed, each as
// Session.Close does: what is under way is finished in the background. Closing again
// does nothing. The error is always nil.
func (c *Client) Close() error {
	c.die()
	c.running.Wait()
	return nil
}

// Member is an address of the service, as a client sees it.
type Member struct {
	Instance
	// Healthy reports whether it has a session that takes calls.
	Healthy bool
	// Pending is how many pulls of the client are under way on it.
	Pending int
}

// Members returns the members, sorted by address.
func (c *Client) Members() []Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Member, 0, len(c.members))
	for _, m := range c.members {
		all = append(all, Member{m.instance.WithDefaults(), m.session() != nil, int(m.pending.Load())})
	}
	return all
}

// report tells the user of an error.
func (c *Client) report(format string, args ...any) {
	err := fmt.Errorf("registry: service %s: "+format, append([]any{c.cfg.Service}, args...)...)
	_ = outside("ClientConfig.OnError", func() { c.cfg.OnError(err) })
}

// outside calls code of the user, and logs if it does not return.
func outside(what string, fn func()) error {
	gone := usercode.Call(fn)
	if gone != nil {
		tp.Errorf("registry: %s: %s", what, usercode.Trace(gone))
	}
	return gone
}

func (c *Client) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news.Tell()
}

// watch is the goroutine that keeps the members as the registry has them.
func (c *Client) watch() {
	pauses := backoff{most: maxWatchPause}
	for {
		begun := time.Now()
		var err error
		if gone := outside("Registry.Watch", func() { err = c.cfg.Registry.Watch(c.life, c.cfg.Service, c.update) }); gone != nil {
			err = gone
		}
		if c.life.Err() != nil {
			return
		}
		c.fail(err)
		if time.Since(begun) >= maxWatchPause { // it went well for a while
			pauses.reset()
		}
		select {
		case <-time.After(pauses.next()):
		case <-c.life.Done():
			return
		}
	}
}

// fail notes what is wrong with the registry; nil is nothing.
func (c *Client) fail(err error) {
	c.mu.Lock()
	before := c.failing
	c.failing = err
	c.mu.Unlock()
	if err != nil && (before == nil || before.Error() != err.Error()) {
		c.report("%w", err)
	}
}

// update makes the members those of the registry.
func (c *Client) update(instances []Instance, err error) {
	c.fail(err)
	wanted := make(map[string]Instance, len(instances))
	for _, i := range instances {
		if _, twice := wanted[i.Addr]; i.Addr != "" && !twice { // two servers, of which one takes over
			wanted[i.Addr] = i.WithDefaults()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return
	}
	members := make([]*member, 0, len(wanted))
	for _, m := range c.members {
		if i, ok := wanted[m.addr]; ok {
			m.instance = i
			members = append(members, m)
			delete(wanted, m.addr)
		} else {
			m.remove()
		}
	}
	for addr, i := range wanted {
		m := &member{client: c, addr: addr, instance: i, lapsed: make(chan struct{}, 1)}
		m.life, m.remove = context.WithCancel(c.life)
		c.running.Add(1)
		go m.run()
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b *member) int { return strings.Compare(a.addr, b.addr) })
	c.members = members
	c.news.Tell()
}

// choose returns a member and its session, none of those that were tried, and waits
// until there is one. The call counts as pending on the member. If all that have a
// connection were tried, it returns neither.
func (c *Client) choose(ctx context.Context, key string, tried []tp.Session) (*member, tp.Session, *tp.Rerror) {
	var late <-chan time.Time
	for {
		m, sess, connected, news := c.pick(key, tried)
		switch {
		case c.life.Err() != nil:
			return nil, nil, notSent(tp.CodeConnClosed, "the client of service %s is closed", c.cfg.Service)
		case m != nil || connected:
			return m, sess, nil
		case c.cfg.WaitTimeout < 0:
			return nil, nil, c.noMember()
		case late == nil:
			late = time.After(c.cfg.WaitTimeout)
		}
		select {
		case <-news:
		case <-time.After(healthPause):
		case <-late:
			return nil, nil, c.noMember()
		case <-c.life.Done():
		case <-ctx.Done():
			rerr := c.noMember()
			return nil, nil, notSent(tp.ToRerror(ctx.Err()).Code, "%s", strings.TrimPrefix(rerr.Detail, notSentPrefix))
		}
	}
}

// pick returns a member that takes calls and was not tried, whether any takes calls,
// and what tells of a change.
func (c *Client) pick(key string, tried []tp.Session) (chosen *member, sess tp.Session, connected bool, news <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news = c.news.Wait()
	able := make([]*member, 0, len(c.members))
	sessions := make([]tp.Session, 0, len(c.members)) // theirs
	for _, m := range c.members {
		s := m.session()
		if s == nil {
			continue
		}
		connected = true
		if slices.Contains(tried, s) {
			continue
		}
		if len(able) > 0 && m.instance.Priority < able[0].instance.Priority {
			able, sessions = able[:0], sessions[:0]
		}
		if len(able) == 0 || m.instance.Priority == able[0].instance.Priority {
			able, sessions = append(able, m), append(sessions, s)
		}
	}
	if len(able) == 0 {
		return nil, nil, connected, news
	}
	chosen = c.chooser.choose(able, key)
	chosen.pending.Add(1)
	return chosen, sessions[slices.Index(able, chosen)], true, news
}

// What the Detail of an error begins with if the call was not sent: see
// tp.Rerror.MaybeSent.
const notSentPrefix = "not sent: "

func notSent(code int32, format string, args ...any) *tp.Rerror {
	return tp.NewRerror(code, tp.CodeText(code), notSentPrefix+fmt.Sprintf(format, args...))
}

// noMember is the error of a call that found no member.
func (c *Client) noMember() *tp.Rerror {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("none of the %d members of service %s has a connection", len(c.members), c.cfg.Service)
	if c.failing != nil {
		text += "; the registry: " + c.failing.Error()
	}
	return notSent(tp.CodeDialFailed, "%s", text)
}
