// Package crc32c is the transfer filter 'c', a checksum over each packet that goes
// through it. Importing it registers it:
//
//	import "github.com/henrylee2cn/teleport/xfer/crc32c"
//
//	sess.Pull("/add", args, &sum, tp.WithXferPipe(crc32c.ID, 'g'))
//
// Ids are in the order in which they stand on the wire, the outermost first: here
// the sum is over the compressed bytes, so that damage is found before they are
// decompressed.
//
// It finds damage by machines, not by people: anyone can make a checksum that fits.
// Package aesgcm is for those.
package crc32c

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/henrylee2cn/teleport/xfer"
)

// ID is the id of the filter.
const ID = 'c'

// sumLen is the length of the checksum.
const sumLen = 4

// ErrMismatch is wrapped by the error about a packet that does not fit its checksum.
var ErrMismatch = errors.New("crc32c: the checksum does not match")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Filter ends a packet with the CRC-32C of its bytes (RFC 3720, appendix B.4: the
// polynomial of Castagnoli, for which processors have an instruction), in 4 bytes,
// big-endian. Every change of up to 32 bits in a row is found, and any other but
// for one in 2^32. It has no state.
type Filter struct{}

var (
	_ xfer.XferFilter    = Filter{}
	_ xfer.LimitUnpacker = Filter{}
)

func init() { xfer.Reg(Filter{}) }

// Id returns ID.
func (Filter) Id() byte { return ID }

// OnPack returns src and its checksum.
func (Filter) OnPack(src []byte) ([]byte, error) {
	dst := make([]byte, 0, len(src)+sumLen)
	dst = append(dst, src...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(src, castagnoli)), nil
}

// OnUnpack returns src without its checksum, which must match.
func (Filter) OnUnpack(src []byte) ([]byte, error) {
	n := len(src) - sumLen
	if n < 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, the packet %d", ErrMismatch, sumLen, len(src))
	}
	if binary.BigEndian.Uint32(src[n:]) != crc32.Checksum(src[:n], castagnoli) {
		return nil, ErrMismatch
	}
	return src[:n:n], nil
}

// OnUnpackLimit is OnUnpack for a result of at most max bytes.
func (f Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if n := len(src) - sumLen; n > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", xfer.ErrExceedLimit, n, max)
	}
	return f.OnUnpack(src)
}
