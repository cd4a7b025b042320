package tp

import "time"

// taskQueue is a queue of tasks, first in, first out, but for those that are to
// wait for others that came before them, and for the exchanges of a link that has
// many: of these a share stands in the queue, and the rest beside it.
type taskQueue struct {
	ring   ring[task]
	late   ring[lateTask]
	begun  uint64 // how many were taken out of ring
	beside map[*link]*ring[*handlerCtx]
	excess int // how many are in beside
}

// share is how many exchanges of one link stand in the queue at most: as many as
// another may have to wait for, however many there are. When one is begun, the next
// takes its place at the end.
const share = 128

// lateTask is a task that runs when nothing else waits, or behind some of what does.
type lateTask struct {
	task
	begun uint64        // that of the queue when it came
	since time.Duration // and when that was, since processStart
}

// A task that waits for others waits for behind of them at most to be begun: about as
// many replies as are worth a write, few enough that one which is ready need not wait for
// the handlers of all who came before. As long as littleTime has not passed, it waits for
// as many again. With no end to that, 100 callers would wait for their replies all at
// once, and then the other side for their pulls.
const (
	behind     = 16
	littleTime = 50 * time.Microsecond
)

func (q *taskQueue) len() int { return q.ring.n + q.late.n + q.excess }

func (q *taskQueue) push(t task) { q.ring.push(t) }

func (q *taskQueue) pushExchange(c *handlerCtx) {
	l := c.link
	if l.queued++; l.queued <= share {
		q.ring.push(c)
		return
	}
	rest := q.beside[l]
	if rest == nil {
		rest = new(ring[*handlerCtx])
		if q.beside == nil {
			q.beside = make(map[*link]*ring[*handlerCtx])
		}
		q.beside[l] = rest
	}
	rest.push(c)
	q.excess++
}

func (q *taskQueue) pushBehind(t task) {
	q.late.push(lateTask{t, q.begun, sinceStart()})
}

func (q *taskQueue) pop() task {
	if q.late.n > 0 && (q.ring.n == 0 || q.isDue(q.late.first())) {
		return q.late.pop().task
	}
	q.begun++
	t := q.ring.pop()
	if c, ok := t.(*handlerCtx); ok {
		q.follow(c.link)
	}
	return t
}

// isDue reports whether t runs before others that wait.
func (q *taskQueue) isDue(t *lateTask) bool {
	n := q.begun - t.begun
	return n >= 2*behind || n >= behind && sinceStart()-t.since >= littleTime
}

// follow puts the next exchange of l, one of which was taken, into the queue.
func (q *taskQueue) follow(l *link) {
	if l.queued--; l.queued < share {
		return
	}
	rest := q.beside[l]
	q.ring.push(rest.pop())
	q.excess--
	if rest.n == 0 {
		delete(q.beside, l)
	}
}

// ring is a queue.
type ring[T any] struct {
	places []T // as many as a power of two, or none
	head   int
	n      int
}

// maxIdleRing is how many places an empty queue keeps.
const maxIdleRing = 1024

func (r *ring[T]) push(v T) {
	if r.n == len(r.places) {
		places := make([]T, max(2*r.n, 16))
		n := copy(places, r.places[r.head:])
		copy(places[n:], r.places[:r.head])
		r.places, r.head = places, 0
	}
	r.places[(r.head+r.n)&(len(r.places)-1)] = v
	r.n++
}

func (r *ring[T]) first() *T { return &r.places[r.head] }

func (r *ring[T]) pop() T {
	var none T
	v := r.places[r.head]
	r.places[r.head] = none
	r.head = (r.head + 1) & (len(r.places) - 1)
	r.n--
	if r.n == 0 && len(r.places) > maxIdleRing {
		r.places, r.head = nil, 0
	}
	return v
}
