package s2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	library "github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/s2"
)

func TestFilter(t *testing.T) { filtertest.Run(t, s2.Filter{}, filtertest.Truncation) }

func FuzzFilter(f *testing.F) { filtertest.Fuzz(f, s2.Filter{}, filtertest.Truncation) }

func TestRegistered(t *testing.T) {
	if f, err := xfer.Get(s2.ID); f != (s2.Filter{}) || err != nil {
		t.Errorf("got %T, %v", f, err)
	}
}

// What the library compresses better, and Snappy, is read too.
func TestOfOthers(t *testing.T) {
	for _, want := range [][]byte{nil, []byte("a"), filtertest.Text(100000), filtertest.Random(1000), make([]byte, 1<<20)} {
		for name, packed := range map[string][]byte{
			"better": library.EncodeBetter(nil, want),
			"best":   library.EncodeBest(nil, want),
			"snappy": snappy.Encode(nil, want),
		} {
			if got, err := (s2.Filter{}).OnUnpackLimit(packed, len(want)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: got %d bytes, %v", name, len(want), len(got), err)
			}
		}
	}
}

// What is refused has cost no memory to speak of, however much it claims.
func TestBomb(t *testing.T) {
	const size = 20 << 20
	bomb := filtertest.Pack(t, s2.Filter{}, make([]byte, size))
	for _, max := range []int{-1, 0, 1, 1000, 16 << 20} {
		var got []byte
		var err error
		memory := filtertest.Allocated(func() { got, err = s2.Filter{}.OnUnpackLimit(bomb, max) })
		if got != nil || !errors.Is(err, xfer.ErrExceedLimit) || memory > 64<<10 {
			t.Errorf("max %d: got %d bytes, %v, for %d of memory", max, len(got), err, memory)
		}
	}
	if got, err := (s2.Filter{}).OnUnpackLimit(bomb, size); err != nil || len(got) != size {
		t.Errorf("got %d bytes, %v, want all", len(got), err)
	}
	for _, rest := range []string{"", "x", "\x00x", "\x00x\x15\x01\x00\x01", "\xfc\xff\xff\xff\x7f", string(bomb[4:])} {
		for _, claim := range []uint64{100 << 10, 1 << 30, 1<<32 - 1} {
			lie := append(binary.AppendUvarint(nil, claim), rest...)
			var got []byte
			var err error
			memory := filtertest.Allocated(func() { got, err = s2.Filter{}.OnUnpackLimit(lie, 1<<40) })
			if got != nil || err == nil || memory > 64<<10 {
				t.Errorf("%d claimed, %d there: got %d bytes, %v, for %d of memory", claim, len(rest), len(got), err, memory)
			}
		}
	}
}
