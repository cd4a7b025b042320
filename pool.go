package tp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/usercode"
	"github.com/henrylee2cn/teleport/socket"
)

// growPause is how long a Pool that has a session does not try to get another one after
// a dial has failed.
const growPause = time.Second

// Pool is several sessions with one address, for callers that one connection is too few
// for: each pull or push goes to the session with the fewest pulls under way. It is
// safe for concurrent use, and must be closed, if its peer is not.
//
// It begins with one session. Another is dialled, while the callers go on with those that
// there are, when each has a pull under way, up to the size of the pool. A session
// that is over is forgotten, and when there is none a call dials one. With
// PeerConfig.RedialTimes the sessions dial again by themselves; calls go to those
// that have a connection, and wait if none has.
//
// Goroutines: at most one, which dials.
type Pool struct {
	peer      *Peer
	addr      string
	protoFunc []socket.ProtoFunc
	size      int
	life      context.Context // ends when the pool is closed
	die       context.CancelFunc
	last      atomic.Pointer[session] // that there was

	mu       sync.Mutex // protects following
	sessions []*session // without those that were over when they were last looked at
	turn     int        // where the search for the next one begins
	dialling *poolDial  // nil if none is under way
	failed   time.Duration
	closed   bool
}

// poolDial is a dial of a Pool. The rest is set when done is closed.
type poolDial struct {
	done chan struct{}
	sess *session
	rerr *Rerror
}

// NewPool returns a Pool of n sessions at most with the address, in the packet format of
// the first protoFunc or the default one. It dials the first one as Dial does, and
// returns its error. It panics if n is less than 1.
func (p *Peer) NewPool(addr string, n int, protoFunc ...socket.ProtoFunc) (*Pool, *Rerror) {
	if n < 1 {
		panic(fmt.Sprintf("tp: NewPool: n = %d: a pool has at least one session", n))
	}
	s, rerr := p.dial(context.Background(), addr, protoFunc)
	if rerr != nil {
		return nil, rerr
	}
	pool := &Pool{peer: p, addr: addr, protoFunc: protoFunc, size: n, sessions: []*session{s}, failed: -growPause}
	pool.last.Store(s)
	pool.life, pool.die = context.WithCancel(context.Background())
	return pool, nil
}

// Pull is Session.Pull on the session with the fewest pulls under way. If it was not sent,
// because that session ended, it is sent on another one; the settings and the PreWritePull
// hooks run again then, for another packet. If there is no session it waits for one to be
// dialled, within the context of WithContext and PeerConfig.DefaultPullTimeout; if that
// fails, so does the pull, with CodeDialFailed, and the PullCmd's Session is one that is
// over.
func (p *Pool) Pull(uri string, args interface{}, reply interface{}, setting ...socket.PacketSetting) *PullCmd {
	pull := &poolPull{pool: p, uri: uri, args: args, reply: reply, setting: setting}
	pull.run()
	return pull.cmd
}

// GoPull is Session.GoPull on the session with the fewest pulls under way. If there is
// no session, Pull runs in another goroutine, after the settings, which run in this one.
func (p *Pool) GoPull(uri string, args interface{}, reply interface{}, done chan *PullCmd, setting ...socket.PacketSetting) {
	if done == nil {
		panic("tp: GoPull: done is nil: make it with room for the pulls under way, or use Pull")
	}
	if s := p.ready(); s != nil {
		s.GoPull(uri, args, reply, done, setting...)
		return
	}
	pull := &poolPull{pool: p, uri: uri, args: args, reply: reply, setting: setting}
	pull.fill()
	p.peer.spawn(func() {
		usercode.Run(pull.run, func(gone error) {
			cmd := pull.cmd
			if gone != nil {
				p.peer.log().Errorf("a pull of %q over a pool: %s", pull.uri, usercode.Trace(gone))
				cmd.rerr = hookGone("a setting, a hook or a codec")
				cmd.tellDone(cmd.rerr)
			}
			cmd.async = &asyncPull{done: done}
			cmd.deliver()
		})
	})
}

// poolPull is a pull over a pool. Each attempt has a PullCmd of its own, which is filled
// before there is a session for it: the deadline is in the settings, and those run but
// once for each packet.
type poolPull struct {
	pool        *Pool
	uri         string
	args, reply interface{}
	setting     []socket.PacketSetting
	cmd         *PullCmd        // of this attempt
	filled      bool            // cmd was not sent yet
	ctx         context.Context // that bounds all attempts; nil before the first one
}

func (l *poolPull) fill() {
	cmd := new(PullCmd)
	cmd.fill(l.pool.last.Load(), l.uri, l.args, l.reply, l.setting)
	l.cmd, l.filled = cmd, true
}

func (l *poolPull) run() {
	for tries := 0; ; tries++ {
		if !l.filled {
			l.fill()
		}
		if l.ctx == nil {
			ctx, cancel := l.cmd.bound()
			if l.ctx = ctx; cancel != nil {
				defer cancel()
			}
		} else {
			l.cmd.boundBy(l.ctx)
		}
		s, rerr := l.pool.pick(l.ctx)
		if rerr != nil {
			l.cmd.rerr = rerr
			l.cmd.complete()
			return
		}
		l.cmd.sess, l.filled = s, false
		l.cmd.exchange(l.ctx, nil)
		if tries == l.pool.size || !isElsewhere(s, l.cmd.rerr) {
			return
		}
	}
}

// Push is Session.Push on the session with the fewest pulls under way, and on another one
// as with Pull. If there is no session it waits for one to be dialled, within the context
// of WithContext and PeerConfig.DefaultWriteTimeout. Pushes go to different sessions, so
// they arrive in no order: where that matters, use one of Session.
func (p *Pool) Push(uri string, args interface{}, setting ...socket.PacketSetting) *Rerror {
	for tries := 0; ; tries++ {
		cmd := new(pushCmd)
		cmd.fill(p.peer, uri, args, setting)
		s, rerr := p.pickWithin(cmd.output.Context(), p.peer.cfg.DefaultWriteTimeout)
		if rerr != nil {
			return rerr
		}
		cmd.sess = s
		if rerr = cmd.pushed(); tries == p.size || !isElsewhere(s, rerr) {
			return rerr
		}
	}
}

// Session returns the session with the fewest pulls under way, as for the typed Pull. If
// there is none it waits for one to be dialled, within ctx.
func (p *Pool) Session(ctx context.Context) (Session, *Rerror) {
	s, rerr := p.pick(ctx)
	if rerr != nil {
		return nil, rerr
	}
	return s, nil
}

// Sessions returns the sessions that there are now.
func (p *Pool) Sessions() []Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetOver()
	all := make([]Session, len(p.sessions))
	for i, s := range p.sessions {
		all[i] = s
	}
	return all
}

// Len returns how many sessions there are now.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetOver()
	return len(p.sessions)
}

// Health reports whether a session has a live connection.
func (p *Pool) Health() bool {
	return slices.ContainsFunc(p.Sessions(), Session.Health)
}

// Close closes the sessions as Session.Close does, and calls off a dial that is under
// way. What comes later fails with CodeConnClosed. The error is that of the first one that
// could not be flushed. Closing again does nothing.
func (p *Pool) Close() (err error) {
	p.mu.Lock()
	sessions := p.sessions
	p.closed, p.sessions = true, nil
	p.mu.Unlock()
	p.die()
	errs := make(chan error, len(sessions))
	for _, s := range sessions {
		go func() { errs <- s.Close() }() // waited for below
	}
	for range sessions {
		if one := <-errs; err == nil {
			err = one
		}
	}
	return err
}

// isElsewhere reports whether a call that failed was not sent, since its session has
// ended, and another may do.
func isElsewhere(s *session, rerr *Rerror) bool {
	return rerr != nil && rerr.Code == CodeConnClosed && !rerr.MaybeSent() && !s.IsOk()
}

// ready returns the session for the next call if it need not wait, or nil.
func (p *Pool) ready() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readyLocked()
}

func (p *Pool) readyLocked() *session {
	p.forgetOver()
	s, pulls := p.leastPending(func(s *session) bool { return s.Health() })
	if s != nil && pulls > 0 && len(p.sessions) < p.size && p.dialling == nil && sinceStart()-p.failed >= growPause {
		p.grow()
	}
	return s
}

// pickWithin is pick within a bound, of which 0 is none.
func (p *Pool) pickWithin(ctx context.Context, bound time.Duration) (*session, *Rerror) {
	if s := p.ready(); s != nil {
		return s, nil
	}
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	return p.pick(ctx)
}

// pick returns the session for the next call, which it may wait for.
func (p *Pool) pick(ctx context.Context) (*session, *Rerror) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, notSent(CodeConnClosed, "the pool is closed")
	}
	s := p.readyLocked()
	if s == nil && len(p.sessions) == p.size { // they dial again, and the call waits for that
		s, _ = p.leastPending(func(*session) bool { return true })
	}
	if s != nil {
		p.mu.Unlock()
		return s, nil
	}
	if p.dialling == nil {
		p.grow()
	}
	d := p.dialling
	p.mu.Unlock()
	select {
	case <-d.done:
	case <-ctx.Done():
		ended := ToRerror(ctx.Err())
		return nil, notSent(ended.Code, "no connection came about: "+ended.Detail)
	}
	if d.rerr == nil {
		return d.sess, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, _ = p.leastPending(func(*session) bool { return true }); s != nil { // it dials again
		return s, nil
	}
	return nil, d.rerr.Copy()
}

// forgetOver forgets the sessions that take no more calls. mu is held.
func (p *Pool) forgetOver() {
	p.sessions = slices.DeleteFunc(p.sessions, func(s *session) bool { return !s.IsOk() })
}

// leastPending returns the session with the fewest pulls under way of those that are
// good, or nil. They take turns if they have as many. mu is held.
func (p *Pool) leastPending(good func(*session) bool) (best *session, fewest int) {
	p.turn++
	for i := range p.sessions {
		s := p.sessions[(p.turn+i)%len(p.sessions)]
		if !good(s) {
			continue
		}
		if n := s.link().pending.len(); best == nil || n < fewest {
			best, fewest = s, n
		}
		if fewest == 0 {
			break
		}
	}
	return best, fewest
}

// grow begins to dial another session. mu is held.
func (p *Pool) grow() {
	p.dialling = &poolDial{done: make(chan struct{})}
	go p.dial(p.dialling) // ends within the dial timeout, and when the pool or the peer is closed
}

func (p *Pool) dial(d *poolDial) {
	usercode.Run(func() {
		d.sess, d.rerr = p.peer.dial(p.life, p.addr, p.protoFunc)
	}, func(gone error) {
		if gone != nil { // the functions of a TLS config and a ProtoFunc may panic
			p.peer.log().Errorf("dialling %s for a pool: %s", p.addr, usercode.Trace(gone))
			d.rerr = dialRerror(gone.Error())
		}
		p.dialled(d)
	})
}

// dialled takes up what came of a dial.
func (p *Pool) dialled(d *poolDial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case d.rerr != nil:
		p.failed = sinceStart()
	case p.closed:
		d.rerr = notSent(CodeConnClosed, "the pool is closed")
		go d.sess.Close() // bounded by the write timeout; the peer waits for the session
	default:
		p.sessions = append(p.sessions, d.sess)
		p.last.Store(d.sess)
	}
	p.dialling = nil
	close(d.done)
}
