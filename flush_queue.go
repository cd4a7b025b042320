package tp

import (
	"runtime"
	"sync"

	"github.com/henrylee2cn/teleport/socket"
)

// flushQueue is a queue of Conns that are to be flushed by others than who wrote on
// them, above all those of a broadcast.
//
// Its flushers are workers, one less than there are processors at most: who broadcasts
// over and over keeps one to go on, so that a Conn whose turn comes has many pushes to
// write at once (doc/adr/0013).
type flushQueue struct {
	pool *workerPool

	mu       sync.Mutex // protects following
	conns    ring[*socket.Conn]
	flushers int
}

// flushTogether is for how many Conns that wait there is a flusher, and after how many
// he lets others run.
const flushTogether = 128

// add sees to it that conns are flushed, each once. It does not wait.
func (q *flushQueue) add(conns ...*socket.Conn) {
	q.mu.Lock()
	for _, c := range conns {
		q.conns.push(c)
	}
	q.startFlusher()
}

// startFlusher starts one more, if there are to be more. It unlocks mu.
func (q *flushQueue) startFlusher() {
	more := q.conns.n > q.flushers*flushTogether && (q.flushers == 0 || q.flushers < runtime.GOMAXPROCS(0)-1)
	if more {
		q.flushers++
	}
	q.mu.Unlock()
	if more {
		q.pool.mustStart(q)
	}
}

// run is a flusher. None of the Conns holds it up.
func (q *flushQueue) run() {
	defer func() {
		q.mu.Lock()
		q.flushers--
		q.startFlusher() // what a Conn has called may have ended the goroutine
	}()
	for n := 1; ; n++ {
		c := q.next()
		if c == nil {
			return
		}
		c.FlushSoon()
		if n%flushTogether == 0 {
			runtime.Gosched()
		}
	}
}

// next returns the first of the Conns, or nil.
func (q *flushQueue) next() *socket.Conn {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conns.n == 0 {
		return nil
	}
	return q.conns.pop()
}
