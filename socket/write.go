package socket

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// writeChunk is the most that is given to the kernel at once of small
	// frames, and what it must take within the write timeout.
	writeChunk = 64 << 10
	// maxWrite is the most that is given to it at once of a large frame, if it
	// takes that without waiting. With 256 KiB the other side wakes more often,
	// and 1 MiB there and back takes a tenth longer; 2 MiB gain nothing.
	maxWrite = 1 << 20
	// maxWait is the most that is written in one wait for the kernel. What it
	// takes is counted after that: others wait for room in the queue.
	maxWait = 256 << 10
	// flushRounds is how often a writer flushes for others before it hands
	// the rest to another goroutine.
	flushRounds = 8
	// loneFlushes is after how many flushes of one frame each a flusher does
	// not look for others any more.
	loneFlushes = 16
)

// flushUnless flushes if the writer has become the flusher. It returns true if
// it leaves that to the caller.
func (c *Conn) flushUnless(flusher bool, ctx context.Context, how patience) bool {
	if !flusher || how.leavesFlush() {
		return flusher
	}
	c.flushFor(ctx, how)
	return false
}

// flushFor is the flusher's work right after its commit. One whose context may
// end does not wait for the kernel: another goroutine does it in its stead.
func (c *Conn) flushFor(ctx context.Context, how patience) {
	if how == readerWrites {
		c.flushNoWait()
		return
	}
	if ctx != nil && ctx.Done() != nil {
		if !c.WritesAlone() {
			runtime.Gosched() // as flush does
		}
		c.flushNoWait()
		return
	}
	c.flush(flushRounds)
}

// flush is the flusher's loop, for at most the given rounds; then another
// goroutine goes on, so that no caller writes for others for ever.
//
// Before each write it yields to others that are ready to run, and may have
// something to send: one write for all of them is 2.3 times as fast as one each.
// Who has been alone for long will be again.
func (c *Conn) flush(rounds int) {
	var batch []*buffer
	n := 0
	for ; rounds > 0; rounds-- {
		if !c.WritesAlone() {
			c.out.wrote(n)
			n = 0
			runtime.Gosched()
		}
		if batch = c.out.take(batch, n); batch == nil {
			return
		}
		n = c.writeBatch(batch, 0)
	}
	c.out.wrote(n)
	c.opt.Go(func() { c.flushAll(batch, 0) })
}

// flushAll is flush until the queue is empty, after a batch of which the last n
// bytes are not counted.
func (c *Conn) flushAll(batch []*buffer, n int) {
	for batch = c.out.take(batch, n); batch != nil; batch = c.out.take(batch, n) {
		n = c.writeBatch(batch, 0)
	}
}

// WriteQueued writes what is queued at this moment, if nobody else does, and
// waits for the kernel, within the write timeout for each 64 KiB. True says that
// more was queued meanwhile: then the caller must see to another WriteQueued.
func (c *Conn) WriteQueued() (more bool) {
	batch := c.out.begin()
	if batch == nil {
		return false
	}
	n := c.writeBatch(batch, 0)
	return c.out.leave(batch, n)
}

// WritesAlone reports whether the last frames were all written one by one, so
// that it is no use to wait for others before WriteQueued.
func (c *Conn) WritesAlone() bool { return c.out.alone.Load() >= loneFlushes }

// writeBatch writes the buffers, the first of them from the given offset, and
// gives them back. A failure ends the Conn: a part of a frame may be out, and
// nothing that follows it could be understood. It returns how many of the bytes
// that the kernel has taken are not counted yet.
func (c *Conn) writeBatch(batch []*buffer, from int) (uncounted int) {
	failed := false
	c.out.due = 0
	for _, buf := range batch {
		for b := buf.B[from:]; len(b) > 0 && !failed; {
			c.out.wrote(uncounted)
			n, err := c.write(b)
			uncounted = n
			if err != nil {
				failed = true
				c.writeFailed(err)
				break
			}
			b = b[n:]
		}
		from = 0
		buf.release(!failed)
	}
	return uncounted
}

// write gives the kernel some of b. It takes at least writeChunk, or all, within
// the write timeout.
func (c *Conn) write(b []byte) (n int, err error) {
	if c.raw != nil && c.out.due == 0 { // most often there is room
		if n, err = c.writeOnce(b[:min(len(b), maxWrite)]); n > 0 || err != nil {
			return n, err
		}
	}
	most := maxWait
	if c.out.due > 0 {
		most = int(c.out.due) // of the 64 KiB that the deadline is for
	} else {
		if err := c.armWrite(); err != nil {
			return 0, err
		}
		c.out.due = writeChunk
	}
	defer func() { c.out.due -= int32(n) }()
	if c.raw == nil { // such as TLS, where a write that is cut off cannot go on
		return c.conn.Write(b[:min(len(b), most, writeChunk)])
	}
	n, err = c.conn.Write(b[:min(len(b), most)])
	if n >= writeChunk && errors.Is(err, os.ErrDeadlineExceeded) && c.WriteTimeout() > 0 {
		err = nil // it is slow, but not too slow
	}
	return n, err
}

// armWrite sets the write deadline when it has moved by a quarter.
func (c *Conn) armWrite() error {
	timeout := c.WriteTimeout()
	if timeout <= 0 {
		if c.out.deadline == 0 {
			return nil // deadlines are the caller's
		}
		c.out.deadline = 0
		return c.conn.SetWriteDeadline(time.Time{})
	}
	now := time.Since(processStart)
	if left := c.out.deadline - now; left > timeout-timeout/4 && left <= timeout {
		return nil
	}
	c.out.deadline = now + timeout
	return c.conn.SetWriteDeadline(processStart.Add(c.out.deadline))
}

var processStart = time.Now()

func (c *Conn) writeFailed(err error) {
	if c.closed.Load() {
		err = ErrProactivelyCloseSocket
	}
	if c.out.fail(err) {
		if c.onWriteError != nil { // before the reader wakes, so that it can be told why
			c.onWriteError(err)
		}
		_ = c.closeBelow()
	}
}

// FlushSoon sees to it that what is queued is written, without waiting: what
// the kernel does not take at once is left to another goroutine.
func (c *Conn) FlushSoon() {
	if batch := c.out.begin(); batch != nil {
		c.writeNoWait(batch)
	}
}

// flushNoWait is the flusher's work in a goroutine that must not wait, above
// all the one that reads.
func (c *Conn) flushNoWait() {
	if batch := c.out.take(nil, 0); batch != nil {
		c.writeNoWait(batch)
	}
}

func (c *Conn) writeNoWait(batch []*buffer) {
	if c.raw == nil {
		c.handOver(batch, 0)
		return
	}
	for i, buf := range batch {
		for from := 0; from < len(buf.B); {
			chunk := buf.B[from:min(from+maxWrite, len(buf.B))]
			n, err := c.writeOnce(chunk)
			if err != nil {
				c.writeFailed(err)
				for _, buf := range batch[i:] {
					putBuffer(buf)
				}
				return
			}
			c.out.wrote(n)
			from += n
			if n < len(chunk) { // the kernel takes no more
				c.handOver(batch[i:], from)
				return
			}
		}
		batch[i] = nil // the rest of the list may be handed over, and kept
		buf.release(true)
	}
	if batch = c.out.take(batch, 0); batch != nil {
		c.handOver(batch, 0)
	}
}

// handOver makes another goroutine the flusher. It begins with the batch, of
// whose first buffer the bytes before from are written.
func (c *Conn) handOver(batch []*buffer, from int) {
	c.opt.Go(func() {
		c.flushAll(batch, c.writeBatch(batch, from))
	})
}

// writeOnce gives the kernel as much of b as it takes at once. That needs no
// deadline, but one that has passed would refuse it.
func (c *Conn) writeOnce(b []byte) (int, error) {
	if c.out.deadline != 0 {
		if err := c.armWrite(); err != nil {
			return 0, err
		}
	}
	w := onceWrites.Get().(*onceWrite)
	w.b, w.n, w.err = b, 0, nil
	err := c.raw.Write(w.tryIt)
	if err == nil {
		err = w.err
	}
	n := w.n
	w.b = nil
	onceWrites.Put(w)
	return n, err
}

// onceWrite is an attempt to write. It is pooled with its closure, which would
// be an allocation for each.
type onceWrite struct {
	tryIt func(fd uintptr) bool // try
	b     []byte
	n     int   // what it wrote
	err   error // what it met
}

var onceWrites = sync.Pool{New: func() any {
	w := new(onceWrite)
	w.tryIt = w.try
	return w
}}

// Flush returns when the kernel has every byte that was queued before the
// call, or the Conn has failed, or ctx ends.
func (c *Conn) Flush(ctx context.Context) error {
	c.out.mu.Lock()
	target := c.out.accepted
	c.out.mu.Unlock()
	c.FlushSoon()
	return c.waitWritten(ctx, target)
}

func (c *Conn) waitWritten(ctx context.Context, target uint64) error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.written < target {
		if o.err != nil {
			return o.err
		}
		progress := o.progress.Wait()
		o.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		o.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Queued returns how many bytes wait to be written.
func (c *Conn) Queued() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.waiting()
}

// Write writes raw bytes after the frames that are queued, and returns when
// the kernel has them.
func (c *Conn) Write(b []byte) (int, error) {
	frame := getBuffer(len(b))
	frame.B = append(frame.B, b...)
	target, flusher, err := c.out.commit(c, nil, frame, mayWait)
	if flusher {
		c.flushFor(context.Background(), mayWait)
	}
	if err == nil {
		err = c.waitWritten(context.Background(), target)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
