package socket

import (
	"io"
	"sync"

	"github.com/valyala/bytebufferpool"
)

const (
	// readBufferSize is that of the pooled buffer that a busy conn reads
	// through; an idle one has none. 64 KiB is 1.4 times as fast as 4 KiB
	// when many small packets arrive together.
	readBufferSize = 64 << 10
	// smallReadBufferSize is that of the buffer which a conn keeps when it
	// cannot tell whether it is idle (TLS, net.Pipe).
	smallReadBufferSize = 4 << 10
	// maxPooledBuffer bounds what a pooled buffer may pin.
	maxPooledBuffer = 256 << 10
	// firstRead bounds what is allocated on the word of a length prefix alone.
	firstRead = 16 << 10
)

var readBuffers = sync.Pool{New: func() any { return new([readBufferSize]byte) }}

// getBuffer returns a buffer for one packet, from a pool that learns which
// sizes are in use.
func getBuffer() *bytebufferpool.ByteBuffer { return bytebufferpool.Get() }

func putBuffer(b *bytebufferpool.ByteBuffer) {
	if cap(b.B) <= maxPooledBuffer {
		bytebufferpool.Put(b)
	}
}

// queueBuffers holds the buffers of outgoing queues. They grow to hold many
// frames, so a pool that keeps to the sizes of most would drop just those.
var queueBuffers = sync.Pool{New: func() any { return new(queueBuffer) }}

// queueBuffer is frames in a row.
type queueBuffer struct{ b []byte }

func putQueue(q *queueBuffer) {
	if cap(q.b) <= maxPooledBuffer {
		q.b = q.b[:0]
		queueBuffers.Put(q)
	}
}

// readGrowing reads n bytes into b.B. Its memory grows with what arrived: at
// most twice that and firstRead.
func readGrowing(r io.Reader, b *bytebufferpool.ByteBuffer, n int) error {
	b.B = b.B[:0]
	for len(b.B) < n {
		next := min(n, max(2*len(b.B), firstRead, cap(b.B)))
		if next > cap(b.B) {
			grown := make([]byte, len(b.B), next)
			copy(grown, b.B)
			b.B = grown
		}
		got, err := io.ReadFull(r, b.B[len(b.B):next])
		b.B = b.B[:len(b.B)+got]
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
