package xfer

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// A gzip stream (RFC 1952) with the plain header is
//
//	1f 8b 08   magic number, deflate
//	00         flags: no optional fields
//	6 bytes    time, extra flags, operating system
//	rest       deflate blocks, then the CRC-32 and the length of the content,
//	           4 bytes each, little-endian
const plainHeaderLen = 10

var (
	plainHeader = []byte{0x1f, 0x8b, 0x08, 0x00}
	// flushMark ends what a flush writes, an empty stored block: its length,
	// and the complement of that.
	flushMark = []byte{0x00, 0x00, 0xff, 0xff}
	// flushProbe takes the place of the last flushMark. It makes the length 1,
	// of a block that holds the byte 07, and adds an empty final block. Where
	// the mark is no length but content that looks like it, the 07 begins a
	// block, and is wrong as that: blocks of type 3 do not exist.
	flushProbe = []byte{0x01, 0x00, 0xfe, 0xff, 0x07, 0x01, 0x00, 0x00, 0xff, 0xff}
)

var (
	errTrailing = errors.New("bytes after the end of the gzip stream")
	errTooMuch  = errors.New("too many bytes")
	errMeasured = errors.New("the number of bytes is known by now")
)

// largeOutput is from where on memory for the result is taken only once its
// length is known, so that a stream which is refused has not cost much more
// than is allowed.
const largeOutput = 512 << 10

// unpackers holds decompressors: of *unpacker.
var unpackers = sync.Pool{New: func() interface{} { return new(unpacker) }}

// unpacker is a decompressor with its input. It is used by one goroutine at a
// time.
type unpacker struct {
	input input
	zr    gzip.Reader
	fr    io.ReadCloser // a flate.Resetter; nil until it is needed
	count int           // the number of bytes, after errMeasured
}

// input reads data and then tail. Since it is an io.ByteReader, flate takes
// no byte more than it needs.
type input struct {
	data, tail []byte
}

// Read implements io.Reader.
func (in *input) Read(b []byte) (int, error) {
	if len(in.data) == 0 {
		in.data, in.tail = in.tail, nil
	}
	if len(in.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, in.data)
	in.data = in.data[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (in *input) ReadByte() (byte, error) {
	if len(in.data) == 0 {
		in.data, in.tail = in.tail, nil
	}
	if len(in.data) == 0 {
		return 0, io.EOF
	}
	c := in.data[0]
	in.data = in.data[1:]
	return c, nil
}

// rest returns the number of bytes that nobody has read.
func (in *input) rest() int {
	return len(in.data) + len(in.tail)
}

// unpack decompresses src; see Gzip.OnUnpackLimit.
func (u *unpacker) unpack(src []byte, max int) ([]byte, error) {
	max = min(max, math.MaxInt-2) // room to count a little further
	if len(src) >= plainHeaderLen+len(flushMark) && bytes.HasPrefix(src, plainHeader) && bytes.HasSuffix(src, flushMark) {
		// Probably flushed only. A complete stream that happens to end like
		// this fails here, since bytes are left after its final block.
		dst, err := u.unpackFlushed(src, max)
		if err == nil || errors.Is(err, ErrExceedLimit) {
			return dst, err
		}
	}
	return u.unpackWhole(src, max)
}

// unpackWhole decompresses a complete stream.
func (u *unpacker) unpackWhole(src []byte, max int) ([]byte, error) {
	hint, promised := expectedLen(src)
	dst, err := u.readWhole(src, max, hint, promised)
	if err == errMeasured {
		dst, err = u.readWhole(src, max, u.count, promised)
	}
	if err == errTooMuch {
		return nil, exceedError(max)
	}
	return dst, err
}

func (u *unpacker) readWhole(src []byte, max, hint int, promised int64) ([]byte, error) {
	u.input = input{data: src}
	if err := u.zr.Reset(&u.input); err != nil {
		return nil, err
	}
	u.zr.Multistream(false)
	return u.readAll(&u.zr, max, hint, promised)
}

// unpackFlushed decompresses a stream with the plain header that was flushed
// but not closed, by means of flushProbe.
func (u *unpacker) unpackFlushed(src []byte, max int) ([]byte, error) {
	dst, err := u.readFlushed(src, max+1, min(2*len(src), largeOutput))
	if err == errMeasured {
		dst, err = u.readFlushed(src, max+1, u.count)
	}
	if err == errTooMuch {
		return nil, exceedError(max)
	}
	if err != nil {
		return nil, err
	}
	if last := len(dst) - 1; last >= 0 && dst[last] == 0x07 {
		return dst[:last:last], nil
	}
	return nil, io.ErrUnexpectedEOF
}

// readFlushed reads such a stream with the flushProbe.
func (u *unpacker) readFlushed(src []byte, max, hint int) ([]byte, error) {
	u.input = input{data: src[plainHeaderLen : len(src)-len(flushMark)], tail: flushProbe}
	if u.fr == nil {
		u.fr = flate.NewReader(&u.input)
	} else if err := u.fr.(flate.Resetter).Reset(&u.input, nil); err != nil {
		return nil, err
	}
	return u.readAll(u.fr, max, hint, 0)
}

// exceedError is the error about more than max bytes.
func exceedError(max int) error {
	return fmt.Errorf("%w: at least %d bytes, at most %d are allowed", ErrExceedLimit, max+1, max)
}

// expectedLen returns the length that the end of a stream promises, and a hint
// to begin with: that, or less if it is more than src could well hold.
func expectedLen(src []byte) (hint int, promised int64) {
	if len(src) < 4 {
		return 0, 0
	}
	promised = int64(binary.LittleEndian.Uint32(src[len(src)-4:]))
	likely := 8 * int64(len(src))
	if promised > likely {
		return int(min(likely, largeOutput)), promised
	}
	return int(promised), promised
}

// readAll reads r, which decompresses u.input, to its end. It fails with
// errTooMuch if more than max bytes come, and if bytes of the input are left.
//
// It starts with room for hint bytes and about doubles it when needed, up to
// largeOutput. Then it makes room for what is promised, if that may be. Where
// nothing is, or falsely, it only counts what follows, and fails with
// errMeasured if all would fit: u.count is the hint of another try.
func (u *unpacker) readAll(r io.Reader, max, hint int, promised int64) ([]byte, error) {
	// One byte more than fits shows that there is too much; and room for it
	// shows the end without growing.
	most := max + 1
	dst := make([]byte, 0, min(hint+1, most))
	for {
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > max {
			return nil, errTooMuch
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(dst) < cap(dst) {
			continue
		}
		room := 2*int64(cap(dst)) + 512
		if cap(dst) >= largeOutput {
			if promised < int64(len(dst)) || promised > int64(max) {
				return nil, u.measure(r, dst, max)
			}
			room = promised + 1
		}
		grown := make([]byte, len(dst), int(min(int64(most), room)))
		copy(grown, dst)
		dst = grown
	}
	if n := u.input.rest(); n > 0 {
		return nil, fmt.Errorf("%d %w", n, errTrailing)
	}
	return dst, nil
}

// measure counts the bytes that r has beyond those of dst, over which it reads.
func (u *unpacker) measure(r io.Reader, dst []byte, max int) error {
	u.count = len(dst)
	for {
		n, err := r.Read(dst)
		if n > max-u.count {
			return errTooMuch
		}
		u.count += n
		if err == io.EOF {
			return errMeasured
		}
		if err != nil {
			return err
		}
	}
}
