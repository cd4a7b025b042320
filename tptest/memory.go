package tptest

import (
	"context"
	"net"

	"github.com/henrylee2cn/teleport/internal/memory"
)

// Pipe returns both ends of a connection in memory. Unlike net.Pipe it has a
// buffer of 64 KiB in each direction, so that both ends may write before they
// read, and its ends have a method CloseWrite, after which the other end reads
// what is left and then io.EOF, and can still write.
//
// What was written before an end was closed can be read from the other. A write
// to an end that is closed is io.ErrClosedPipe, a use of this end after it was
// closed net.ErrClosed, and a deadline that has passed os.ErrDeadlineExceeded.
// The ends have no goroutine, and are safe for concurrent use.
func Pipe() (a, b net.Conn) { return memory.Pipe() }

// Listener is a net.Listener in memory: what it accepts are the other ends of
// what its Dial returns, as of Pipe. It is safe for concurrent use, and must
// be closed. The zero value does not work: use NewListener.
type Listener struct{ lis *memory.Listener }

var _ net.Listener = new(Listener)

// NewListener returns a Listener. It has no goroutine.
func NewListener() *Listener { return &Listener{memory.NewListener()} }

// Accept waits for the next Dial. The error is net.ErrClosed, wrapped, when the
// Listener is closed.
func (l *Listener) Accept() (net.Conn, error) { return l.lis.Accept() }

// Dial returns a connection when Accept has taken the other end. It fails when
// ctx ends, with its error, or the Listener is closed, with net.ErrClosed,
// wrapped.
//
// Peer.ServeConn makes a session of the connection, for which the PostAccept
// plugins run. For those of PostDial, and to dial again, Peer.Dial knows addresses in
// memory too: "mem://name".
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) { return l.lis.Dial(ctx) }

// Close ends what waits in Accept and Dial. Connections live on. Closing again
// does nothing.
func (l *Listener) Close() error { return l.lis.Close() }

// Addr returns the address, "memory:" and a number that no other Listener or
// connection of the process has.
func (l *Listener) Addr() net.Addr { return l.lis.Addr() }
