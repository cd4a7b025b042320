package s2

import "encoding/binary"

// count returns how many bytes the elements of a block stand for, as far as they are
// whole. It looks at their lengths only. After the length of the content, a block is a
// row of elements, and the two low bits of the first byte say which
// (https://github.com/google/snappy/blob/main/format_description.txt):
//
//	0  literal: the length less 1 in the other 6 bits, if under 60, else in the
//	   following 1 to 4 bytes; then the bytes
//	1  copy: a length of 4 to 11 in the bits 2 to 4, an offset of 11 bits in the bits
//	   5 to 7 and the next byte. In S2 an offset of 0 repeats the last one, and the
//	   lengths 5, 6, 7 of it stand for a length in the following 1, 2, 3 bytes
//	2  copy: a length of 1 to 64 in the other bits, an offset in 2 bytes
//	3  the same with an offset in 4 bytes
func count(block []byte) (n uint64) {
	_, head := binary.Uvarint(block)
	if head <= 0 {
		return 0
	}
	b := block[head:]
	for len(b) > 0 {
		size := 1 // of the element without literal bytes
		var length, literal uint64
		switch tag := b[0]; tag & 3 {
		case 0:
			length = uint64(tag >> 2)
			if length >= 60 {
				width := int(length - 59)
				size += width
				length = number(b[1:], width)
			}
			length++
			literal = length
		case 1:
			size = 2
			length = uint64(tag>>2&7) + 4
			if len(b) > 1 && tag&0xe0 == 0 && b[1] == 0 && length >= 9 {
				width := int(length - 8)
				size += width
				length = number(b[min(2, len(b)):], width) + 4 + [4]uint64{0, 4, 1 << 8, 1 << 16}[width]
			}
		case 2:
			size = 3
			length = uint64(tag>>2) + 1
		case 3:
			size = 5
			length = uint64(tag>>2) + 1
		}
		if uint64(size)+literal > uint64(len(b)) {
			return n
		}
		b = b[uint64(size)+literal:]
		n += length
	}
	return n
}

// number returns the little-endian number in the first width bytes of b, as far as
// there are so many.
func number(b []byte, width int) (n uint64) {
	for i, c := range b[:min(width, len(b))] {
		n |= uint64(c) << (8 * i)
	}
	return n
}
