package quic

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	quicgo "github.com/quic-go/quic-go"
)

// preface is what the side that dialled writes before its first packet: a stream on
// which nothing was sent is not there for the other side, which may be the first
// that has something to say.
const preface = 't'

// closeWait is the most that Close waits for the other side.
const closeWait = time.Second

// conn is a session's stream, with the connection that it is alone on.
//
// No goroutine belongs to it while it lives. Close starts one (finish), which ends
// within linger.
type conn struct {
	qc            *quicgo.Conn
	stream        *quicgo.Stream
	local, remote net.Addr
	linger        time.Duration
	free          func() // gives up what a conn holds; called once, at its end

	ended atomic.Bool // io.EOF was read
	done  sync.Once   // see sayDone

	writing sync.Mutex // one Write, or the end of it, at a time; protects following
	cutOff  bool       // a Write has left a part out
	shut    bool       // no more is written

	mu     sync.Mutex // protects following
	closed bool
}

func newConn(qc *quicgo.Conn, stream *quicgo.Stream, local, remote net.Addr, linger time.Duration, free func()) *conn {
	return &conn{qc: qc, stream: stream, local: local, remote: remote, linger: linger, free: free}
}

// LocalAddr returns the local address, a *net.UDPAddr.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other side when it connected, a *net.UDPAddr.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Read reads what the other side has written, and io.EOF at its end.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	if err == io.EOF {
		c.ended.Store(true)
		c.sayDone()
		if n > 0 {
			err = nil
		}
	}
	return n, c.wrapError("read", err)
}

// Write writes b. When it has returned, b is sent or about to be, and is not used any
// more.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.stream.Write(b)
	if n < len(b) {
		c.cutOff = true
	}
	return n, c.wrapError("write", err)
}

// CloseWrite tells the other side that nothing more will come after what was written.
func (c *conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.isClosed() {
		return c.wrapError("close", net.ErrClosed)
	}
	c.endWrite()
	return nil
}

// endWrite ends the writing; writing is held. A stream with a hole ends with a reset:
// it must not look whole.
func (c *conn) endWrite() {
	if c.shut {
		return
	}
	c.shut = true
	if c.cutOff {
		c.stream.CancelWrite(codeNone)
		return
	}
	_ = c.stream.Close() // it has not been closed, or else it has failed
}

// Close closes the conn: see Transport.Listen.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.wrapError("close", net.ErrClosed)
	}
	c.closed = true
	_ = c.stream.SetWriteDeadline(time.Unix(1, 0)) // a Write that waits gives up
	c.mu.Unlock()
	c.stream.CancelRead(codeNone)
	c.sayDone()
	c.writing.Lock()
	c.endWrite()
	c.writing.Unlock()
	finished := make(chan struct{})
	go func() { // see conn
		defer close(finished)
		c.finish()
	}()
	if c.ended.Load() {
		wait := time.NewTimer(closeWait)
		defer wait.Stop()
		select {
		case <-finished:
		case <-wait.C:
		}
	}
	return nil
}

// sayDone tells the other side that nothing more of what it has written is wanted: all of
// it was read, or this side has closed. Whoever has written and closed must wait for
// that, since closing a connection of QUIC loses what has not arrived, and also what
// has arrived but was not read. It is said by a stream on which nothing is sent.
func (c *conn) sayDone() {
	c.done.Do(func() {
		if stream, err := c.qc.OpenUniStream(); err == nil {
			_ = stream.Close()
		}
	})
}

// finish closes the connection when the other side is done, or linger is over.
func (c *conn) finish() {
	bound, cancel := context.WithTimeout(c.qc.Context(), c.linger)
	defer cancel()
	_, _ = c.qc.AcceptUniStream(bound) // an error too is a reason to close
	_ = c.qc.CloseWithError(codeNone, "")
	c.free()
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(t, c.stream.SetDeadline) }

// SetReadDeadline sets until when a Read may wait; zero is no bound.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, c.stream.SetReadDeadline)
}

// SetWriteDeadline sets until when a Write may wait; zero is no bound. A Write that has
// waited longer may have written a part.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, c.stream.SetWriteDeadline)
}

func (c *conn) setDeadline(t time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return &net.OpError{Op: "set", Net: Scheme, Source: c.local, Addr: c.remote, Err: net.ErrClosed}
	}
	return set(t)
}
