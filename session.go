package tp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/socket"
)

// Errors of a session that is over. They match net.ErrClosed.
var (
	// ErrConnClosed says that the session's connection has been closed.
	ErrConnClosed = fmt.Errorf("tp: connection closed: %w", net.ErrClosed)
	// ErrListenClosed is what Listen and ServeListener return after the peer
	// was shut down.
	ErrListenClosed = fmt.Errorf("tp: listener closed: %w", net.ErrClosed)
	errSessionOpen  = errors.New("tp: Send and Receive are for the PostDial and PostAccept plugins: this session is open")
)

type (
	// Session is a conversation with another peer, on which both sides pull
	// and push. It is safe for concurrent use, from handlers and hooks too.
	//
	// It ends when either side closes it or the connection breaks. With
	// PeerConfig.RedialTimes one that was dialled gets another connection then,
	// and ends when this side closes it or the attempts are used up. One that is
	// of no more use must be closed.
	Session interface {
		// Pull calls the handler of uri on the other side with args, waits for
		// the reply, and decodes it into reply, a pointer; nil means that the
		// reply is not wanted. The error is in the PullCmd: see its Rerror.
		//
		// It waits until the reply comes, the context of WithContext or
		// PeerConfig.DefaultPullTimeout ends it, or the session ends. It must
		// not be called in a DispatchInline handler or a header hook, which run
		// in the goroutine that would read the reply.
		Pull(uri string, args interface{}, reply interface{}, setting ...socket.PacketSetting) *PullCmd
		// GoPull is Pull that does not wait: the PullCmd is sent on done when
		// it is finished. A done that is full holds up nobody else: that
		// PullCmd follows when there is room. A nil done panics. On a session that
		// dials again (PeerConfig.RedialTimes), args must not be changed before.
		GoPull(uri string, args interface{}, reply interface{}, done chan *PullCmd, setting ...socket.PacketSetting)
		// Push sends args to the handler of uri on the other side. Nil means
		// that it is queued on a live connection: see Flush. Pushes of one
		// goroutine arrive and are handled in their order.
		Push(uri string, args interface{}, setting ...socket.PacketSetting) *Rerror
		// Flush returns nil when the kernel has all that was queued before.
		// Otherwise it returns the error of the connection or of ctx. On a session
		// that dials again, it does not tell of a connection that was lost before.
		Flush(ctx context.Context) error

		// Id returns the id. By default it is the address as text: the remote
		// one when accepted, the local one when dialled, and "#2" and so on
		// after it if that is taken.
		Id() string
		// SetId changes the id on this side; that of the other side is its own.
		// An empty one does nothing. Another session of the peer that has it is
		// replaced: it is found no more and closes in the background.
		//
		// The client that is replaced sees only that its connection is closed:
		// two with one id that both dial again would throw each other out for
		// ever. Tell it first by a push, so that it does not dial again.
		SetId(newId string)
		// Close closes the session: it refuses new pulls and pushes of this
		// side, flushes (at most the write timeout), and returns. What is under
		// way on both sides is finished in the background, for at most
		// PeerConfig.CloseTimeout; CloseNotify tells the end. A handler may
		// call it. Closing again does nothing.
		Close() error
		// CloseNotify returns a channel that is closed when the session is
		// over, after PostDisconnect.
		CloseNotify() <-chan struct{}
		// IsOk reports whether the session takes pulls and pushes, also if they
		// have to wait for a connection.
		IsOk() bool
		// Health reports whether the session has a live connection. With
		// PeerConfig.RedialTimes it is false while the session dials again.
		Health() bool

		// Peer returns the peer.
		Peer() *Peer
		// RemoteIp returns the address of the other side, with its port as in
		// teleport v3.
		RemoteIp() string
		// LocalIp returns the address of this side, with its port as in
		// teleport v3.
		LocalIp() string
		// ReadTimeout returns the longest silence between two received
		// packets; 0 is no bound.
		ReadTimeout() time.Duration
		// SetReadTimeout sets it, from the next packet on; 0 or less is no
		// bound.
		SetReadTimeout(duration time.Duration)
		// WriteTimeout returns the bound of a write and of the wait for room in
		// the outgoing queue; 0 is no bound.
		WriteTimeout() time.Duration
		// SetWriteTimeout sets it; 0 or less is no bound.
		SetWriteTimeout(duration time.Duration)
		// Public returns the map of the user's own values on this session.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
	}

	// PreSession is a session that PostDial or PostAccept may still refuse.
	PreSession interface {
		// SetId sets the id that the session will have; see Session.SetId.
		SetId(newId string)
		// Close closes the connection.
		Close() error
		// Id returns the id.
		Id() string
		// IsOk reports whether the session was not closed.
		IsOk() bool
		// Peer returns the peer.
		Peer() *Peer
		// RemoteIp returns the address of the other side, with its port.
		RemoteIp() string
		// LocalIp returns the address of this side, with its port.
		LocalIp() string
		// SetReadTimeout sets the longest silence between two packets.
		SetReadTimeout(duration time.Duration)
		// SetWriteTimeout sets the bound of a write.
		SetWriteTimeout(duration time.Duration)
		// Public returns the map of the user's own values on this session.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
		// Send writes a packet and returns when the kernel has it. The other
		// side must Receive it: it is no pull or push yet.
		Send(packet *socket.Packet) error
		// Receive reads the next packet. Its body is decoded into what
		// SetBody or SetNewBody prepared.
		Receive(packet *socket.Packet) error
	}

	// PostSession is a session that has ended.
	PostSession interface {
		// Id returns the id that the session had.
		Id() string
		// Replaced reports whether it ended because another took its id.
		Replaced() bool
		// Peer returns the peer.
		Peer() *Peer
		// RemoteIp returns the address of the other side, with its port.
		RemoteIp() string
		// LocalIp returns the address of this side, with its port.
		LocalIp() string
		// Public returns the map of the user's own values on this session.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
	}
)

// session is what users hold. It stands on a link, its current connection.
type session struct {
	peer    *Peer
	current atomic.Pointer[link] // one that is dialled again changes it under redial.mu
	redial  *redialer            // nil if the session ends with its link

	// Guarded by the peer's hub.
	id         string
	chosen     bool // by SetId, so that it replaces who has it
	registered bool
	replaced   bool

	dialled bool // and not accepted
	phase   atomic.Int32

	mu     sync.Mutex    // protects following
	over   chan struct{} // closed when all is over; nil as long as nobody has asked for it
	public goutil.Map
}

// Phases of a session. It only ever moves on.
const (
	phaseOpening = iota // PostDial or PostAccept runs
	phaseOpen
	phaseClosing // no new pulls and pushes of this side
)

var (
	_ Session     = new(session)
	_ PreSession  = new(session)
	_ PostSession = new(session)
)

func (p *Peer) newSession(conn net.Conn, protoFunc []socket.ProtoFunc) *session {
	s := &session{peer: p}
	s.current.Store(newLink(s, conn, protoFunc))
	return s
}

func (s *session) link() *link { return s.current.Load() }

// open runs the PostDial or PostAccept hooks and makes the session one that
// is found. On failure the conn is closed and the session over, also when a
// hook ends the goroutine.
func (s *session) open(hooks func(PreSession) *Rerror) *Rerror {
	opened := false
	defer func() {
		if !opened {
			s.phase.Store(phaseClosing)
			_ = s.link().conn.Close()
			s.tellOver()
			s.peer.forget(s)
		}
	}()
	if rerr := hooks(s); rerr != nil {
		return rerr
	}
	s.link().opened = uint32(sinceStart().Milliseconds())
	if !s.phase.CompareAndSwap(phaseOpening, phaseOpen) {
		return NewRerror(CodeConnClosed, CodeText(CodeConnClosed), "closed while it was opened")
	}
	opened = true
	s.register()
	return nil
}

var errReaderGone = errors.New("a handler or hook ended the goroutine that reads")

// serve is the goroutine of a link: its reader, and what comes after it, also when
// an inline handler or a hook ends the goroutine.
//
// Where it waits there are few frames, for each collection looks through those of every
// session, and small ones: a stack that needs more than 2 KiB is doubled for good.
func (s *session) serve(l *link) {
	end := errReaderGone
	defer func() { s.finish(l, end) }()
	var err error
	for err == nil {
		if l.showsInput() {
			err = l.readShown()
		} else if err = l.conn.Await(); err == nil {
			err = l.readArrived()
		}
	}
	end = err
}

// finish is what comes after the reader, which ended with err.
func (s *session) finish(l *link, err error) {
	defer s.depart()
	if s.redial != nil {
		s.replaceLink(l, false)
		defer s.redial.forgetLink(l)
	} else {
		s.phase.Store(phaseClosing)
	}
	if s.phase.Load() != phaseOpen {
		s.unregister()
	}
	l.end(err)
}

// depart is the last thing that a goroutine of the session does. The last of them
// ends the session.
func (s *session) depart() {
	if s.redial != nil && !s.redial.departLast() {
		return
	}
	defer s.peer.forget(s)
	defer s.tellOver()
	if rerr := s.peer.plugins.PostDisconnect(s); rerr != nil {
		s.peer.log().Warnf("session %s: PostDisconnect: %v", s.Id(), rerr)
	}
}

// live returns the link for a new pull or push, or why there is none.
func (s *session) live() (*link, *Rerror) {
	if s.phase.Load() != phaseOpen {
		return nil, notSent(CodeConnClosed, "the session is closed")
	}
	l := s.link()
	// A side that goes away still answers what the handlers of its own last
	// pulls ask for, and all, as long as another link is about to come.
	if l.refusing.Load() || l.away.Load() && l.handlers.Load() == 0 && (s.redial == nil || l.draining.Load()) {
		return nil, notSent(CodeConnClosed, "the session is closing")
	}
	return l, nil
}

// Close closes the session in the background.
func (s *session) Close() error {
	if s.cutOpening() {
		return nil
	}
	if !s.end() {
		return nil
	}
	l := s.link()
	l.refuse()
	s.unregister()
	if s.peer.cfg.CloseTimeout <= 0 {
		l.abort(nil)
		return nil
	}
	err := l.flushWithin(l.conn.WriteTimeout())
	ctx, cancel := s.peer.closeBound()
	l.startDrain(ctx, cancel)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// cutOpening closes the conn of a session that is not open yet, so that its
// hooks fail. It reports whether it was not.
func (s *session) cutOpening() bool {
	if !s.phase.CompareAndSwap(phaseOpening, phaseClosing) {
		return false
	}
	_ = s.link().conn.Close()
	return true
}

// drainWithin is Close within the bound of a whole peer.
func (s *session) drainWithin(ctx context.Context) {
	if s.cutOpening() {
		return
	}
	s.end()
	s.unregister()
	for _, l := range s.links() {
		l.refuse()
		l.startDrain(ctx, nothing)
	}
}

// goAway is what the session does after the other side of a link said that it goes
// away: it dials again, or closes. Pulls and pushes of handlers that still run for
// the other side are not refused yet.
func (s *session) goAway(l *link) {
	switch {
	case s.phase.Load() != phaseOpen:
	case s.redial != nil:
		s.replaceLink(l, true)
	default:
		s.unregister()
		ctx, cancel := s.peer.closeBound()
		l.startDrain(ctx, cancel)
	}
}

// CloseNotify returns a channel that is closed when the session is over.
func (s *session) CloseNotify() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = make(chan struct{})
	}
	return s.over
}

// longOver is the channel of sessions that nobody has waited for.
var longOver = func() chan struct{} {
	over := make(chan struct{})
	close(over)
	return over
}()

func (s *session) tellOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = longOver
		return
	}
	close(s.over)
}

// IsOk reports whether the session takes pulls and pushes.
func (s *session) IsOk() bool {
	if s.phase.Load() == phaseOpening {
		return true
	}
	if s.redial != nil { // they wait for a connection
		return s.phase.Load() == phaseOpen
	}
	_, rerr := s.live()
	return rerr == nil
}

// Health reports whether the session has a live connection.
func (s *session) Health() bool {
	return s.phase.Load() == phaseOpen && !s.link().readEnded.Load()
}

// Flush returns when the kernel has all that was queued.
func (s *session) Flush(ctx context.Context) error {
	for _, l := range s.links() {
		if err := l.conn.Flush(ctx); err != nil && (l == s.link() || !errors.Is(err, net.ErrClosed)) {
			return err
		}
	}
	return nil
}

// Send writes a packet before the session is open.
func (s *session) Send(packet *socket.Packet) error {
	if s.phase.Load() != phaseOpening {
		return errSessionOpen
	}
	return s.link().sendOpening(packet)
}

// Receive reads a packet before the session is open.
func (s *session) Receive(packet *socket.Packet) error {
	if s.phase.Load() != phaseOpening {
		return errSessionOpen
	}
	return s.link().receiveOpening(packet)
}

// Peer returns the peer.
func (s *session) Peer() *Peer { return s.peer }

// RemoteIp returns the address of the other side.
func (s *session) RemoteIp() string { return addrText(s.link().conn.RemoteAddr()) }

// LocalIp returns the address of this side.
func (s *session) LocalIp() string { return addrText(s.link().conn.LocalAddr()) }

func addrText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// ReadTimeout returns the longest silence between two received packets.
func (s *session) ReadTimeout() time.Duration { return s.link().conn.ReadTimeout() }

// SetReadTimeout sets it.
func (s *session) SetReadTimeout(d time.Duration) { s.link().conn.SetReadTimeout(d) }

// WriteTimeout returns the bound of a write.
func (s *session) WriteTimeout() time.Duration { return s.link().conn.WriteTimeout() }

// SetWriteTimeout sets it.
func (s *session) SetWriteTimeout(d time.Duration) { s.link().conn.SetWriteTimeout(d) }

// Public returns the map of the user's own values.
func (s *session) Public() goutil.Map {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.public == nil {
		s.public = goutil.RwMap()
	}
	return s.public
}

// PublicLen returns how many values Public holds.
func (s *session) PublicLen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.public == nil {
		return 0
	}
	return s.public.Len()
}
