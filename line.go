package tp

import "sync"

// line runs exchanges of one link one after the other, in the order of their
// arrival, on one worker at a time.
type line struct {
	pool *workerPool
	stop <-chan struct{} // closed: what still waits is dropped

	mu      sync.Mutex // protects following
	queue   []*handlerCtx
	head    int // queue[:head] is done
	bytes   int // of what waits
	running bool
	room    chan struct{} // closed when bytes shrink; nil if nobody waits
	empty   chan struct{} // closed when nothing waits or runs; nil if nobody waits
}

// add appends an exchange and returns the bytes that wait now.
func (l *line) add(c *handlerCtx) int {
	l.mu.Lock()
	l.queue = append(l.queue, c)
	l.bytes += c.weight
	bytes, start := l.bytes, !l.running
	l.running = true
	l.mu.Unlock()
	if start {
		l.pool.mustStart(l)
	}
	return bytes
}

// run is the worker's: it empties the line. When a handler ends the goroutine
// another one goes on.
func (l *line) run() {
	emptied := false
	defer func() {
		if !emptied { // a handler ended the goroutine
			l.pool.mustStart(l)
		}
	}()
	for c := l.next(); c != nil; c = l.next() {
		select {
		case <-l.stop:
			c.drop()
		default:
			c.run()
		}
	}
	emptied = true
}

func (l *line) next() *handlerCtx {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	if l.head == len(l.queue) {
		l.queue, l.head, l.bytes = nil, 0, 0
		l.running = false
		if l.empty != nil {
			close(l.empty)
			l.empty = nil
		}
		return nil
	}
	c := l.queue[l.head]
	l.queue[l.head] = nil
	l.head++
	l.bytes -= c.weight
	if l.head > 1024 && l.head*2 > len(l.queue) { // do not keep what is done
		l.queue = append([]*handlerCtx(nil), l.queue[l.head:]...)
		l.head = 0
	}
	return c
}

// waiting returns the bytes that wait, and a channel that is closed when they
// shrink.
func (l *line) waiting() (bytes int, room <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room == nil {
		l.room = make(chan struct{})
	}
	return l.bytes, l.room
}

// idle returns a channel that is closed when nothing waits or runs, or nil
// when that is so already.
func (l *line) idle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	return l.empty
}
