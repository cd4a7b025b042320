// Package zstd is the transfer filter 'z', which compresses packets in the format of
// Zstandard (RFC 8878) by means of github.com/klauspost/compress. It compresses
// better than gzip in less time. Importing it registers it:
//
//	import "github.com/henrylee2cn/teleport/xfer/zstd"
//
//	sess.Pull("/report", nil, &report, tp.WithXferPipe(zstd.ID))
package zstd

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/henrylee2cn/teleport/xfer"
)

const (
	// ID is the id of the filter.
	ID = 'z'
	// DefaultLimit is the most bytes that OnUnpack makes: 16 MiB.
	DefaultLimit = 16 << 20
	// window is how far back compression looks for what comes again: 1 MiB. A
	// compressor has twice that at most, besides its tables.
	window = 1 << 20
	// slack is room behind the result, with which the decoder takes a faster way.
	slack = 16
)

// Filter compresses packets: each is one frame, with its length and a checksum of 32
// bits. Every Filter reads what any other wrote, so the level is a matter of the
// sender alone.
//
// A Filter is safe for concurrent use. It has a compressor for each processor, of 1 to
// 9 MB by the level when it has been used, and all have a decompressor for each
// processor together; more calls at a time wait for one. The zero value does not work:
// use New.
type Filter struct {
	enc *zstd.Encoder
}

var (
	_ xfer.XferFilter    = (*Filter)(nil)
	_ xfer.LimitUnpacker = (*Filter)(nil)
)

// decoder is of all filters. It makes no more than there is room for.
var decoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
	zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderMaxWindow(1<<40)))

func init() { xfer.Reg(must(New(1))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// New returns a filter that compresses with a level of 1 (fastest, the one that is
// registered) to 4 (smallest). Every other level is an error. Use xfer.Replace to
// make it the one that packets use.
func New(level int) (*Filter, error) {
	if level < int(zstd.SpeedFastest) || level > int(zstd.SpeedBestCompression) {
		return nil, fmt.Errorf("zstd: level %d: choose one from %d to %d", level, zstd.SpeedFastest, zstd.SpeedBestCompression)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &Filter{enc}, nil
}

// Id returns ID.
func (f *Filter) Id() byte { return ID }

// OnPack returns src compressed, as one complete frame: also if src is empty.
func (f *Filter) OnPack(src []byte) ([]byte, error) {
	return f.enc.EncodeAll(src, make([]byte, 0, len(src)/2+64)), nil
}

// OnUnpack is OnUnpackLimit with a limit of DefaultLimit bytes.
func (f *Filter) OnUnpack(src []byte) ([]byte, error) {
	return f.OnUnpackLimit(src, DefaultLimit)
}

// OnUnpackLimit returns what was compressed to make src, at most max bytes: if there
// are more, the error wraps xfer.ErrExceedLimit. src must be exactly one complete
// frame without a dictionary; its length and its checksum, if it has them, are
// verified.
//
// Memory is taken once, for as many bytes as the frame says; one that says more than
// its blocks can hold is refused before. A frame that does not say it, as programs
// write that do not know it yet, may take twice max and a quarter before it is refused.
func (f *Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if max < 0 {
		max = 0
	}
	length, err := measure(src)
	if err != nil {
		return nil, err
	}
	if length.least > uint64(max) {
		return nil, fmt.Errorf("%w: at least %d bytes, at most %d are allowed", xfer.ErrExceedLimit, length.least, max)
	}
	// With room for another block, what is too much is seen, and is no error of
	// the decoder.
	room := min(length.most, uint64(max)+maxBlock)
	dst, err := decoder.DecodeAll(src, make([]byte, 0, room+slack))
	if len(dst) > max {
		return nil, fmt.Errorf("%w: at least %d bytes, at most %d are allowed", xfer.ErrExceedLimit, max+1, max)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // for nobody to take it for the end of a connection
	}
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return dst, nil
}
