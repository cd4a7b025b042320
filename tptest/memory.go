package tptest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Listener is a net.Listener in memory: what it accepts are the other ends of
// what its Dial returns, as of Pipe. It is safe for concurrent use, and must
// be closed. The zero value does not work: use NewListener.
type Listener struct {
	addr   memoryAddr
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = new(Listener)

// NewListener returns a Listener. It has no goroutine.
func NewListener() *Listener {
	return &Listener{addr: newAddr(), queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next Dial. The error is net.ErrClosed, wrapped, when the
// Listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, l.errClosed("accept")
	}
}

// Dial returns a connection when Accept has taken the other end. It fails when
// ctx ends, with its error, or the Listener is closed, with net.ErrClosed,
// wrapped.
//
// Peer.Dial knows only TCP; Peer.ServeConn makes a session of the connection,
// for which the PostAccept plugins run, not those of PostDial.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	near, far := pipe(newAddr(), l.addr)
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
		return nil, l.errClosed("dial")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends what waits in Accept and Dial. Connections live on. Closing again
// does nothing.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the address, "memory:" and a number that no other Listener or
// connection of the process has.
func (l *Listener) Addr() net.Addr { return l.addr }

func (l *Listener) errClosed(op string) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

// memoryAddr is the address of a Listener or of an end of a connection.
type memoryAddr uint64

var lastAddr atomic.Uint64

func newAddr() memoryAddr { return memoryAddr(lastAddr.Add(1)) }

// Network returns "memory".
func (memoryAddr) Network() string { return "memory" }

// String returns "memory:" and the number.
func (a memoryAddr) String() string { return fmt.Sprintf("memory:%d", uint64(a)) }
