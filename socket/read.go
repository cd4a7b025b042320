package socket

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxEmptyReads is how many Reads in a row may give neither bytes nor an error.
const maxEmptyReads = 100

// inbox is the reading half of a Conn.
type inbox struct {
	mu sync.Mutex // one reader at a time; protects following

	buf *readBuffer // nil while the conn is idle

	begun      bool // the packet being read has begun to arrive
	frameTimed bool // and its deadline is set
	timed      bool // a deadline of ours is set

	queued atomic.Bool // the reader has queued what it is to flush before it waits

	bytes   atomic.Uint64 // ever read; only the reader changes it
	packets atomic.Uint64 // ever counted: see CountRead

	ready func(fd uintptr) bool // readReady
}

// readBuffer is what was read of a conn.
type readBuffer struct {
	mem  []byte
	r, w int   // mem[r:w] is unread
	err  error // what readReady met instead
}

func newReadBuffer(size int) *readBuffer { return &readBuffer{mem: make([]byte, size)} }

// unread returns what was read and is not taken yet.
func (in *inbox) unread() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.mem[in.buf.r:in.buf.w]
}

// take takes n bytes of what is unread, as a part of a packet.
func (in *inbox) take(n int) {
	in.buf.r += n
	in.begun = true
}

// Await returns when a part of the next packet has arrived, or an error that
// ReadPacket would return. It is for the goroutine that reads, which then waits
// with nothing in hand and on a small stack. Where the Proto may have bytes of
// its own, or the conn cannot be waited for without a buffer, Await returns at
// once, and ReadPacket waits.
func (c *Conn) Await() error {
	if !c.unbuffered || c.raw == nil {
		return nil
	}
	if c.Arrived() {
		return nil
	}
	c.in.begun, c.in.frameTimed = false, false
	err := c.beforeWait()
	if err == nil {
		err = c.in.filled(c.raw.Read(c.in.ready))
	}
	if err != nil && c.closed.Load() {
		return ErrProactivelyCloseSocket
	}
	return err
}

// Arrived reports whether bytes lie ready that Await would not wait for. It is
// for the goroutine that reads.
func (c *Conn) Arrived() bool { return len(c.in.unread()) > 0 }

// FrameArrived reports whether a whole frame of FastProto without filters lies
// ready, so that ReadPacket will neither wait nor run code of the user to read a
// body that is to be held. It is for the goroutine that reads.
func (c *Conn) FrameArrived() bool {
	b := c.in.unread()
	return c.unbuffered && len(b) >= fastPrefix && b[5] == 0 && uint64(binary.BigEndian.Uint32(b)) <= uint64(len(b))
}

// lookAhead returns what has arrived and is unread, and waits if that is nothing.
// It is valid until the next Read.
func (c *Conn) lookAhead() ([]byte, error) {
	if !c.Arrived() {
		if err := c.beforeWait(); err != nil {
			return nil, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	return c.in.unread(), nil
}

// readBuffered is the only place that waits for bytes. What a Proto asks for
// is served from the buffer; when that is empty the Conn gives it back and
// waits.
func (c *Conn) readBuffered(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	in := &c.in
	if len(in.unread()) == 0 {
		if len(b) >= readBufferSize {
			return c.readDirect(b)
		}
		if err := c.beforeWait(); err != nil {
			return 0, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, in.unread())
	in.take(n)
	return n, nil
}

// readDirect reads a large body without copying it through the buffer.
func (c *Conn) readDirect(b []byte) (int, error) {
	in := &c.in
	in.release()
	if err := c.beforeWait(); err != nil {
		return 0, err
	}
	n, err := c.readConn(b)
	if n > 0 {
		in.begun = true
	}
	return n, err
}

// fill reads what has arrived into the empty buffer, after beforeWait.
func (c *Conn) fill() error {
	in := &c.in
	if c.raw != nil {
		return in.filled(c.raw.Read(in.ready))
	}
	if in.buf == nil {
		in.buf = newReadBuffer(smallReadBufferSize)
	}
	n, err := c.readConn(in.buf.mem)
	in.buf.r, in.buf.w = 0, n
	return err
}

// filled counts what a raw read, which has returned err, has put into buf, and returns
// why that is nothing. It does not read, so that an idle conn waits with a frame less.
func (in *inbox) filled(err error) error {
	if err == nil {
		err, in.buf.err = in.buf.err, nil
	}
	if err != nil {
		in.release()
		return err
	}
	in.count(in.buf.w)
	return nil
}

// readConn reads at least one byte, or fails.
func (c *Conn) readConn(b []byte) (int, error) {
	for range maxEmptyReads {
		n, err := c.conn.Read(b)
		if n > 0 {
			c.in.count(n)
			return n, nil // an error will come again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// count counts bytes that were read.
func (in *inbox) count(n int) { in.bytes.Store(in.bytes.Load() + uint64(n)) }

// CountRead counts packets that ReadPacket has returned, for Traffic. It is for the
// goroutine that reads.
func (c *Conn) CountRead(packets int) {
	c.in.packets.Store(c.in.packets.Load() + uint64(packets))
	if c.raw != nil {
		countRush(packets)
	}
}

// BytesRead returns how many bytes were ever read of the conn. While it grows the
// other side is alive.
func (c *Conn) BytesRead() uint64 { return c.in.bytes.Load() }

// PacketsRead returns what CountRead has counted.
func (c *Conn) PacketsRead() uint64 { return c.in.packets.Load() }

// Traffic is what went over a Conn.
type Traffic struct {
	// BytesIn is what was read of the conn below, BytesOut what was given to it.
	BytesIn, BytesOut uint64
	// PacketsIn is what CountRead has counted, PacketsOut the frames that were
	// queued.
	PacketsIn, PacketsOut uint64
}

// Add adds that of another Conn.
func (t *Traffic) Add(other Traffic) {
	t.BytesIn += other.BytesIn
	t.BytesOut += other.BytesOut
	t.PacketsIn += other.PacketsIn
	t.PacketsOut += other.PacketsOut
}

// Traffic returns what went over the Conn so far, and how many bytes wait to be
// written.
func (c *Conn) Traffic() (sum Traffic, queued int) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return Traffic{
		BytesIn: c.in.bytes.Load(), BytesOut: c.out.written,
		PacketsIn: c.in.packets.Load(), PacketsOut: c.out.packets,
	}, c.out.waiting()
}

// acquire takes a pooled buffer.
func (in *inbox) acquire() {
	if in.buf == nil {
		in.buf = readBuffers.Get().(*readBuffer)
	}
}

// release gives the pooled buffer back, of which all is taken. A small one is
// not pooled, and stays.
func (in *inbox) release() {
	if in.buf != nil && len(in.buf.mem) == readBufferSize {
		readBuffers.Put(in.buf)
		in.buf = nil
	}
}

// beforeWait flushes what the reader has queued and sets the read deadline:
// one for the silence before a packet, one for the whole of a packet that has
// begun.
func (c *Conn) beforeWait() error {
	in := &c.in
	if in.queued.Load() {
		in.queued.Store(false)
		c.FlushSoon()
	}
	var bound time.Duration
	if in.begun && c.opt.FrameTimeout > 0 {
		if in.frameTimed {
			return nil
		}
		in.frameTimed = true
		bound = c.opt.FrameTimeout
	} else {
		bound = c.ReadTimeout()
	}
	if bound > 0 {
		in.timed = true
		return c.conn.SetReadDeadline(time.Now().Add(bound))
	}
	if in.timed { // never one that the caller set
		in.timed = false
		return c.conn.SetReadDeadline(time.Time{})
	}
	return nil
}

// Read reads raw bytes, those that are buffered first. It is for a Socket
// whose owner speaks something else before or instead of packets.
func (c *Conn) Read(b []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.begun, c.in.frameTimed = false, false // no part of a frame
	n, err := c.readBuffered(b)
	if err != nil && c.closed.Load() {
		err = ErrProactivelyCloseSocket
	}
	return n, err
}
