package memory

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// Listener is a net.Listener in memory: what it accepts are the other ends of
// what its Dial returns, as of Pipe. It is safe for concurrent use, and must
// be closed. It has no goroutine.
type Listener struct {
	addr   Addr
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = new(Listener)

// NewListener returns a Listener that has a number, and no name.
func NewListener() *Listener { return newListener(newAddr()) }

func newListener(addr Addr) *Listener {
	return &Listener{addr: addr, queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next Dial. The error is net.ErrClosed, wrapped, when the
// Listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, l.addr.opError("accept", net.ErrClosed)
	}
}

// Dial returns a connection when Accept has taken the other end. It fails when
// ctx ends, with its error, or the Listener is closed, with net.ErrClosed,
// wrapped.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	near, far := pipe(newAddr(), l.addr)
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
		return nil, l.addr.opError("dial", net.ErrClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends what waits in Accept and Dial. Connections live on. Closing again
// does nothing.
func (l *Listener) Close() error {
	l.once.Do(func() {
		names.CompareAndDelete(l.addr, l)
		close(l.closed)
	})
	return nil
}

// Addr returns the address.
func (l *Listener) Addr() net.Addr { return l.addr }

// Addr is the address of a Listener or of an end of a connection: "mem://" and the
// name, or "memory:" and a number that no other one of the process has.
type Addr string

var lastAddr atomic.Uint64

func newAddr() Addr { return Addr("memory:" + strconv.FormatUint(lastAddr.Add(1), 10)) }

// Network returns "memory".
func (Addr) Network() string { return "memory" }

// String returns the address.
func (a Addr) String() string { return string(a) }

func (a Addr) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: a.Network(), Addr: a, Err: err}
}
