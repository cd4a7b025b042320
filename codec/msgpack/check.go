package msgpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxDepth is how deep arrays and maps may be nested in what Unmarshal takes. The
// decoder calls itself for each of them, and a stack that grows without end stops
// the whole program.
const MaxDepth = 10000

var (
	errTrailing = errors.New("there are bytes after the value")
	errDepth    = fmt.Errorf("arrays and maps are nested more than %d deep", MaxDepth)
	errReserved = errors.New("the byte c1 begins no value")
)

// check returns an error unless data is exactly one value, complete, and not
// nested too deep. So a number of elements is never believed without their bytes:
// the decoder makes a slice of as many as are claimed.
func check(data []byte) error {
	// left has, for each array and map that is open, how many values it still
	// has to come.
	var few [16]int
	left := few[:0]
	for {
		n, elements, err := head(data)
		if err != nil {
			return err
		}
		data = data[n:]
		if elements > 0 {
			if len(left) == MaxDepth {
				return errDepth
			}
			left = append(left, elements)
			continue
		}
		for len(left) > 0 {
			if left[len(left)-1]--; left[len(left)-1] > 0 {
				break
			}
			left = left[:len(left)-1]
		}
		if len(left) == 0 {
			if len(data) > 0 {
				return errTrailing
			}
			return nil
		}
	}
}

// head returns how many bytes the value takes that data begins with, without its
// elements, and how many values these are: no more than there are bytes left,
// since each takes one at least.
func head(data []byte) (n, elements int, err error) {
	if len(data) == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	var (
		width    int    // bytes of the number after the first byte
		measures bool   // that number is one of bytes
		counts   uint64 // that number is one of so many values each
		more     uint64 // bytes of the value besides
		values   uint64 // elements, by the first byte
	)
	switch c := data[0]; {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3: // small integers, nil, booleans
	case c <= 0x8f: // map
		values = 2 * uint64(c&0x0f)
	case c <= 0x9f: // array
		values = uint64(c & 0x0f)
	case c <= 0xbf: // string
		more = uint64(c & 0x1f)
	case c == 0xc1:
		return 0, 0, errReserved
	case c <= 0xc6: // bytes, with a length in 1, 2, 4 bytes
		width, measures = 1<<(c-0xc4), true
	case c <= 0xc9: // extension: the same, and a type
		width, measures, more = 1<<(c-0xc7), true, 1
	case c <= 0xcb: // float in 4, 8 bytes
		more = 4 << (c - 0xca)
	case c <= 0xcf: // unsigned integer in 1, 2, 4, 8 bytes
		more = 1 << (c - 0xcc)
	case c <= 0xd3: // signed integer
		more = 1 << (c - 0xd0)
	case c <= 0xd8: // extension of 1, 2, 4, 8, 16 bytes, and a type
		more = 1<<(c-0xd4) + 1
	case c <= 0xdb: // string, with a length in 1, 2, 4 bytes
		width, measures = 1<<(c-0xd9), true
	case c <= 0xdd: // array, with a number in 2, 4 bytes
		width, counts = 2<<(c-0xdc), 1
	default: // de, df: map
		width, counts = 2<<(c-0xde), 2
	}
	rest := uint64(len(data) - 1)
	if uint64(width) > rest {
		return 0, 0, io.ErrUnexpectedEOF
	}
	var number uint64
	switch width {
	case 1:
		number = uint64(data[1])
	case 2:
		number = uint64(binary.BigEndian.Uint16(data[1:]))
	case 4:
		number = uint64(binary.BigEndian.Uint32(data[1:]))
	}
	more += uint64(width)
	if measures {
		more += number
	}
	values += number * counts
	if more > rest || values > rest-more {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return 1 + int(more), int(values), nil
}
