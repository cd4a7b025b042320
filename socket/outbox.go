package socket

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// Errors of a write.
var (
	// ErrPack says that the packet cannot be packed: its body, codec, filters
	// or size. Nothing of it is on the wire and the Conn is as good as before.
	ErrPack = errors.New("socket: the packet cannot be packed")
	// ErrQueueFull says that the outgoing queue is full, for one who does not
	// wait: who sends to many, or the reader, which found even its reserve full.
	ErrQueueFull = errors.New("socket: the outgoing queue is full")
	// ErrQueueTimeout says that the outgoing queue stayed full for the write
	// timeout. It matches os.ErrDeadlineExceeded.
	ErrQueueTimeout = fmt.Errorf("socket: the outgoing queue stayed full: %w", os.ErrDeadlineExceeded)
)

// patience is how a writer takes a queue that is full and a kernel that is slow.
type patience uint8

const (
	// mayWait waits for both, within its bounds.
	mayWait patience = iota
	// leavesFlush waits for room, but does not flush: it promises that somebody
	// will.
	leavesFlush
	// needsRoom does not wait for room.
	needsRoom
	// readerWrites waits for nothing: it has a reserve, and its frames gather.
	readerWrites
	// neverWaits waits for nothing and has no reserve. It does not flush either.
	neverWaits
)

func (how patience) leavesFlush() bool { return how == leavesFlush || how == neverWaits }

func (how patience) waitsForRoom() bool { return how == mayWait || how == leavesFlush }

// outbox is the writing half of a Conn: the queue and who empties it.
//
// At most one goroutine is the flusher. Only it writes to the conn, and it
// stays until the queue is empty or somebody else is to see to the rest.
//
// What each frame changes comes first.
type outbox struct {
	mu       sync.Mutex // protects following
	queue    []*buffer  // committed frames, not yet taken by a flusher
	accepted uint64     // bytes ever committed
	packets  uint64     // frames ever committed
	err      error      // the first failure

	gathered int   // bytes in queue
	reserved int   // of those that wait, what the reader queued above the limit
	frames   int32 // frames in queue
	batch    int32 // about how much is gathered when a flusher takes it; at most writeChunk
	open     bool  // the last buffer of queue is a chunk, which frames are added to
	flushing bool  // there is a flusher
	promised bool  // a worker will see to a flush
	inTurn   bool  // someone will who sends to many, when it is this Conn's turn
	ended    bool  // nothing more is taken: see EndWrite

	spare    []*buffer     // an empty list, to be the next queue
	written  uint64        // bytes ever given to the kernel
	progress notice.Notice // bytes were written, or the outbox has ended

	// The flusher's.
	deadline time.Duration // as last set, since processStart; 0 is none
	due      int32         // how many bytes may still be written under it

	alone atomic.Int32 // how many flushes in a row had one frame; it stops at loneFlushes
}

// commit queues a whole frame, once there is room, and takes its buffer over.
// It returns the count of accepted bytes at the frame's end, and whether the
// caller is the flusher now: it must call flushFor, holding no lock that the
// reader may want.
func (o *outbox) commit(c *Conn, ctx context.Context, frame *buffer, how patience) (target uint64, flusher bool, err error) {
	o.mu.Lock()
	if err = o.admitFrame(c, ctx, how); err == nil {
		target, flusher = o.append(c, frame, how)
	}
	o.mu.Unlock()
	if err != nil {
		putBuffer(frame)
	}
	return target, flusher, err
}

// commitBytes is commit for a packet of FastProto whose frame is known to have n
// bytes, few enough, and runs no code of the user: it is packed into the queue
// itself, which saves a buffer and a copy.
func (o *outbox) commitBytes(c *Conn, ctx context.Context, p *Packet, n int, how patience) (target uint64, flusher bool, err error) {
	o.mu.Lock()
	if err := o.admitFrame(c, ctx, how); err != nil {
		o.mu.Unlock()
		return 0, false, err
	}
	chunk := o.chunk(n)
	at := len(chunk.B)
	if chunk.B, err = appendFrame(chunk.B, p); err != nil {
		err = packError(err)
	} else {
		target, flusher = o.count(c, len(chunk.B)-at, how)
	}
	o.mu.Unlock()
	return target, flusher, err
}

// commitLarge is commit for a frame in two parts, of which the second is not
// pooled.
func (o *outbox) commitLarge(c *Conn, head, rest *buffer) (flusher bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admitFrame(c, nil, mayWait); err != nil {
		putBuffer(head)
		return false, err
	}
	n := len(head.B) + len(rest.B)
	o.gather(head)
	o.push(rest)
	_, flusher = o.count(c, n, mayWait)
	return flusher, nil
}

// failure returns what has ended the outbox, if it has failed.
func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// admitFrame is admit for a single wait, which most frames need not: they find
// room. It is called with mu held, as admit.
func (o *outbox) admitFrame(c *Conn, ctx context.Context, how patience) error {
	if o.refusal() == nil && o.fits(c, how) {
		return nil
	}
	return o.admitLater(c, ctx, how)
}

// admitLater is admit for a frame that finds no room. mu is held.
func (o *outbox) admitLater(c *Conn, ctx context.Context, how patience) error {
	a := admission{ctx: ctx, how: how}
	defer a.stop()
	return o.admit(c, &a)
}

// commitAdmitted is commit for a frame that was admitted before it was
// packed, since it cannot be packed again.
func (o *outbox) commitAdmitted(c *Conn, frame *buffer, how patience) (target uint64, flusher bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refusal(); err != nil {
		putBuffer(frame)
		return 0, false, err
	}
	target, flusher = o.append(c, frame, how)
	return target, flusher, nil
}

// append queues the frame. mu is held.
func (o *outbox) append(c *Conn, frame *buffer, how patience) (target uint64, flusher bool) {
	n := len(frame.B)
	if n == 0 { // nothing that a flush could be promised for, or be waited for
		putBuffer(frame)
		return o.written, false
	}
	o.gather(frame)
	return o.count(c, n, how)
}

// count counts a frame of n bytes that was queued, and tells whether who queued
// it is the flusher now. mu is held.
func (o *outbox) count(c *Conn, n int, how patience) (target uint64, flusher bool) {
	o.gathered += n
	o.frames++
	o.packets++
	switch {
	case o.waiting() < c.opt.QueueLimit:
		o.reserved = 0
	case how == readerWrites:
		o.reserved += n
	}
	o.accepted += uint64(n)
	if o.flushing {
		return o.accepted, false
	}
	switch how {
	case leavesFlush: // it does not wait for its turn
		promised := o.promised
		o.promised = true
		return o.accepted, !promised
	case neverWaits:
		promised := o.promised || o.inTurn
		o.inTurn = o.inTurn || !promised
		return o.accepted, !promised
	}
	// The reader gathers what it sends until it waits, or the other side can begin.
	if how == readerWrites && o.gathered < readerChunk {
		c.in.queued.Store(true)
		return o.accepted, false
	}
	o.flushing = true
	return o.accepted, true
}

// gather puts the frame at the queue's end: a small one into the chunk that is
// there; a large one as it is, and one that is the first, if it is shared or about
// all that was there at the last flushes. mu is held.
func (o *outbox) gather(frame *buffer) {
	n := len(frame.B)
	if n > maxGathered {
		o.push(frame)
		return
	}
	if len(o.queue) == 0 && (frame.shared || 2*n >= int(o.batch)) {
		o.push(frame)
		o.open = true
		return
	}
	chunk := o.chunk(n)
	chunk.B = append(chunk.B, frame.B...)
	putBuffer(frame)
}

// readerChunk is how much the reader gathers at most before it is written. If the other
// side had to wait for all of it, only one of both would work at a time: with 64 KiB, 100
// callers of handlers that run in the reader make a tenth fewer calls.
const readerChunk = 16 << 10

// maxGathered is the size of the largest frames that share a chunk.
const maxGathered = 4 << 10

// chunk returns the buffer at the queue's end, with room for a small frame of n
// bytes. All that is small is to leave in one write, so a chunk grows until it is
// as much as is written at once. mu is held.
func (o *outbox) chunk(n int) *buffer {
	last := len(o.queue) - 1
	switch {
	case !o.open || len(o.queue[last].B)+n > writeChunk:
		o.push(getBuffer(max(n, int(o.batch))))
		o.open = true
		last++
	case len(o.queue[last].B)+n > cap(o.queue[last].B):
		o.growChunk(n)
	}
	return o.queue[last]
}

// growChunk makes room for n bytes in the chunk at the queue's end. mu is held.
func (o *outbox) growChunk(n int) {
	last := len(o.queue) - 1
	b := o.queue[last]
	grown := getBuffer(min(max(4*len(b.B), len(b.B)+n), writeChunk))
	grown.B = append(grown.B, b.B...)
	putBuffer(b)
	o.queue[last] = grown
}

// push adds a buffer to the queue. mu is held.
func (o *outbox) push(b *buffer) {
	if o.queue == nil {
		o.queue, o.spare = o.spare, nil
	}
	o.queue = append(o.queue, b)
	o.open = false
}

// admission is how a writer waits for room. Its bounds are those of the whole
// wait, however often the writer finds the queue full again.
type admission struct {
	ctx   context.Context // may be nil
	how   patience
	timer *time.Timer // of the write timeout; nil before there was a wait
}

func (a *admission) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// bounds returns what ends the wait.
func (a *admission) bounds(c *Conn) (timeout <-chan time.Time, done <-chan struct{}) {
	if d := c.WriteTimeout(); d > 0 && a.timer == nil {
		a.timer = time.NewTimer(d)
	}
	if a.timer != nil {
		timeout = a.timer.C
	}
	if a.ctx != nil {
		done = a.ctx.Done()
	}
	return timeout, done
}

// waitRoom returns when there is room.
func (o *outbox) waitRoom(c *Conn, a *admission) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.admit(c, a)
}

// hasRoom reports whether waitRoom would return at once.
func (o *outbox) hasRoom(c *Conn, a *admission) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refusal() != nil || o.fits(c, a.how)
}

// refusal returns why nothing more is taken, or nil. mu is held.
func (o *outbox) refusal() error {
	if o.err == nil && o.ended {
		return ErrProactivelyCloseSocket
	}
	return o.err
}

// waiting returns how many bytes are in queue and in the flusher's hands. mu is held.
func (o *outbox) waiting() int {
	if o.err != nil {
		return 0
	}
	return int(o.accepted - o.written)
}

// fits reports whether one more frame is admitted. What the reader may queue
// above the limit is reckoned by itself: one frame before it may be far above.
func (o *outbox) fits(c *Conn, how patience) bool {
	return o.waiting() < c.opt.QueueLimit || how == readerWrites && o.reserved < queueReserve
}

// admit returns when there is room. It is called with mu held, and gives it
// up while it waits.
func (o *outbox) admit(c *Conn, a *admission) error {
	for {
		if err := o.refusal(); err != nil {
			return err
		}
		if o.fits(c, a.how) {
			return nil
		}
		if !a.how.waitsForRoom() {
			return fmt.Errorf("%w: %d bytes wait", ErrQueueFull, o.waiting())
		}
		timeout, done := a.bounds(c)
		progress := o.progress.Wait()
		o.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-timeout:
			err = ErrQueueTimeout
		case <-done:
			err = a.ctx.Err()
		}
		o.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// maxSpareList is how many places a list keeps for reuse.
const maxSpareList = 64

// begin makes the caller the flusher, and gives it what has gathered. Nil means
// that there is nothing, or a flusher already.
func (o *outbox) begin() []*buffer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flushing || len(o.queue) == 0 || o.err != nil {
		return nil
	}
	o.flushing = true
	return o.batchUp()
}

// take gives the flusher what has gathered, in exchange for the list that it
// has worked off (nil at first), and counts the last n bytes of it that the
// kernel has taken. Nil means that it is done and no flusher any more.
func (o *outbox) take(done []*buffer, n int) []*buffer {
	clear(done)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.worked(done, n)
	if len(o.queue) == 0 || o.err != nil {
		o.flushing = false
		o.recycle()
		return nil
	}
	return o.batchUp()
}

// leave is take for a flusher that will be none in any case. It reports whether
// there is more, for which it promises a flush.
func (o *outbox) leave(done []*buffer, n int) (more bool) {
	clear(done)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.worked(done, n)
	o.flushing = false
	if o.err != nil {
		o.recycle()
	}
	o.promised = len(o.queue) > 0
	return o.promised
}

// worked takes back the list of a flusher, who has given the kernel n bytes that
// are not counted. mu is held.
func (o *outbox) worked(done []*buffer, n int) {
	if done != nil && cap(done) <= maxSpareList {
		o.spare = done[:0]
	}
	o.countWritten(n)
}

// batchUp empties the queue for the flusher. mu is held.
func (o *outbox) batchUp() []*buffer {
	batch := o.queue
	switch alone := o.alone.Load(); {
	case o.frames > 1 && alone > 0:
		o.alone.Store(0)
	case o.frames == 1 && alone < loneFlushes:
		o.alone.Store(alone + 1)
	}
	o.batch = int32(min(max(o.gathered, int(o.batch)/2), writeChunk))
	o.queue, o.gathered, o.frames, o.open = nil, 0, 0, false
	o.promised, o.inTurn = false, false
	return batch
}

// recycle gives back the buffers of the queue. mu is held.
func (o *outbox) recycle() {
	for _, b := range o.queue {
		putBuffer(b)
	}
	o.queue, o.gathered, o.frames, o.open = nil, 0, 0, false
}

// wrote counts n bytes that the kernel has taken.
func (o *outbox) wrote(n int) {
	if n == 0 {
		return
	}
	o.mu.Lock()
	o.countWritten(n)
	o.mu.Unlock()
}

// countWritten is wrote. mu is held.
func (o *outbox) countWritten(n int) {
	if n == 0 {
		return
	}
	o.written += uint64(n)
	o.progress.Tell()
}

// fail ends the outbox; the first cause wins. It reports whether it was first.
func (o *outbox) fail(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := o.err == nil
	if first {
		o.err = err
	}
	o.recycle()
	o.progress.Tell()
	return first
}
