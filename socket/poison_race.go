//go:build race

package socket

import "bytes"

var poisonBytes = bytes.Repeat([]byte{0xdb}, readBufferSize)

// poison overwrites memory that goes back to its pool.
func poison(b []byte) {
	for b = b[:cap(b)]; len(b) > 0; {
		b = b[copy(b, poisonBytes):]
	}
}
