package socket

import (
	"io"
	"math/bits"
	"sync"
)

const (
	// readBufferSize is that of the pooled buffer that a busy conn reads
	// through; an idle one has none. 64 KiB is 1.4 times as fast as 4 KiB
	// when many small packets arrive together.
	readBufferSize = 64 << 10
	// smallReadBufferSize is that of the buffer which a conn keeps when it
	// cannot tell whether it is idle (TLS, net.Pipe).
	smallReadBufferSize = 4 << 10
	// firstRead bounds what is allocated on the word of a length prefix alone.
	firstRead = 32 << 10

	// Buffers come in size classes. Each holds a power of two and a 16th more,
	// for the header of a body of that size. Larger ones than the last are not
	// kept.
	firstClass = 512
	classes    = 14 // the last is 4 MiB and a 16th
)

// buffer is pooled memory. In programs that are built with the race detector it
// is overwritten when it goes back to its pool: whoever kept a part of it sees
// that at once.
type buffer struct {
	B      []byte
	shared bool          // it is not pooled, and nobody writes to it: see Frame
	done   chan struct{} // of a lent one; closed when it is needed no more
	sent   bool          // of a lent one: the kernel has it
}

var (
	readBuffers  = sync.Pool{New: func() any { return newReadBuffer(readBufferSize) }}
	classBuffers [classes]sync.Pool // the larger ones have freeLists before
)

// getBuffer returns an empty buffer with room for n bytes.
func getBuffer(n int) *buffer {
	if class := classOf(n); class < classes {
		return getClass(class)
	}
	return &buffer{B: make([]byte, 0, n)}
}

// release is putBuffer for a flusher.
func (b *buffer) release(sent bool) {
	if b.done != nil {
		b.sent = sent
	}
	putBuffer(b)
}

func getClass(class int) *buffer {
	if b := getFree(class); b != nil {
		return b
	}
	return &buffer{B: make([]byte, 0, classSize(class))}
}

// getFree returns a pooled buffer, or nil if there is none.
func getFree(class int) *buffer {
	if class >= firstKept {
		if b := freeLists[class-firstKept].get(); b != nil {
			return b
		}
	}
	b, _ := classBuffers[class].Get().(*buffer)
	return b
}

func putBuffer(b *buffer) {
	if b.shared {
		if b.done != nil {
			close(b.done)
		}
		return
	}
	poison(b.B)
	b.B = b.B[:0]
	class := classOf(cap(b.B))
	if classSize(class) > cap(b.B) {
		class-- // the largest that it has room for
	}
	switch {
	case class < 0 || class >= classes: // too small, or too large to be kept
	case class >= firstKept && freeLists[class-firstKept].put(b):
	default:
		classBuffers[class].Put(b)
	}
}

// classOf returns the smallest class for n bytes; it may be none that is kept.
func classOf(n int) int {
	most := (n*16 + 16) / 17 // of what is at least a power of two
	return bits.Len(uint(max(most, 1)-1) / firstClass)
}

func classSize(class int) int { return firstClass<<class + firstClass<<class/16 }

// readFrame reads n bytes into a pooled buffer. What it allocates grows with
// what arrived: at most twice that and firstRead.
func readFrame(r io.Reader, n int) (*buffer, error) {
	b := getBuffer(min(n, firstRead))
	for len(b.B) < n {
		next := min(n, max(2*len(b.B), firstRead, cap(b.B)))
		if next > cap(b.B) {
			b = grow(b, next, n)
			next = min(n, cap(b.B))
		}
		got, err := io.ReadFull(r, b.B[len(b.B):next])
		b.B = b.B[:len(b.B)+got]
		if err != nil {
			putBuffer(b)
			return nil, unexpectedEOF(err)
		}
	}
	return b, nil
}

// grow returns a buffer with the content of b and room for next bytes, or for
// all n if one is pooled and a part has come. It takes b over.
func grow(b *buffer, next, n int) *buffer {
	class := classOf(next)
	grown := (*buffer)(nil)
	if all := classOf(n); len(b.B) >= firstRead && all < classes {
		grown = getFree(all)
	}
	switch {
	case grown != nil:
	case class < classes:
		grown = getClass(class)
	default:
		grown = &buffer{B: make([]byte, 0, next)}
	}
	grown.B = append(grown.B, b.B...)
	putBuffer(b)
	return grown
}
