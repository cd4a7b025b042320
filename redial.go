package tp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/socket"
)

// The pauses between the attempts of a redial. They grow, each a fifth longer or
// shorter by chance: those who lose a server together shall not come back
// together.
const (
	minRedialPause    = 200 * time.Millisecond
	maxRedialPause    = 30 * time.Second
	redialPauseGrowth = 1.6
	redialPauseJitter = 0.2
	// goAwayPause is the longest pause before the first attempt when the other
	// side goes away.
	goAwayPause = 100 * time.Millisecond
)

// redialer is what a dialled session has to outlive its connection.
//
// Goroutines: of the session's links, each has its reader, and while dialling is
// true there is one that dials. The one that leaves last ends the session.
type redialer struct {
	addr      string
	protoFunc []socket.ProtoFunc
	life      context.Context // ends when the session is closed
	die       context.CancelFunc

	read, write time.Duration // the session's timeouts when the attempt began; the dialler's

	mu         sync.Mutex // protects following, and the change of the session's current link
	goroutines int
	dialling   bool
	old        []*link       // that finish what is under way on them
	failures   int           // attempts in a row of which nothing came
	pause      time.Duration // before the next attempt
	greeting   uint64        // bytes that were read before the current link was that
	news       notice.Notice // there is another link, or there will be none
}

func newRedialer(addr string, protoFunc []socket.ProtoFunc) *redialer {
	r := &redialer{addr: addr, protoFunc: protoFunc, goroutines: 1}
	r.life, r.die = context.WithCancel(context.Background())
	return r
}

// departLast counts a goroutine less, and reports whether it was the last.
func (r *redialer) departLast() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.goroutines--
	return r.goroutines == 0
}

// nextPause returns how long to wait before the next attempt. mu is held.
func (r *redialer) nextPause() time.Duration {
	if r.pause == 0 {
		r.pause = minRedialPause
	}
	d := r.pause
	r.pause = min(time.Duration(float64(d)*redialPauseGrowth), maxRedialPause)
	return time.Duration(float64(d) * (1 + redialPauseJitter*(2*rand.Float64()-1)))
}

// listen returns a channel that is closed when there is news. Listen, then look
// for the link.
func (r *redialer) listen() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.news.Wait()
}

// end makes a session that is open one that is closing, after which there is no
// other link. It reports whether it was open.
func (s *session) end() bool {
	r := s.redial
	if r == nil {
		return s.phase.CompareAndSwap(phaseOpen, phaseClosing)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := s.phase.CompareAndSwap(phaseOpen, phaseClosing)
	r.die()
	r.news.Tell()
	return was
}

// awaitLive is live, but during a redial it waits for the new link.
func (s *session) awaitLive(ctx context.Context) (*link, *Rerror) {
	l, rerr := s.live()
	if rerr == nil || s.redial == nil {
		return l, rerr
	}
	for {
		news := s.redial.listen()
		l, rerr = s.live()
		if rerr == nil || s.phase.Load() != phaseOpen {
			return l, rerr
		}
		select {
		case <-news:
		case <-ctx.Done():
			ended := ToRerror(ctx.Err())
			return nil, notSent(ended.Code, "no connection came about: "+ended.Detail)
		}
	}
}

// replaceLink sees to it that the session gets another link in the place of l, if
// that is its current one: at once if the other side goes away, else after a pause,
// for it is lost. So it is after a link that goes away as soon as it has come, or
// this side would dial in a loop.
func (s *session) replaceLink(l *link, atOnce bool) {
	r := s.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.link() != l || s.phase.Load() != phaseOpen {
		return
	}
	if !atOnce {
		l.refuse()
	}
	if r.dialling { // since it went away
		return
	}
	// It was of use if something came over it, or if nothing was to come and it was
	// up for longer than this side waits.
	if l.conn.BytesRead() > r.greeting || l.age() >= max(r.pause, minRedialPause) {
		r.failures, r.pause = 0, 0
	}
	r.dialling = true
	r.goroutines++
	go s.dialAgain(atOnce && l.age() >= minRedialPause)
}

// dialAgain is the goroutine that dials until the session has a link, or is
// closed, or the attempts are used up.
func (s *session) dialAgain(atOnce bool) {
	defer s.depart()
	adopted := false
	defer func() {
		if !adopted { // also when a hook ends the goroutine
			s.giveUp()
		}
	}()
	for s.awaitAttempt(atOnce) {
		atOnce = false
		l, rerr := s.attempt()
		if rerr == nil {
			rerr = s.adopt(l)
		}
		adopted = rerr == nil
		if !adopted {
			s.letGo()
		}
		s.tellRedial(rerr)
		if adopted {
			return
		}
	}
}

// awaitAttempt waits until the next attempt is due. It reports false if there is
// none.
func (s *session) awaitAttempt(atOnce bool) bool {
	r, times := s.redial, s.peer.cfg.RedialTimes
	r.mu.Lock()
	if times > 0 && r.failures >= times {
		r.mu.Unlock()
		return false
	}
	r.failures++
	pause := rand.N(goAwayPause) // the link is still of use, and others dial too
	if !atOnce {
		pause = r.nextPause()
	}
	r.mu.Unlock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-r.life.Done():
		return false
	case <-timer.C:
		return r.life.Err() == nil
	}
}

// attempt dials once, and runs the PostDial hooks.
func (s *session) attempt() (l *link, rerr *Rerror) {
	p, r := s.peer, s.redial
	defer func() { // the functions of a TLS config and a ProtoFunc may panic
		if v := recover(); v != nil {
			p.log().Errorf("session %s: dialling %s again panicked: %v\n%s", s.Id(), r.addr, v, debug.Stack())
			l, rerr = nil, dialRerror(fmt.Sprintf("it panicked: %v", v))
		}
	}()
	ctx, stop := p.dialBound(r.life)
	defer stop()
	conn, rerr := p.connect(ctx, r.addr)
	if rerr != nil {
		return nil, rerr
	}
	opened := false
	defer func() {
		if !opened {
			_ = conn.Close()
		}
	}()
	l = newLink(s, conn, r.protoFunc)
	r.read, r.write = s.ReadTimeout(), s.WriteTimeout()
	l.conn.SetReadTimeout(r.read)
	l.conn.SetWriteTimeout(r.write)
	inTime := context.AfterFunc(ctx, func() { _ = conn.Close() }) // hooks that wait fail
	rerr = p.plugins.PostDial(&renewal{session: s, link: l})
	if !inTime() && rerr == nil {
		rerr = dialRerror("it took too long, or the session was closed")
	}
	opened = rerr == nil
	return l, rerr
}

// adopt makes l the session's current link. The one before finishes what is under
// way on it.
func (s *session) adopt(l *link) *Rerror {
	r := s.redial
	r.mu.Lock()
	if s.phase.Load() != phaseOpen {
		r.mu.Unlock()
		_ = l.conn.Close()
		return notSent(CodeConnClosed, "the session was closed while it dialled again")
	}
	old := s.link()
	if !old.over.Load() {
		r.old = append(r.old, old)
	}
	l.opened, r.greeting = uint32(sinceStart().Milliseconds()), l.conn.BytesRead()
	// What was set on the session since the attempt began is meant for this link too.
	if d := old.conn.ReadTimeout(); d != r.read {
		l.conn.SetReadTimeout(d)
	}
	if d := old.conn.WriteTimeout(); d != r.write {
		l.conn.SetWriteTimeout(d)
	}
	s.current.Store(l)
	r.dialling = false
	r.goroutines++
	r.news.Tell()
	r.mu.Unlock()
	s.peer.tally.redialled.Add(1)
	go s.serve(l)
	ctx, cancel := s.peer.closeBound()
	old.startDrain(ctx, cancel)
	return nil
}

// letGo ends the link of a session that has no other yet, if the other side goes
// away: it waits for that, and perhaps nobody takes its place before it is gone.
func (s *session) letGo() {
	if l := s.link(); l.away.Load() {
		ctx, cancel := s.peer.closeBound()
		l.startDrain(ctx, cancel)
	}
}

// giveUp ends a session that gets no other link.
func (s *session) giveUp() {
	r := s.redial
	r.mu.Lock()
	r.dialling = false
	r.mu.Unlock()
	if s.end() {
		s.unregister()
		s.peer.log().Warnf("session %s: the connection to %s is lost, and dialling again has failed", s.Id(), r.addr)
	}
	ctx, cancel := s.peer.closeBound()
	s.link().startDrain(ctx, cancel)
}

// tellRedial tells what became of an attempt. The function is the user's.
func (s *session) tellRedial(rerr *Rerror) {
	if rerr == nil {
		s.peer.log().Infof("session %s: connected again to %s", s.Id(), s.redial.addr)
	} else {
		s.peer.log().Debugf("session %s: dialling %s again: %v", s.Id(), s.redial.addr, rerr)
	}
	if tell := s.peer.cfg.OnRedial; tell != nil {
		s.peer.safely(func() { tell(s, rerr) }).run()
	}
}

// links returns the session's current link and those that finish.
func (s *session) links() []*link {
	r := s.redial
	if r == nil {
		return []*link{s.link()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*link{s.link()}, r.old...)
}

// forgetLink forgets a link that is over.
func (r *redialer) forgetLink(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old = slices.DeleteFunc(r.old, func(old *link) bool { return old == l })
}

// renewal is a session as the PostDial hooks of a redial see it: what is about the
// connection means the one that is to be.
type renewal struct {
	*session
	link *link
}

var _ PreSession = new(renewal)

// Close closes the connection, so that the attempt fails.
func (r *renewal) Close() error { return r.link.conn.Close() }

// IsOk reports whether the session takes another connection.
func (r *renewal) IsOk() bool { return r.phase.Load() == phaseOpen }

// RemoteIp returns the address of the other side.
func (r *renewal) RemoteIp() string { return addrText(r.link.conn.RemoteAddr()) }

// LocalIp returns the address of this side.
func (r *renewal) LocalIp() string { return addrText(r.link.conn.LocalAddr()) }

// SetReadTimeout sets the longest silence between two packets.
func (r *renewal) SetReadTimeout(d time.Duration) { r.link.conn.SetReadTimeout(d) }

// SetWriteTimeout sets the bound of a write.
func (r *renewal) SetWriteTimeout(d time.Duration) { r.link.conn.SetWriteTimeout(d) }

// Send writes a packet before the connection is that of the session.
func (r *renewal) Send(packet *socket.Packet) error { return r.link.sendOpening(packet) }

// Receive reads a packet before the connection is that of the session.
func (r *renewal) Receive(packet *socket.Packet) error { return r.link.receiveOpening(packet) }
