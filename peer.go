package tp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/socket"
)

// Peer is an endpoint: it listens, it dials, and on every connection both
// sides may pull and push. It is safe for concurrent use, and must be closed.
// The zero value does not work: use NewPeer.
//
// Goroutines: one for each listener, one for each session, which reads it,
// and workers, which run handlers and are reused. All end with Shutdown or
// Close.
type Peer struct {
	// PullRouter finds the handlers of pulls.
	PullRouter *Router
	// PushRouter finds the handlers of pushes.
	PushRouter *Router

	cfg         PeerConfig               // with defaults
	observes    bool                     // exchanges may be logged
	codecID     byte                     // of DefaultBodyCodec; 0 is that of the process
	allows      func(filterID byte) bool // of AllowedFilters; nil if all are
	plugins     *pluginChain
	tlsFiles    *tlsFiles    // nil without any
	spawn       func(func()) // runs a function of the library on a worker
	cmds        sync.Pool    // of *hiddenPull: see takeCmd
	readies     sync.Pool    // of chan struct{}: see takeReady
	hub         sessionHub
	keeper      *keeper
	connOptions *socket.Options // of all connections
	broadcasts  atomic.Uint64   // how many pushes were prepared
	flushes     flushQueue
	tally       tally
	drops       linePace
	strangers   linePace

	// Each exchange changes these, and only reads what lies around them.
	_        cacheLine
	pool     workerPool
	_        cacheLine
	handlers atomic.Int64 // running, of all sessions
	heldKiB  atomic.Int64 // see link.hold
	_        cacheLine

	life   context.Context // ends when Shutdown has closed the listeners
	die    context.CancelFunc
	stop   chan struct{} // closed when Shutdown begins
	killed chan struct{} // closed when the sessions are over, or are to be
	gone   chan struct{} // closed when Shutdown is over

	mu        sync.Mutex // protects following
	tls       *tls.Config
	listeners map[net.Listener]bool
	openings  openings
	ended     socket.Traffic        // of the links that are over
	sessions  map[*session]struct{} // all that are opening or have goroutines
	serving   int                   // goroutines of listeners, and what opens sessions
	accepting int                   // of those, all that do not dial
	allIn     notice.Notice         // accepting is 0
	empty     notice.Notice         // there are no sessions and serving is 0
	shutErr   error                 // of the first Shutdown; set before gone is closed
}

// cacheLine keeps what many processors change apart from what they read.
type cacheLine [64]byte

// shutdownGrace is how long Shutdown waits for sessions that it has cut off.
const shutdownGrace = time.Second

// NewPeer returns a peer with the plugins, which see every session and
// exchange. It copies cfg, and panics when cfg.Validate() has an error or two
// plugins have one name.
func NewPeer(cfg *PeerConfig, plugin ...Plugin) *Peer {
	if err := cfg.Validate(); err != nil {
		panic(err.Error())
	}
	p := &Peer{
		cfg:       cfg.withDefaults(),
		stop:      make(chan struct{}),
		killed:    make(chan struct{}),
		gone:      make(chan struct{}),
		listeners: make(map[net.Listener]bool),
		sessions:  make(map[*session]struct{}),
		drops:     linePace{of: "dropped pushes"},
		strangers: linePace{of: "connections that were not accepted"},
	}
	p.flushes.pool = &p.pool
	p.spawn = func(fn func()) { p.pool.mustStart(p.safely(fn)) } // once, not for each session
	p.life, p.die = context.WithCancel(context.Background())
	p.codecID, _ = p.cfg.bodyCodec() // Validate has found it
	p.allows, _ = parseFilters(p.cfg.AllowedFilters)
	p.observes = p.cfg.PrintBody || p.cfg.CountTime || p.cfg.SlowCometDuration > 0
	p.tlsFiles = newTLSFiles(&p.cfg, p.log)
	p.plugins = newPluginChain(p.log)
	if err := p.plugins.Add(plugin...); err != nil {
		panic(err.Error())
	}
	p.connOptions = p.sharedOptions()
	p.keeper = newKeeper(p, p.cfg.KeepAliveInterval, p.cfg.KeepAliveTimeout)
	p.PullRouter = newRouter(p, true)
	p.PushRouter = newRouter(p, false)
	process.add(p)
	return p
}

// PluginContainer returns the peer's plugins. Those that are added see what
// comes after.
func (p *Peer) PluginContainer() PluginContainer { return p.plugins }

func (p *Peer) log() Logger {
	if p.cfg.Logger != nil {
		return guardedLogger{p.cfg.Logger}
	}
	return guardedLogger{currentLogger()}
}

// defaultBodyCodec returns the id of the codec of what is sent without one.
func (p *Peer) defaultBodyCodec() byte {
	if p.codecID != codec.NilCodecId {
		return p.codecID
	}
	return socket.GetDefaultBodyCodec().Id() // SetGlobalBodyCodec may change it
}

func (p *Peer) defaultMode(isPull bool) DispatchMode {
	if isPull || p.cfg.ConcurrentPush {
		return DispatchConcurrent
	}
	return DispatchOrdered
}

// safeTask runs a function of the library and logs its panic.
type safeTask struct {
	peer *Peer
	fn   func()
}

func (p *Peer) safely(fn func()) task { return safeTask{p, fn} }

func (t safeTask) run() {
	defer func() {
		if r := recover(); r != nil {
			t.peer.log().Errorf("a task of the peer panicked: %v\n%s", r, debug.Stack())
		}
	}()
	t.fn()
}

// enter counts one more goroutine that may open sessions, unless the peer is
// closing. Who has entered must leave.
func (p *Peer) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosing() {
		return false
	}
	p.serving++
	return true
}

func (p *Peer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serving--
	p.checkEmpty()
}

// remember takes up a session, unless the peer is closing.
func (p *Peer) remember(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosing() {
		return false
	}
	p.sessions[s] = struct{}{}
	p.keeper.start()
	return true
}

func (p *Peer) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	p.checkEmpty()
}

// checkEmpty tells Shutdown. mu is held.
func (p *Peer) checkEmpty() {
	if p.isEmpty() {
		p.empty.Tell()
	}
}

func (p *Peer) isEmpty() bool { return len(p.sessions) == 0 && p.serving == 0 }

// isStopping reports whether Shutdown has begun. Mu need not be held.
func (p *Peer) isStopping() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// isClosing reports whether Shutdown is past what the listeners have accepted.
func (p *Peer) isClosing() bool {
	return p.life.Err() != nil
}

// ServeConn makes a session on a conn that the caller has. It runs the
// PostAccept plugins as for an accepted connection, adds no TLS, and returns
// while the session is served. When a plugin refuses or the peer is closed,
// the conn is closed and the session that is returned is not ok.
func (p *Peer) ServeConn(conn net.Conn, protoFunc ...socket.ProtoFunc) Session {
	if conn == nil {
		panic("tp: ServeConn: the conn is nil")
	}
	ctx, cancel := p.acceptBound(false)
	defer cancel()
	s, ok := p.accept(ctx, conn, protoFunc)
	if !ok {
		p.tally.refuse(refusedAccept)
	} else {
		go s.serve(s.link()) // counted by p.sessions
	}
	return s
}

// accept makes an open session of an accepted conn, unless ctx ends before.
func (p *Peer) accept(ctx context.Context, conn net.Conn, protoFunc []socket.ProtoFunc) (s *session, ok bool) {
	s = p.newSession(conn, protoFunc)
	s.id = s.RemoteIp()
	if !p.remember(s) {
		s.phase.Store(phaseClosing)
		_ = conn.Close()
		s.tellOver()
		return s, false
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = s.cutOpening() })()
	}
	if rerr := s.open(p.plugins.PostAccept); rerr != nil {
		if rerr.Code == CodeConnClosed && s.link().conn.BytesRead() == 0 { // a load balancer that looks whether the port is open
			p.log().Debugf("session %s: not accepted: %v", s.Id(), rerr)
		} else {
			p.strangers.warn(p.log(), "session %s: not accepted: %v", s.Id(), rerr)
		}
		return s, false
	}
	p.tally.accepted.Add(1)
	return s, true
}

// acceptBound returns the context of letting a conn in, which has no bound if that
// takes but a moment: each timer is kept for a while after it was stopped.
func (p *Peer) acceptBound(secure bool) (context.Context, context.CancelFunc) {
	if bound := p.cfg.AcceptTimeout; bound > 0 && p.hasOpenings(secure) {
		return context.WithTimeout(context.Background(), bound)
	}
	return context.Background(), nothing
}

// Shutdown runs the PreShutdown hooks, closes the listeners, lets in what they have accepted (for at most
// PeerConfig.AcceptTimeout), then drains all sessions side by side: it waits
// until what is under way on both sides has been answered, and the other sides
// have closed. When ctx ends before, it cuts off what is left and returns an
// error that says how much. Handlers and hooks that still run then
// are on their own; for those in the goroutines of sessions (inline handlers,
// header hooks, PostAccept, PostDial, PostDisconnect) it waits a second more.
//
// A second call waits for the first, at most until its own ctx ends, and
// returns the same. A handler or hook that calls it waits for itself, so it
// takes until ctx ends: use a goroutine there.
func (p *Peer) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if p.isStopping() {
		p.mu.Unlock()
		return p.awaitGone(ctx)
	}
	close(p.stop)
	p.mu.Unlock()
	p.tellShutdown(ctx)
	p.closeListeners(ctx)
	p.mu.Lock()
	p.die()
	p.mu.Unlock()
	for _, s := range p.allSessions() {
		s.drainWithin(ctx)
	}
	p.finishShutdown(ctx)
	process.remove(p)
	close(p.gone)
	return p.shutErr
}

// allSessions returns those that are opening or have a goroutine.
func (p *Peer) allSessions() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		all = append(all, s)
	}
	return all
}

// awaitGone waits for the Shutdown that came first.
func (p *Peer) awaitGone(ctx context.Context) error {
	select {
	case <-p.gone:
	case <-ctx.Done():
		select {
		case <-p.gone: // that counts more
		default:
			return ctx.Err()
		}
	}
	return p.shutErr
}

func (p *Peer) finishShutdown(ctx context.Context) {
	defer p.pool.stop()
	defer p.stopKeeper()
	drained := p.awaitEmpty(ctx.Done())
	close(p.killed)
	if drained && p.pool.wait(ctx.Done()) {
		return
	}
	left := p.allSessions()
	p.shutErr = fmt.Errorf("tp: shutdown cut off %d sessions and %d running handlers: %w", len(left), p.handlers.Load(), ctx.Err())
	for _, s := range left {
		for _, l := range s.links() {
			l.abort(p.shutErr)
		}
	}
	// Their readers have nothing left to wait for but the user's code.
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	p.awaitEmpty(grace.Done())
}

func (p *Peer) stopKeeper() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper.stop()
}

// awaitEmpty waits until no session and listener is left, or done is closed:
// then false.
func (p *Peer) awaitEmpty(done <-chan struct{}) bool {
	p.mu.Lock()
	if p.isEmpty() {
		p.mu.Unlock()
		return true
	}
	empty := p.empty.Wait()
	p.mu.Unlock()
	select {
	case <-empty:
		return true
	case <-done:
		return false
	}
}

// Close is Shutdown bounded by PeerConfig.CloseTimeout. Closing again returns
// the same as the first time.
func (p *Peer) Close() (err error) {
	ctx, cancel := p.closeBound()
	defer cancel()
	err = p.Shutdown(ctx)
	if p.cfg.CloseTimeout <= 0 {
		return nil // that something is cut off is what was asked for
	}
	return err
}

// closeBound returns the context that bounds a drain; without a close timeout
// it has ended already.
func (p *Peer) closeBound() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
}
