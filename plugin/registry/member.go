package registry

import (
	"context"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// maxDialPause is the longest pause between two attempts to dial a member.
const maxDialPause = 30 * time.Second

// member is one address of the service. Its goroutine dials it, and again when the
// connection is lost or the other side goes away, until the member is removed.
type member struct {
	client  *Client
	addr    string
	life    context.Context
	remove  context.CancelFunc
	pending atomic.Int64           // pulls under way
	open    atomic.Pointer[opened] // nil without a session
	lapsed  chan struct{}          // its session takes no more calls

	// Protected by the client's mu.
	instance Instance
	credit   int // see smooth
}

// opened is a session of a member.
type opened struct{ tp.Session }

// session returns the member's session if it takes calls: it has a connection, and
// neither side is going away. Otherwise it returns nil, and sees to it that there will
// be one again.
func (m *member) session() tp.Session {
	o := m.open.Load()
	switch {
	case o == nil:
		return nil
	case !o.IsOk():
		select {
		case m.lapsed <- struct{}{}:
		default:
		}
		return nil
	case !o.Health():
		return nil // it dials again by itself, or ends
	}
	return o.Session
}

// run is the goroutine of the member.
func (m *member) run() {
	defer m.client.running.Done()
	pauses := backoff{most: maxDialPause}
	failed := false
	for {
		sess, rerr := m.dial()
		if rerr != nil {
			if m.life.Err() == nil && !failed { // of failures in a row, the first tells enough
				m.client.report("cannot dial %s, trying again: %v", m.addr, rerr)
			}
			failed = true
		} else {
			failed = false
			since := time.Now()
			away := m.serve(sess)
			// One that is hung up on at once is tried less and less often.
			if time.Since(since) >= max(pauses.pause, minPause) {
				pauses.reset()
				if away && m.life.Err() == nil {
					continue // another may listen there already
				}
			}
		}
		select {
		case <-time.After(pauses.next()):
		case <-m.life.Done():
			return
		}
	}
}

func (m *member) dial() (sess tp.Session, rerr *tp.Rerror) {
	gone := outside("dialling "+m.addr, func() {
		sess, rerr = m.client.peer.DialContext(m.life, m.addr, m.client.cfg.ProtoFunc...)
	})
	if gone != nil { // a ProtoFunc or a hook
		return nil, tp.NewRerror(tp.CodeDialFailed, tp.CodeText(tp.CodeDialFailed), gone.Error())
	}
	return sess, rerr
}

// serve gives the session out until it is of no more use. It reports whether that is
// since the other side goes away.
func (m *member) serve(sess tp.Session) (away bool) {
	m.open.Store(&opened{sess})
	defer m.open.Store(nil)
	m.client.tell()
	for {
		select {
		case <-sess.CloseNotify():
			return false
		case <-m.lapsed:
			if !sess.IsOk() {
				return sess.Health() // then it drains by itself
			}
		case <-m.life.Done():
			_ = sess.Close() // what is under way is finished
			return false
		}
	}
}
