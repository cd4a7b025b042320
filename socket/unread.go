package socket

import (
	"net"
	"sync"
)

// Unread returns conn with b before what else is read of it: for who had to look at its
// first bytes. It takes b. A Conn on it reads as one on conn itself would, so a
// TCP or unix conn goes on holding no buffer while it is idle.
func Unread(conn net.Conn, b []byte) net.Conn {
	if len(b) == 0 {
		return conn
	}
	return &unreadConn{Conn: conn, unread: b}
}

// unreadConn is what Unread returns.
type unreadConn struct {
	net.Conn
	mu     sync.Mutex // protects following
	unread []byte
}

// Read reads what was unread first.
func (c *unreadConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	if len(c.unread) > 0 {
		defer c.mu.Unlock()
		n := copy(b, c.unread)
		if c.unread = c.unread[n:]; len(c.unread) == 0 {
			c.unread = nil // the conn may live long
		}
		return n, nil
	}
	c.mu.Unlock() // whoever waits holds no lock
	return c.Conn.Read(b)
}

// CloseWrite is that of the conn below, if it has one.
func (c *unreadConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// NetConn returns the conn below. What was unread is lost to it.
func (c *unreadConn) NetConn() net.Conn { return c.Conn }

// reread returns the conn below c and what was unread, if c is of Unread and that
// fits into a read buffer.
func reread(c net.Conn) (below net.Conn, unread []byte) {
	u, ok := c.(*unreadConn)
	if !ok {
		return c, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.unread) > readBufferSize {
		return c, nil
	}
	unread, u.unread = u.unread, nil
	return u.Conn, unread
}

// preload makes b what is read first. A conn that is read raw gets a buffer that goes
// back to the pool.
func (c *Conn) preload(b []byte) {
	if len(b) == 0 {
		return
	}
	if c.raw != nil {
		c.in.acquire()
	} else {
		c.in.buf = newReadBuffer(max(smallReadBufferSize, len(b)))
	}
	c.in.buf.r, c.in.buf.w = 0, copy(c.in.buf.mem, b)
	c.in.count(len(b))
}

// lowest returns the conn below all those that tell of one, as that of TLS does.
func lowest(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}
