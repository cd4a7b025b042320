// Package lookahead shows what has arrived before it is taken, for Protos whose packets
// end where their content says.
package lookahead

import (
	"bufio"
	"io"
)

// Reader is the part of socket.Stream that shows what has arrived.
type Reader interface {
	io.Reader
	LookAhead() ([]byte, error)
	Discard(n int)
}

// New returns r itself if it is a Reader, and else one that buffers what it reads of r.
func New(r io.Reader) Reader {
	if ahead, ok := r.(Reader); ok {
		return ahead
	}
	return buffered{bufio.NewReader(r)}
}

type buffered struct{ r *bufio.Reader }

func (b buffered) LookAhead() ([]byte, error) {
	if _, err := b.r.Peek(1); err != nil {
		return nil, err
	}
	return b.r.Peek(b.r.Buffered())
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// Discard never fails: n is at most what LookAhead has returned.
func (b buffered) Discard(n int) { _, _ = b.r.Discard(n) }
