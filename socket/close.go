package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrProactivelyCloseSocket says that this side has closed the Socket. It
// matches net.ErrClosed.
var ErrProactivelyCloseSocket = fmt.Errorf("socket: closed by this side: %w", net.ErrClosed)

// Close closes the Conn at once: what is queued is lost, and what the other
// side sent and nobody read makes the kernel reset the connection. Flush,
// CloseWrite and reading to io.EOF come first where that matters. Closing
// again does nothing.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.out.fail(ErrProactivelyCloseSocket)
	if err := c.closeBelow(); !errors.Is(err, net.ErrClosed) { // as a failed write leaves it
		return err
	}
	return nil
}

// closeBelow closes the conn, and wakes a Proto that waits for something else.
func (c *Conn) closeBelow() error {
	err := c.conn.Close()
	if closer, ok := c.proto.(io.Closer); ok {
		_ = closer.Close()
	}
	return err
}

// Linger tells the other side that nothing more will come, and reads what that still
// sends, to drop it, until it closes too, at most for d: what is unread when a conn is
// closed makes the kernel reset the connection, and what was just written is lost. It
// is for the goroutine that reads, when it reads no more packets.
func (c *Conn) Linger(d time.Duration) {
	if !c.CloseWrite() || c.conn.SetReadDeadline(time.Now().Add(d)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.conn)
}

// EndWrite makes every write from now on fail, with an error that matches
// net.ErrClosed. What is queued is still written, and reading goes on. Flush
// and CloseWrite follow: a write after CloseWrite that was not refused would
// meet a broken pipe, and end the Conn.
func (c *Conn) EndWrite() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.ended = true
	c.out.progress.Tell()
}

// CloseWrite tells the other side that nothing more will come, after what the
// kernel has. It reports false when the conn cannot (net.Pipe).
func (c *Conn) CloseWrite() bool {
	half, ok := c.conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// PeerLeft reports whether the other side has closed or reset the connection,
// also while bytes of it are unread. False may mean that it cannot be told: it
// can for TCP and unix conns on Linux, under TLS too.
func (c *Conn) PeerLeft() bool {
	raw := c.raw
	if raw == nil {
		raw = rawConn(lowest(c.conn))
	}
	left := false
	return raw != nil && raw.Control(func(fd uintptr) { left = hasLeft(int(fd)) }) == nil && left
}
