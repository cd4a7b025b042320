package tp

import (
	"sync"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// line runs exchanges of one link one after the other, in the order of their
// arrival, on one worker at a time.
type line struct {
	pool *workerPool

	mu      sync.Mutex // protects following
	queue   []waiting
	head    int // queue[:head] is done
	bytes   int // of what waits
	running bool
	room    notice.Notice // bytes have shrunk
	empty   notice.Notice // nothing waits or runs
}

// waiting is an exchange in a line.
type waiting struct {
	c      *handlerCtx
	weight int
}

// add appends an exchange.
func (l *line) add(c *handlerCtx) {
	w := waiting{c, c.weigh()}
	l.mu.Lock()
	l.queue = append(l.queue, w)
	l.bytes += w.weight
	start := !l.running
	l.running = true
	l.mu.Unlock()
	if start {
		l.pool.mustStart(l)
	}
}

// run is the worker's: it empties the line, or goes on behind other tasks when it has
// been at it for long. So it does on another goroutine when a handler ends this one.
func (l *line) run() {
	emptied := false
	defer func() {
		if !emptied {
			l.pool.mustStart(l)
		}
	}()
	for range yieldAfter {
		c := l.next()
		if c == nil {
			emptied = true
			return
		}
		if c.link.over.Load() {
			c.drop()
		} else {
			c.run()
		}
	}
}

func (l *line) next() *handlerCtx {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.Tell()
	if l.head == len(l.queue) {
		l.queue, l.head, l.bytes = nil, 0, 0
		l.running = false
		l.empty.Tell()
		return nil
	}
	w := l.queue[l.head]
	l.queue[l.head] = waiting{}
	l.head++
	l.bytes -= w.weight
	if l.head > 1024 && l.head*2 > len(l.queue) { // do not keep what is done
		l.queue = append([]waiting(nil), l.queue[l.head:]...)
		l.head = 0
	}
	return w.c
}

// held returns the bytes that wait, and a channel that is closed when they
// shrink.
func (l *line) held() (bytes int, room <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes, l.room.Wait()
}

// idle returns a channel that is closed when nothing waits or runs, or nil
// when that is so already.
func (l *line) idle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return nil
	}
	return l.empty.Wait()
}
