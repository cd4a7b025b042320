package sniff

import (
	"context"
	"net"
	"sync"
)

// Branch is a net.Listener of the connections that a rule matches, for a server that
// takes one, such as http.Server. Its methods may be called by many goroutines. It
// must be closed, by that server or otherwise: closing the Listener does not.
//
// What it accepts under TLS is no *tls.Conn, so http.Request.TLS is nil. Its method
// NetConn returns the *tls.Conn below, for http.Server.ConnContext.
type Branch struct {
	addr   net.Addr
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = new(Branch)

// NewBranch returns a Branch with the address of the listener that it belongs to.
func NewBranch(addr net.Addr) *Branch {
	return &Branch{addr: addr, queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Hand is the Handle of a Rule: it returns nil when Accept has taken conn. It fails when
// ctx ends, or when the Branch is closed.
func (b *Branch) Hand(ctx context.Context, conn net.Conn) error {
	select {
	case b.queue <- conn:
		return nil
	case <-b.closed:
		return b.errClosed("hand")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept waits for the next connection. The error is net.ErrClosed, wrapped, when the
// Branch is closed.
func (b *Branch) Accept() (net.Conn, error) {
	select {
	case conn := <-b.queue:
		return conn, nil
	case <-b.closed:
		return nil, b.errClosed("accept")
	}
}

// Close ends what waits in Accept and Hand. Connections that were accepted live on.
func (b *Branch) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// Addr returns the address that NewBranch was given.
func (b *Branch) Addr() net.Addr { return b.addr }

func (b *Branch) errClosed(op string) error {
	return &net.OpError{Op: op, Net: b.addr.Network(), Addr: b.addr, Err: net.ErrClosed}
}
