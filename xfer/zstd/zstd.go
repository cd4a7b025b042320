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
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/henrylee2cn/teleport/xfer"
)

const (
	// ID is the id of the filter.
	ID = 'z'
	// DefaultLimit is the most bytes that OnUnpack makes: 16 MiB.
	DefaultLimit = 16 << 20
	// defaultLevel is the level of the Filter that is registered.
	defaultLevel = int(zstd.SpeedDefault)
	// window is how far back compression looks for what comes again: 1 MiB. It
	// bounds the memory of a compressor.
	window = 1 << 20
	// slack is room behind the result, with which the decoder takes a faster way.
	slack = 16
)

// Filter compresses packets: each is one frame, with its length and a checksum of 32
// bits. Every Filter reads what any other wrote, so the level is a matter of the
// sender alone.
//
// A Filter is safe for concurrent use, and must not be copied. It keeps compressors for
// reuse until the garbage collector drops them: after a large packet one takes about
// 1, 2, 5 or 36 MB, by the level. The zero value does not work: use New.
type Filter struct {
	level   zstd.EncoderLevel
	packers sync.Pool // of *zstd.Encoder
}

var (
	_ xfer.XferFilter    = (*Filter)(nil)
	_ xfer.LimitUnpacker = (*Filter)(nil)
)

// unpackers holds decompressors: of *zstd.Decoder. The last result of one stays in
// memory with it, so that it must be one that the garbage collector drops.
var unpackers sync.Pool

func newUnpacker() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
		zstd.WithDecodeAllCapLimit(true), // it makes no more than there is room for
		zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderMaxWindow(1<<40))
}

func init() {
	f, err := New(defaultLevel)
	if err != nil {
		panic(err)
	}
	xfer.Reg(f)
}

// New returns a filter that compresses with a level of 1 (fastest) to 4 (smallest); 2
// is the one that is registered. Every other level is an error. Use xfer.Replace to
// make it the one that packets use.
func New(level int) (*Filter, error) {
	if level < int(zstd.SpeedFastest) || level > int(zstd.SpeedBestCompression) {
		return nil, fmt.Errorf("zstd: level %d: choose one from %d to %d", level, zstd.SpeedFastest, zstd.SpeedBestCompression)
	}
	f := &Filter{level: zstd.EncoderLevel(level)}
	enc, err := f.newPacker()
	if err != nil {
		return nil, err
	}
	f.packers.Put(enc)
	return f, nil
}

func (f *Filter) newPacker() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(f.level), zstd.WithEncoderConcurrency(1),
		zstd.WithAllLitEntropyCompression(true), // else small packets hardly become smaller
		zstd.WithZeroFrames(true),               // an empty packet is a frame too
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
}

// Id returns ID.
func (f *Filter) Id() byte { return ID }

// OnPack returns src compressed, as one complete frame: also if src is empty.
func (f *Filter) OnPack(src []byte) ([]byte, error) {
	enc, ok := f.packers.Get().(*zstd.Encoder)
	if !ok {
		var err error
		if enc, err = f.newPacker(); err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
	}
	dst := enc.EncodeAll(src, make([]byte, 0, len(src)/2+64))
	f.packers.Put(enc)
	return dst, nil
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
	dec, ok := unpackers.Get().(*zstd.Decoder)
	if !ok {
		if dec, err = newUnpacker(); err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
	}
	dst, err := dec.DecodeAll(src, make([]byte, 0, room+slack))
	unpackers.Put(dec)
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
