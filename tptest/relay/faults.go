package relay

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Direction says which way bytes go. Up and Down can be combined.
type Direction uint8

// Directions.
const (
	Up   Direction = 1 << iota // from the client to the server
	Down                       // from the server to the client
	Both = Up | Down
)

// String returns "up", "down" or "both".
func (d Direction) String() string {
	switch d {
	case Up:
		return "up"
	case Down:
		return "down"
	case Both:
		return "both"
	}
	return fmt.Sprintf("Direction(%d)", uint8(d))
}

// Faults are what one direction of a connection suffers. The zero value is no
// fault. They apply to each connection by itself, and all of them at once.
//
// The bytes of one direction are numbered from 0, where the connection begins.
// They go in pieces: what one read of the relay got, at most 16 KiB, or less by
// Split and Bandwidth.
type Faults struct {
	// Delay is how long each piece waits, and the end of the stream too. They
	// wait one after the other, so that it bounds what gets through as well.
	Delay time.Duration
	// Jitter is what Delay is longer by at most. How much is drawn for each
	// piece.
	Jitter time.Duration
	// Split are the sizes of the pieces, in bytes, over and over; {1} is each
	// byte by itself. Every piece is a TCP segment of its own, but a receiver
	// that is slow may find several at once: a Delay keeps them apart.
	Split []int
	// Bandwidth is how many bytes a second get through. Zero is no bound.
	Bandwidth int
	// Flip changes bits: of the byte with the number, those that are set in the
	// value. {10: 1} changes the lowest bit of the eleventh byte.
	Flip map[int64]byte
	// FlipRate is the chance of each byte, from 0 to 1, that one bit of it is
	// changed. Which bytes and bits is drawn.
	FlipRate float64
	// Truncate ends the connection in good order when that many bytes have got
	// through, at once if more have already: both sides read the end of the
	// stream, and what they still send is thrown away.
	Truncate Offset
	// Reset resets the connection (RST, to both sides) when that many bytes
	// have got through, at once if more have already. As always with TCP, the
	// reset may overtake the last of them.
	Reset Offset
	// Stall holds everything back, the end of the stream too, as if packets
	// were lost on their way: both sides see a connection that is silent. A
	// sender is held up only when the buffers of the kernels are full, which
	// may take megabytes. What was held back follows when Stall is taken away.
	Stall bool
}

// Offset is a number of bytes that got through. The zero value is none, so
// that Faults without it never come to it: At makes one.
type Offset struct{ plusOne int64 }

// At returns the Offset after n bytes; At(0) is before the first. It panics if
// n is negative.
func At(n int64) Offset {
	if n < 0 {
		panic(fmt.Sprintf("relay: At(%d): an offset is not negative", n))
	}
	return Offset{n + 1}
}

// reachedBy reports whether that many bytes reach o.
func (o Offset) reachedBy(n int64) bool { return o.plusOne > 0 && n >= o.plusOne-1 }

// room returns how many bytes may follow the first n before o is reached, at
// most most.
func (o Offset) room(n int64, most int) int {
	if o.plusOne == 0 {
		return most
	}
	return int(min(int64(most), o.plusOne-1-n))
}

// checked returns a copy that shares nothing with f. It panics on what has no
// meaning.
func (f Faults) checked() Faults {
	switch {
	case f.Delay < 0 || f.Jitter < 0:
		panic(fmt.Sprintf("relay: Faults: a Delay of %v and a Jitter of %v: neither may be negative", f.Delay, f.Jitter))
	case f.Bandwidth < 0:
		panic(fmt.Sprintf("relay: Faults: a Bandwidth of %d: zero is no bound, negative has no meaning", f.Bandwidth))
	case !(f.FlipRate >= 0 && f.FlipRate <= 1):
		panic(fmt.Sprintf("relay: Faults: a FlipRate of %v: it is from 0 to 1", f.FlipRate))
	case slices.ContainsFunc(f.Split, func(size int) bool { return size < 1 }):
		panic(fmt.Sprintf("relay: Faults: a Split of %v: sizes are at least 1", f.Split))
	}
	f.Split, f.Flip = slices.Clone(f.Split), maps.Clone(f.Flip)
	return f
}

// What is drawn is a function of the key of a connection's direction and of
// the offset alone, so that it does not depend on how the bytes came.

// draw returns a number for an offset. The purposes have numbers of their own.
func draw(key uint64, offset int64, purpose uint64) uint64 {
	return mix(mix(key+purpose) + uint64(offset))
}

const (
	forJitter = iota
	forFlip
)

// mix is the output function of SplitMix64: it spreads each bit of x over all.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fraction makes a number from 0 to 1, without 1, of one that was drawn.
func fraction(drawn uint64) float64 { return float64(drawn>>11) / (1 << 53) }

// delay returns how long the piece at the offset waits.
func (f *Faults) delay(key uint64, offset int64) time.Duration {
	d := f.Delay
	if f.Jitter > 0 {
		d += time.Duration(fraction(draw(key, offset, forJitter)) * float64(f.Jitter))
	}
	return d
}

// flip changes the bits of b, which begins at the offset.
func (f *Faults) flip(b []byte, key uint64, offset int64) {
	if len(f.Flip) == 0 && f.FlipRate == 0 {
		return
	}
	for i := range b {
		at := offset + int64(i)
		b[i] ^= f.Flip[at]
		if drawn := draw(key, at, forFlip); fraction(drawn) < f.FlipRate {
			b[i] ^= 1 << (drawn & 7) // bits that fraction leaves out
		}
	}
}
