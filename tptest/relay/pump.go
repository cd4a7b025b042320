package relay

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

const (
	// readSize is how much is read at once.
	readSize = 16 << 10
	// paces is into how many pieces a Bandwidth parts a second.
	paces = 50
)

// pump passes on one direction of a connection. One goroutine runs it.
type pump struct {
	conn   *conn
	key    uint64        // of what is drawn
	passed *atomic.Int64 // bytes of all connections in this direction

	from, to *net.TCPConn // set once there is a server

	mu      sync.Mutex // protects following
	faults  Faults     // what they refer to does not change
	changes int        // how often faults was set
	changed notice.Notice
	offset  int64 // of what comes next

	// Of the goroutine.
	seen int       // the changes that the following follow
	next int       // index of Split
	rest int       // of the piece that Split has begun
	free time.Time // before that, Bandwidth allows no more
}

// set replaces the faults.
func (p *pump) set(f Faults) {
	p.mu.Lock()
	p.faults = f
	p.changes++
	p.changed.Tell()
	p.mu.Unlock()
	p.obey()
}

// obey ends the connection if enough has got through. Whatever changes the
// faults or the offset calls it afterwards.
func (p *pump) obey() {
	p.mu.Lock()
	reset, truncate := p.faults.Reset.reachedBy(p.offset), p.faults.Truncate.reachedBy(p.offset)
	p.mu.Unlock()
	switch {
	case reset:
		p.conn.cut(true)
	case truncate:
		p.conn.end()
	}
}

// run is the goroutine.
func (p *pump) run() {
	p.obey()
	buf := make([]byte, readSize)
	for {
		n, err := p.from.Read(buf)
		if !p.forward(buf[:n]) {
			// It was ended in good order, or cut. A side that sends on is read,
			// so that closing does not reset it.
			_, _ = io.Copy(io.Discard, p.from)
			return
		}
		if err == nil {
			continue
		}
		if _, ok := p.turn(); ok {
			if err != io.EOF {
				p.conn.cut(true) // it was reset: so is the other side
			}
			_ = p.to.CloseWrite()
		}
		return
	}
}

// forward writes b in pieces. It reports false when nothing may be passed on
// any more.
func (p *pump) forward(b []byte) bool {
	for len(b) > 0 {
		f, ok := p.turn()
		if !ok {
			return false
		}
		n := p.size(f, len(b))
		f.flip(b[:n], p.key, p.offset) // only this goroutine changes it
		if n, err := p.to.Write(b[:n]); err != nil {
			p.passed.Add(int64(n))
			if p.conn.life.Err() == nil {
				p.conn.cut(true) // the receiver has gone
			}
			return false
		}
		b = b[n:]
		p.passed.Add(int64(n))
		if f.Bandwidth > 0 {
			p.free = time.Now().Add(time.Duration(n) * time.Second / time.Duration(f.Bandwidth))
		}
		p.mu.Lock()
		p.offset += int64(n)
		p.mu.Unlock()
		p.obey()
	}
	return true
}

// turn waits until the next piece may go, and returns the faults that it
// suffers. It reports false when nothing may be passed on any more.
func (p *pump) turn() (Faults, bool) {
	for start := time.Now(); ; {
		p.mu.Lock()
		f, changes, changed, offset := p.faults, p.changes, p.changed.Wait(), p.offset
		p.mu.Unlock()
		if changes != p.seen {
			p.seen, p.next, p.rest, p.free = changes, 0, 0, time.Time{}
			p.obey() // set may not have come to it
		}
		if p.conn.life.Err() != nil {
			return f, false
		}
		var due <-chan time.Time // nil: never
		if !f.Stall {
			at := start.Add(f.delay(p.key, offset))
			if at.Before(p.free) {
				at = p.free
			}
			left := time.Until(at)
			if left <= 0 {
				return f, true
			}
			due = time.After(left)
		}
		select {
		case <-due:
		case <-changed:
		case <-p.conn.life.Done():
		}
	}
}

// size returns how many of n bytes the next piece has.
func (p *pump) size(f Faults, n int) int {
	if f.Bandwidth > 0 {
		n = min(n, max(1, f.Bandwidth/paces))
	}
	n = f.Truncate.room(p.offset, n)
	n = f.Reset.room(p.offset, n)
	if len(f.Split) > 0 {
		if p.rest == 0 {
			p.rest = f.Split[p.next]
			p.next = (p.next + 1) % len(f.Split)
		}
		n = min(n, p.rest)
		p.rest -= n
	}
	return n
}
