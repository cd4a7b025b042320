package zstd

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxBlock is the most bytes that a block of a frame stands for: 128 KiB.
const maxBlock = 128 << 10

var (
	errTrailing   = errors.New("zstd: there are bytes after the frame")
	errSkippable  = errors.New("zstd: the frame is one to skip")
	errDictionary = errors.New("zstd: the frame needs a dictionary")
	errReserved   = errors.New("zstd: a block is of the type that is reserved")
	errLength     = errors.New("zstd: the frame says another length than its blocks can have")
	errShort      = fmt.Errorf("zstd: %w", io.ErrUnexpectedEOF)
)

// bounds is how many bytes a frame stands for: the same twice if it says so.
type bounds struct{ least, most uint64 }

// measure goes over the headers of a frame and of its blocks without decompressing
// (RFC 8878, chapter 3.1.1). src must be exactly one frame.
func measure(src []byte) (bounds, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // for nobody to take it for the end of a connection
		}
		return bounds{}, fmt.Errorf("zstd: %w", err)
	}
	switch {
	case h.Skippable:
		return bounds{}, errSkippable
	case h.DictionaryID != 0:
		return bounds{}, errDictionary
	}
	rest := src[h.HeaderSize:]
	var b bounds
	for last := false; !last; {
		if len(rest) < 3 {
			return bounds{}, errShort
		}
		head := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		rest = rest[3:]
		last = head&1 != 0
		size := int(head >> 3)
		taken := size
		switch head >> 1 & 3 {
		case 0: // as it is
			b.least += uint64(size)
			b.most += uint64(size)
		case 1: // a byte that is repeated
			b.least += uint64(size)
			b.most += uint64(size)
			taken = 1
		case 2: // compressed
			b.most += maxBlock
		default:
			return bounds{}, errReserved
		}
		if taken > len(rest) {
			return bounds{}, errShort
		}
		rest = rest[taken:]
	}
	sum := 0
	if h.HasCheckSum {
		sum = 4
	}
	switch {
	case len(rest) < sum:
		return bounds{}, errShort
	case len(rest) > sum:
		return bounds{}, errTrailing
	case !h.HasFCS:
		return b, nil
	case h.FrameContentSize < b.least, h.FrameContentSize > b.most:
		return bounds{}, errLength
	}
	return bounds{h.FrameContentSize, h.FrameContentSize}, nil
}
