package overload

import (
	"sync"

	tp "github.com/henrylee2cn/teleport"
)

// minSweep is how many sessions that have not been seen open are looked at together
// at least.
const minSweep = 64

// conns are the accepted sessions. PostDisconnect tells when one is over that was let
// in. Of one that a plugin after this one refuses nobody tells: so those that have
// not been seen open yet are looked at now and then.
type conns struct {
	mu      sync.Mutex // protects following
	all     map[any]struct{}
	opening map[any]tp.Session
	sweepAt int // at how many of opening
}

// add adds a session, unless there are most already; 0 is no limit.
func (c *conns) add(sess tp.PreSession, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all, c.opening, c.sweepAt = make(map[any]struct{}), make(map[any]tp.Session), minSweep
	}
	full := func() bool { return most > 0 && len(c.all) >= most }
	if full() || len(c.opening) >= c.sweepAt {
		c.sweep()
	}
	if full() {
		return false
	}
	c.all[sess] = struct{}{}
	if s, ok := sess.(tp.Session); ok { // a session is one and the same for all its life
		c.opening[sess] = s
	}
	return true
}

// sweep forgets those of opening that are open or over.
func (c *conns) sweep() {
	for key, s := range c.opening {
		select {
		case <-s.CloseNotify():
			delete(c.all, key)
			delete(c.opening, key)
		default:
			if s.Health() { // PostDisconnect will tell
				delete(c.opening, key)
			}
		}
	}
	c.sweepAt = max(2*len(c.opening), minSweep)
}

func (c *conns) remove(sess tp.PostSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, sess)
	delete(c.opening, sess)
}

func (c *conns) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	return len(c.all)
}
