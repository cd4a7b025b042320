// Package s2 is the transfer filter 's', which compresses packets in the block format
// of S2 (https://github.com/klauspost/compress/tree/master/s2), an extension of
// Snappy. It compresses less than gzip or zstd, in a small part of the time.
// Importing it registers it:
//
//	import "github.com/henrylee2cn/teleport/xfer/s2"
//
//	sess.Pull("/report", nil, &report, tp.WithXferPipe(s2.ID))
//
// A block has no checksum: what damage does to it is not always an error. TCP and TLS
// have their own; elsewhere put package crc32c in front, as in
// tp.WithXferPipe(crc32c.ID, s2.ID).
package s2

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/henrylee2cn/teleport/xfer"
)

const (
	// ID is the id of the filter.
	ID = 's'
	// DefaultLimit is the most bytes that OnUnpack makes: 16 MiB.
	DefaultLimit = 16 << 20
	// modest is up to where a length is believed before it was counted: 64 KiB.
	modest = 64 << 10
)

// errCorrupt is the error about a block that is damaged.
var errCorrupt = errors.New("s2: the block is damaged")

// Filter compresses packets: each is one block. It has no state, and keeps no memory
// between packets.
type Filter struct{}

var (
	_ xfer.XferFilter    = Filter{}
	_ xfer.LimitUnpacker = Filter{}
)

func init() { xfer.Reg(Filter{}) }

// Id returns ID.
func (Filter) Id() byte { return ID }

// OnPack returns src compressed, as one complete block: also if src is empty.
func (Filter) OnPack(src []byte) ([]byte, error) {
	if s2.MaxEncodedLen(len(src)) < 0 {
		return nil, fmt.Errorf("s2: %d bytes are too many for a block", len(src))
	}
	return s2.Encode(nil, src), nil
}

// OnUnpack is OnUnpackLimit with a limit of DefaultLimit bytes.
func (f Filter) OnUnpack(src []byte) ([]byte, error) {
	return f.OnUnpackLimit(src, DefaultLimit)
}

// OnUnpackLimit returns what was compressed to make src, at most max bytes: if there
// are more, the error wraps xfer.ErrExceedLimit. src must be exactly one complete
// block of S2, or of Snappy.
//
// Memory is taken once, for as many bytes as the block says. If these are many, it is
// counted before whether they come.
func (Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if max < 0 {
		max = 0
	}
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, errCorrupt
	}
	if n > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", xfer.ErrExceedLimit, n, max)
	}
	if n > modest && n/4 > len(src) && count(src) != uint64(n) {
		return nil, errCorrupt
	}
	dst, err := s2.Decode(make([]byte, 0, n), src)
	if err != nil {
		return nil, errCorrupt
	}
	return dst, nil
}
