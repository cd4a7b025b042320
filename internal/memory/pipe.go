// Package memory has connections within a process: those of tptest, and of the
// addresses "mem://name".
package memory

import (
	"net"
	"time"
)

// Pipe returns both ends of a connection, as tptest.Pipe says.
func Pipe() (a, b net.Conn) { return pipe(newAddr(), newAddr()) }

func pipe(aAddr, bAddr Addr) (a, b *pipeEnd) {
	ab, ba := newStream(), newStream()
	return &pipeEnd{in: ba, out: ab, local: aAddr, remote: bAddr},
		&pipeEnd{in: ab, out: ba, local: bAddr, remote: aAddr}
}

// pipeEnd is one end of a Pipe.
type pipeEnd struct {
	in, out       *stream
	local, remote Addr
}

var _ interface {
	net.Conn
	CloseWrite() error
} = new(pipeEnd)

func (e *pipeEnd) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *pipeEnd) Write(b []byte) (int, error) { return e.out.write(b) }
func (e *pipeEnd) LocalAddr() net.Addr         { return e.local }
func (e *pipeEnd) RemoteAddr() net.Addr        { return e.remote }

// Close ends both directions.
func (e *pipeEnd) Close() error {
	e.out.endWrite()
	e.in.endRead()
	return nil
}

// CloseWrite tells the other end that nothing more will come.
func (e *pipeEnd) CloseWrite() error {
	e.out.endWrite()
	return nil
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (e *pipeEnd) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

// SetReadDeadline bounds what reads now and later; the zero time is no bound.
func (e *pipeEnd) SetReadDeadline(t time.Time) error {
	e.in.setDeadline(&e.in.readDeadline, t)
	return nil
}

// SetWriteDeadline bounds what writes now and later; the zero time is no bound.
func (e *pipeEnd) SetWriteDeadline(t time.Time) error {
	e.out.setDeadline(&e.out.writeDeadline, t)
	return nil
}
