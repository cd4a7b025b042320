package thriftproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/henrylee2cn/teleport/socket"
)

// Types of values in the binary protocol.
const (
	typeStop   = 0
	typeBool   = 2
	typeByte   = 3
	typeDouble = 4
	typeI16    = 6
	typeI32    = 8
	typeI64    = 10
	typeString = 11 // and binary
	typeStruct = 12
	typeMap    = 13
	typeSet    = 14
	typeList   = 15
	typeUUID   = 16
)

// maxDepth is how deep structs and containers may be in each other: as thrift has it.
const maxDepth = 64

// source is what a message is read from.
type source interface {
	// take returns the next n bytes. They are valid until the next take.
	take(n int64) ([]byte, error)
}

// cursor is a source that has arrived as a whole.
type cursor struct{ b []byte }

func (c *cursor) take(n int64) ([]byte, error) {
	if n > int64(len(c.b)) {
		return nil, fmt.Errorf("%w: %d bytes are missing", socket.ErrMalformed, n-int64(len(c.b)))
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken, nil
}

// streamed is a source that keeps what it has read. Its memory grows with what arrives,
// up to the packet's limit.
type streamed struct {
	r   io.Reader
	p   *socket.Packet
	buf bytes.Buffer
}

// smallTake is up to how many bytes memory is taken before they have come.
const smallTake = 512

func (s *streamed) take(n int64) ([]byte, error) {
	if err := s.p.SetSize(uint32(min(int64(s.p.Size())+n, math.MaxUint32))); err != nil {
		return nil, err
	}
	begin := s.buf.Len()
	if n <= smallTake {
		s.buf.Grow(int(n))
		small := s.buf.AvailableBuffer()[:n]
		if _, err := io.ReadFull(s.r, small); err != nil {
			return nil, unexpectedEOF(err)
		}
		_, _ = s.buf.Write(small) // never fails
	} else if _, err := io.CopyN(&s.buf, s.r, n); err != nil {
		return nil, unexpectedEOF(err)
	}
	return s.buf.Bytes()[begin:], nil
}

// sizeOf returns the size of a value of a type that always has the same, or 0.
func sizeOf(kind byte) int64 {
	switch kind {
	case typeBool, typeByte:
		return 1
	case typeI16:
		return 2
	case typeI32:
		return 4
	case typeI64, typeDouble:
		return 8
	case typeUUID:
		return 16
	}
	return 0
}

// skip takes a value of the type. Every value has a byte at least, so that a count
// that claims too much comes to an end with the bytes.
func skip(from source, kind byte, depth int) error {
	if size := sizeOf(kind); size > 0 {
		_, err := from.take(size)
		return err
	}
	if depth >= maxDepth {
		return fmt.Errorf("%w: values that are more than %d deep in each other", socket.ErrMalformed, maxDepth)
	}
	switch kind {
	case typeString:
		n, err := takeCount(from)
		if err != nil {
			return err
		}
		_, err = from.take(n)
		return err
	case typeStruct:
		return skipStruct(from, depth)
	case typeMap:
		kinds, err := from.take(2)
		if err != nil {
			return err
		}
		return skipMany(from, depth, kinds[0], kinds[1])
	case typeSet, typeList:
		kinds, err := from.take(1)
		if err != nil {
			return err
		}
		return skipMany(from, depth, kinds[0])
	}
	return fmt.Errorf("%w: a value of type %d", socket.ErrMalformed, kind)
}

func skipStruct(from source, depth int) error {
	for {
		kind, err := from.take(1)
		if err != nil {
			return err
		}
		of := kind[0]
		if of == typeStop {
			return nil
		}
		if _, err := from.take(2); err != nil { // the field's id
			return err
		}
		if err := skip(from, of, depth+1); err != nil {
			return err
		}
	}
}

// skipMany takes a count, and as many values of each of the types in turn.
func skipMany(from source, depth int, kinds ...byte) error {
	var of [2]byte
	width := int64(0) // of all in turn, if each has its size
	for i := range copy(of[:], kinds) {
		size := sizeOf(of[i])
		if size == 0 {
			width = math.MinInt32
		}
		width += size
	}
	n, err := takeCount(from)
	if err != nil {
		return err
	}
	if width > 0 {
		_, err := from.take(n * width)
		return err
	}
	for range n {
		for _, kind := range of[:len(kinds)] {
			if err := skip(from, kind, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeCount takes a length or the number of elements.
func takeCount(from source) (int64, error) {
	b, err := from.take(4)
	if err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 {
		return 0, fmt.Errorf("%w: a count of %d", socket.ErrMalformed, n)
	}
	return int64(n), nil
}
