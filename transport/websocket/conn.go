package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// farewell is how long the last words of a conn may take.
const farewell = time.Second

// conn is a net.Conn whose bytes are the contents of binary messages. A Write is one
// message.
//
// Close is immediate, and the other side may lose what it has not read yet; CloseWrite
// is the orderly end. A conn whose deadline has cut off a Read or Write is of no more
// use. A Read fails with io.EOF when the other side has closed the WebSocket with
// status 1000, 1001 or none, with io.ErrUnexpectedEOF when the connection ended
// without that.
//
// One goroutine comes and goes: the ping, from a timer. Close ends it and waits for it.
type conn struct {
	ws     *websocket.Conn
	below  *stream // that ws is on
	client bool    // this side has dialled
	remote net.Addr
	set    *settings

	readMu  sync.Mutex // one reader at a time; protects following
	message io.Reader  // the rest of the message being read, or nil
	readErr error      // ended reading

	reading atomic.Bool           // a Read is under way
	reads   atomic.Int64          // how many have begun
	cause   atomic.Pointer[error] // of the end, if this side has ended it

	writeMu sync.Mutex // one message at a time; protects following
	ended   bool       // CloseWrite was called

	mu            sync.Mutex // protects following
	writing       bool       // a Write is under way
	writeDeadline time.Time
	pinger        *time.Timer // nil if there are no pings
	closed        bool

	pings sync.WaitGroup // under way; grows under mu, and not when closed
}

// newConn returns a conn on ws, which is on below.
func newConn(ws *websocket.Conn, below *stream, client bool, remote net.Addr, set *settings) *conn {
	ws.SetReadLimit(set.ReadLimit)
	c := &conn{ws: ws, below: below, client: client, remote: remote, set: set}
	if set.PingInterval > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pinger = time.AfterFunc(set.PingInterval, c.ping)
	}
	return c
}

// Read reads bytes of one message.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.reads.Add(1)
	c.reading.Store(true)
	defer c.reading.Store(false)
	c.below.overhead.begin(len(b))
	for c.readErr == nil {
		n, err := c.readMessage(b)
		if err != nil {
			// What of a frame came before the error is still masked.
			c.readErr = c.readError(err)
		} else if n > 0 {
			return n, nil
		}
	}
	return 0, c.readErr
}

// readMessage returns 0 and nil at the end of a message.
func (c *conn) readMessage(b []byte) (int, error) {
	if c.message == nil {
		kind, message, err := c.ws.Reader(context.Background())
		if err != nil {
			return 0, err
		}
		if kind != websocket.MessageBinary {
			c.refuse(websocket.StatusUnsupportedData, "a text message; packets are binary")
			return 0, errors.New("a text message came; packets are binary")
		}
		c.message = message
	}
	n, err := c.message.Read(b)
	c.below.overhead.contents(n)
	if err == io.EOF {
		c.message, err = nil, nil
	}
	return n, err
}

// readError returns what a Read tells of an error.
func (c *conn) readError(err error) error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	if flood := c.below.overhead.flood; flood != nil {
		c.refuse(websocket.StatusPolicyViolation, "too many pings, or empty or tiny messages")
		return flood
	}
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return io.EOF
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("websocket: %w", err)
}

// Write writes b as one message. If it fails, none or a part of it is out.
func (c *conn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.ended {
		return 0, net.ErrClosed
	}
	c.beginWrite()
	defer c.endWrite()
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, b); err != nil {
		if cause := c.cause.Load(); cause != nil {
			return 0, *cause
		}
		return 0, fmt.Errorf("websocket: %w", err)
	}
	return len(b), nil
}

// The deadline is that of Writes alone: the conn below also carries pings, pongs and
// close frames, which must not fail because the last Write had one.

func (c *conn) beginWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = true
	if !c.writeDeadline.IsZero() {
		_ = c.below.SetWriteDeadline(c.writeDeadline)
	}
}

func (c *conn) endWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if !c.writeDeadline.IsZero() {
		_ = c.below.SetWriteDeadline(time.Time{})
	}
}

// SetWriteDeadline sets the deadline of Writes, of the one under way too.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	if c.writing {
		return c.below.SetWriteDeadline(t)
	}
	return nil
}

// SetReadDeadline sets the deadline of Reads.
func (c *conn) SetReadDeadline(t time.Time) error { return c.below.SetReadDeadline(t) }

// SetDeadline sets both.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// CloseWrite sends a close frame, after the Write that is under way: the other side reads
// what was written and then io.EOF. It sends no more when it has answered; what it has
// sent before is still read here, and then io.EOF.
func (c *conn) CloseWrite() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.isClosed() {
		return net.ErrClosed
	}
	c.ended = true
	_ = c.below.SetWriteDeadline(time.Now().Add(farewell))
	return c.below.end(c.client)
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close closes the conn at once.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	if c.pinger != nil {
		c.pinger.Stop()
	}
	c.mu.Unlock()
	// First what is below: then nothing in ws waits any more.
	err := c.below.Conn.Close()
	_ = c.ws.CloseNow()
	c.pings.Wait()
	if errors.Is(err, net.ErrClosed) { // the close handshake has done it
		return nil
	}
	return err
}

// refuse closes the WebSocket, and lets the other side know why. It is the reader's.
func (c *conn) refuse(code websocket.StatusCode, reason string) {
	c.below.overhead.lenient = true // what comes until the other side has heard it is thrown away
	c.below.refused.Store(true)
	_ = c.below.SetDeadline(time.Now().Add(farewell))
	_ = c.ws.Close(code, reason)
}

// fail ends the conn with an error that Read and Write return.
func (c *conn) fail(err error) {
	c.cause.CompareAndSwap(nil, &err)
	_ = c.below.Conn.Close()
}

// ping is run by the timer.
func (c *conn) ping() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.pings.Add(1)
	c.mu.Unlock()
	defer c.pings.Done()
	reads := c.reads.Load()
	ctx, cancel := context.WithTimeout(context.Background(), c.set.PingTimeout)
	defer cancel()
	err := c.ws.Ping(ctx)
	// If one Read has waited all the time, and nothing came, not even the answer, then
	// nobody is there. If nobody was reading, the answer may wait to be read.
	if err != nil && ctx.Err() != nil && c.reading.Load() && c.reads.Load() == reads {
		c.fail(fmt.Errorf("websocket: the other side did not answer a ping in %v", c.set.PingTimeout))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.pinger.Reset(c.set.PingInterval)
	}
}

// LocalAddr returns the address of this side.
func (c *conn) LocalAddr() net.Addr { return c.below.LocalAddr() }

// RemoteAddr returns the address of the other side: of the client, if it came through
// a trusted proxy.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// NetConn returns the conn below, under TLS too, for the options of TCP. Reading or
// writing it breaks the conn.
func (c *conn) NetConn() net.Conn {
	below := c.below.Conn
	for {
		outer, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			return below
		}
		below = outer.NetConn()
	}
}
