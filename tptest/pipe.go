package tptest

import (
	"net"
	"time"
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
func Pipe() (a, b net.Conn) { return pipe(newAddr(), newAddr()) }

func pipe(aAddr, bAddr memoryAddr) (a, b *pipeEnd) {
	ab, ba := newStream(), newStream()
	return &pipeEnd{in: ba, out: ab, local: aAddr, remote: bAddr},
		&pipeEnd{in: ab, out: ba, local: bAddr, remote: aAddr}
}

// pipeEnd is one end of a Pipe.
type pipeEnd struct {
	in, out       *stream
	local, remote memoryAddr
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
