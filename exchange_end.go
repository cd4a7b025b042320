package tp

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// MetaTimeoutKey is the meta key with which a pull says how many milliseconds its
// caller still waits, a decimal number of at least 1. Session.Pull sets it if the
// context of the pull has a deadline; the handler's Context then ends by itself.
const MetaTimeoutKey = "X-Timeout"

// maxTimeout is the longest X-Timeout in milliseconds that is taken at its word;
// beyond it is none.
const maxTimeout = 1 << 40

// errGaveUp is the cause of a handler's context when the caller gave up.
var errGaveUp = errors.New("tp: the caller gave up")

// pullEnds knows of the pulls of the other side that may have to end before
// their handlers return.
type pullEnds struct {
	hasEarly atomic.Bool

	// Protected by the link's mu.
	running map[uint64]*pullEnd // those whose handlers have asked for a context
	early   []uint64            // CANCELs that came before the handler asked, the last maxEarly
	unsaid  []uint64            // CANCELs of this side that wait until the other is known to understand them
}

// pullEnds returns what is known of the pulls that may end early.
func (l *link) pullEnds() *pullEnds {
	if e := l.ends.Load(); e != nil {
		return e
	}
	l.ends.CompareAndSwap(nil, &pullEnds{running: make(map[uint64]*pullEnd)})
	return l.ends.Load()
}

// maxEarly is how many CANCELs are remembered of pulls whose handlers have not
// asked for a context: as many as handlers may run by default.
const maxEarly = defaultMaxSessionHandlers

// pullEnd is the context of one pull of the other side.
type pullEnd struct {
	context.Context
	cancel func(cause error)
}

// takeTimeout notes until when the caller waits. It is the reader's.
func (c *handlerCtx) takeTimeout() {
	if !c.input.HasMeta() {
		return
	}
	text := c.input.Meta().Peek(MetaTimeoutKey)
	if len(text) == 0 {
		return
	}
	left, err := strconv.ParseUint(string(text), 10, 64)
	if err == nil && 0 < left && left <= maxTimeout {
		c.needMore().deadline = time.Now().Add(time.Duration(left) * time.Millisecond)
	}
}

// timeLeft returns the X-Timeout of a pull; 0 is none.
func timeLeft(p *socket.Packet) int64 {
	if !p.HasContext() || p.Ptype() != TypePull {
		return 0
	}
	deadline, bounded := p.Context().Deadline()
	if !bounded {
		return 0
	}
	return max(time.Until(deadline).Milliseconds(), 1)
}

// overdue returns why the handler need not run: nobody waits for it any more.
func (c *handlerCtx) overdue() (why *Rerror) {
	if e := c.link.ends.Load(); e != nil && e.hasEarly.Load() && c.link.takeEarly(c.input.Seq()) {
		why = notExecuted(CodeCanceled, "the caller gave up before its turn")
	} else if more := c.more.Load(); more != nil && !more.deadline.IsZero() && !time.Now().Before(more.deadline) {
		why = notExecuted(CodeTimeout, "the caller's deadline passed before its turn")
	}
	if why != nil {
		c.link.peer.tally.refuse(refusedOverdue)
	}
	return why
}

// gaveUp returns the reply to a caller that gave up while the handler ran, or whose
// deadline passed: it does not want the result.
func (c *handlerCtx) gaveUp() *Rerror {
	more := c.more.Load()
	if more == nil {
		return nil
	}
	if !more.deadline.IsZero() && !time.Now().Before(more.deadline) {
		return NewRerror(CodeTimeout, CodeText(CodeTimeout), "the caller's deadline passed while the handler ran")
	}
	if end := more.end.Load(); end != nil && context.Cause(end) == errGaveUp {
		return NewRerror(CodeCanceled, CodeText(CodeCanceled), "the caller gave up")
	}
	return nil
}

// pullContext returns the context of a pull of the other side. One that nothing
// can end but its link shares that of the link.
func (l *link) pullContext(c *handlerCtx) context.Context {
	shared := l.contextOf(&l.pullCtx)
	more := c.more.Load()
	if (more == nil || more.deadline.IsZero()) && !l.caps.known() {
		return shared
	}
	more = c.needMore()
	if end := more.end.Load(); end != nil {
		return end
	}
	end := newPullEnd(shared, more.deadline)
	if !l.registerEnd(c, more, end) {
		end.cancel(context.Canceled)
		return more.end.Load()
	}
	return end
}

// registerEnd makes end the context of the pull, which CANCEL finds. It reports
// false when it has one already.
func (l *link) registerEnd(c *handlerCtx, more *handlerMore, end *pullEnd) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !more.end.CompareAndSwap(nil, end) {
		return false
	}
	e, seq := l.pullEnds(), c.input.Seq()
	switch {
	case c.returned.Load(): // it is asked for too late
		end.cancel(context.Canceled)
	case e.forgetEarly(seq):
		end.cancel(errGaveUp)
	default:
		e.running[seq] = end
	}
	return true
}

func newPullEnd(parent context.Context, deadline time.Time) *pullEnd {
	release := nothing
	if !deadline.IsZero() {
		parent, release = context.WithDeadline(parent, deadline)
	}
	ctx, cancel := context.WithCancelCause(parent)
	return &pullEnd{ctx, func(cause error) {
		cancel(cause)
		release()
	}}
}

// end is the last thing that is done for an exchange that begin has counted.
func (c *handlerCtx) end() {
	c.releaseContext()
	c.link.release(c)
	c.link.finish()
}

// releaseContext ends the context of an exchange that is over, if it has one of
// its own.
func (c *handlerCtx) releaseContext() {
	c.returned.Store(true)
	more := c.more.Load()
	if more == nil {
		return
	}
	l, seq := c.link, c.input.Seq()
	l.mu.Lock() // of two, registerEnd and this, the second sees what the first did
	end := more.end.Load()
	if end != nil && l.pullEnds().running[seq] == end {
		delete(l.pullEnds().running, seq)
	}
	l.mu.Unlock()
	if end != nil {
		end.cancel(context.Canceled)
	}
}

// cancelPull takes the CANCEL of a pull.
func (l *link) cancelPull(seq uint64) {
	l.mu.Lock()
	e := l.pullEnds()
	end := e.running[seq]
	if end == nil {
		e.rememberEarly(seq, l.handlers.Load() > 0)
	}
	l.mu.Unlock()
	if end != nil {
		end.cancel(errGaveUp)
	}
}

// rememberEarly notes a CANCEL for a handler that has not asked for its context,
// if any runs. The link's mu is held.
func (e *pullEnds) rememberEarly(seq uint64, running bool) {
	switch {
	case !running: // and all that were cancelled before are over
		e.early = nil
	case len(e.early) == maxEarly:
		e.early = append(append(e.early[:0], e.early[1:]...), seq)
	default:
		e.early = append(e.early, seq)
	}
	e.hasEarly.Store(running)
}

// takeEarly reports whether the pull was cancelled before its handler ran.
func (l *link) takeEarly(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pullEnds().forgetEarly(seq)
}

// forgetEarly reports whether the CANCEL of a pull has come. The link's mu is held.
func (e *pullEnds) forgetEarly(seq uint64) bool {
	for i, early := range e.early {
		if early == seq {
			e.early = append(e.early[:i], e.early[i+1:]...)
			e.hasEarly.Store(len(e.early) > 0)
			return true
		}
	}
	return false
}

// maxUnsaid is how many CANCELs wait at most: the other side says within a round trip
// of the first packet whether it understands them.
const maxUnsaid = 64

// sendCancel tells the other side, as soon as it is known to understand that, that
// nobody waits for the reply to a pull any more. It never waits.
func (l *link) sendCancel(seq uint64) {
	if l.caps.known() || !l.cancelLater(seq) {
		l.sendControl(TypeCancel, seq)
	}
}

// cancelLater leaves a CANCEL to sendUnsaid, unless the other side is known meanwhile.
func (l *link) cancelLater(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.caps.known() {
		return false
	}
	if e := l.pullEnds(); len(e.unsaid) < maxUnsaid {
		e.unsaid = append(e.unsaid, seq)
	}
	return true
}

// sendUnsaid sends the CANCELs that have waited. It is the reader's.
func (l *link) sendUnsaid() {
	e := l.ends.Load()
	if e == nil {
		return
	}
	l.mu.Lock()
	unsaid := e.unsaid
	e.unsaid = nil
	l.mu.Unlock()
	for _, seq := range unsaid {
		l.queueControl(TypeCancel, seq)
	}
}
