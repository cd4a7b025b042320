package zstd_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	library "github.com/klauspost/compress/zstd"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

func newFilter(t testing.TB, level int) *zstd.Filter {
	t.Helper()
	f, err := zstd.New(level)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	for level := 1; level <= 2; level++ {
		filtertest.Run(t, newFilter(t, level), filtertest.Truncation)
	}
	for level := 3; level <= 4; level++ { // which take more memory, and time for it
		f, want := newFilter(t, level), filtertest.Text(150000)
		if got, err := f.OnUnpackLimit(filtertest.Pack(t, f, want), len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("level %d: got %d bytes, %v", level, len(got), err)
		}
	}
}

func FuzzFilter(f *testing.F) { filtertest.Fuzz(f, newFilter(f, 1), filtertest.Truncation) }

func TestNew(t *testing.T) {
	for _, level := range []int{-1, 0, 5} {
		if f, err := zstd.New(level); f != nil || err == nil || !strings.Contains(err.Error(), "choose one from 1 to 4") {
			t.Errorf("level %d: got %v, %v", level, f, err)
		}
	}
	if f, err := xfer.Get(zstd.ID); err != nil || f.Id() != 'z' {
		t.Errorf("got %v, %v", f, err)
	}
}

// A flipped bit changes nothing, or is an error: a frame has a checksum.
func TestChecksum(t *testing.T) {
	f, want := newFilter(t, 1), filtertest.Text(700)
	packed := filtertest.Pack(t, f, want)
	for i := range 8 * len(packed) {
		damaged := bytes.Clone(packed)
		damaged[i/8] ^= 1 << (i % 8)
		if got, err := f.OnUnpackLimit(damaged, 1<<20); err == nil && !bytes.Equal(got, want) {
			t.Errorf("bit %d: got other content and no error", i)
		}
	}
}

// Frames as the command zstd 1.5.4 makes them: with and without a length and a
// checksum.
func TestOfOthers(t *testing.T) {
	f := newFilter(t, 1)
	for _, frame := range []string{
		"28b52ffd240529000068656c6c6fa36d9f88",
		"28b52ffd200529000068656c6c6f",
		"28b52ffd045829000068656c6c6fa36d9f88",
		"28b52ffd005829000068656c6c6f",
	} {
		raw, err := hex.DecodeString(frame)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.OnUnpackLimit(raw, 5); err != nil || string(got) != "hello" {
			t.Errorf("%s: got %q, %v", frame, got, err)
		}
		if got, err := f.OnUnpackLimit(raw, 4); got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
			t.Errorf("%s, at most 4: got %q, %v", frame, got, err)
		}
	}
}

// streamed compresses as a program does that does not know the length beforehand.
func streamed(t testing.TB, content []byte, options ...library.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	zw, err := library.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	for len(content) > 0 {
		n := min(100000, len(content))
		if _, err := zw.Write(content[:n]); err != nil {
			t.Fatal(err)
		}
		if err := zw.Flush(); err != nil {
			t.Fatal(err)
		}
		content = content[n:]
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestStreamed(t *testing.T) {
	f := newFilter(t, 1)
	for _, window := range []int{1 << 10, 1 << 20, 8 << 20} {
		for _, want := range [][]byte{[]byte("a"), filtertest.Text(300000), filtertest.Random(300000), make([]byte, 1<<20)} {
			packed := streamed(t, want, library.WithWindowSize(window))
			if got, err := f.OnUnpackLimit(packed, len(want)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("window %d, %d bytes: got %d bytes, %v", window, len(want), len(got), err)
			}
			if got, err := f.OnUnpackLimit(packed, len(want)-1); got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
				t.Errorf("window %d, %d bytes, one too many: got %d bytes, %v", window, len(want), len(got), err)
			}
		}
	}
}

// What is refused has cost no more memory than is allowed, and 1 MiB; or twice that
// and a quarter where the length is known at the end only.
func TestBomb(t *testing.T) {
	f := newFilter(t, 1)
	const size = 20 << 20
	bombs := map[string][]byte{
		"of known length":   filtertest.Pack(t, f, make([]byte, size)),
		"of unknown length": streamed(t, make([]byte, size)),
		"of one byte":       rle(size),
	}
	_, _ = f.OnUnpackLimit(bombs["of known length"], size) // for what is kept
	for name, bomb := range bombs {
		for _, max := range []int{-1, 0, 1, 1000, 1 << 20, 16 << 20} {
			var got []byte
			var err error
			memory := filtertest.Allocated(func() { got, err = f.OnUnpackLimit(bomb, max) })
			if got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
				t.Errorf("%s, max %d: got %d bytes, %v, want %v", name, max, len(got), err, xfer.ErrExceedLimit)
			}
			limit := uint64(max+1) + 1<<20
			if name == "of unknown length" {
				limit += limit + limit/4
			}
			if memory > limit {
				t.Errorf("%s, max %d: %d bytes took %d of memory, want at most %d", name, max, len(bomb), memory, limit)
			}
		}
		if got, err := f.OnUnpackLimit(bomb, size); err != nil || len(got) != size {
			t.Errorf("%s: got %d bytes, %v, want all", name, len(got), err)
		}
	}
}

// rle returns a frame of blocks that each repeat a byte, without a length or a
// checksum, with a window of 128 KiB.
func rle(size int) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3}
	for ; size > 0; size -= 128 << 10 {
		head := uint32(128<<10)<<3 | 1<<1
		if size <= 128<<10 {
			head |= 1
		}
		frame = append(frame, byte(head), byte(head>>8), byte(head>>16), 'x')
	}
	return frame
}

// A frame that says that it is long is not believed.
func TestLies(t *testing.T) {
	f := newFilter(t, 1)
	lie := binary.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 1<<30) // one segment, a length of 8 bytes
	blocks := map[string][]byte{
		"nothing":    {1, 0, 0},
		"as it is":   {1 | 5<<3, 0, 0, 'h', 'e', 'l', 'l', 'o'},
		"repeated":   {1 | 1<<1 | 5<<3, 0, 0, 'x'},
		"compressed": {1 | 2<<1 | 5<<3, 0, 0, 1, 2, 3, 4, 5},
		"reserved":   {1 | 3<<1 | 5<<3, 0, 0, 1, 2, 3, 4, 5},
		"no block":   {},
		"no last":    {0 | 1<<1 | 5<<3, 0, 0, 'x'},
	}
	for name, block := range blocks {
		var got []byte
		var err error
		memory := filtertest.Allocated(func() { got, err = f.OnUnpackLimit(append(bytes.Clone(lie), block...), 1<<40) })
		if got != nil || err == nil || memory > 1<<20 {
			t.Errorf("%s: got %d bytes, %v, for %d of memory", name, len(got), err, memory)
		}
	}
	for exponent := range byte(32) { // of the window, from 1 KiB to 2 TiB
		frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, exponent<<3 | 7, 1 | 5<<3, 0, 0, 'h', 'e', 'l', 'l', 'o'}
		var got []byte
		var err error
		memory := filtertest.Allocated(func() { got, err = f.OnUnpackLimit(frame, 5) })
		if err == nil && string(got) != "hello" || err != nil && exponent < 30 || memory > 1<<20 {
			t.Errorf("a window of %d: got %q, %v, for %d of memory", exponent, got, err, memory)
		}
	}
	skip := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}
	good := filtertest.Pack(t, f, []byte("good"))
	for name, data := range map[string][]byte{
		"a frame to skip":          skip,
		"a block to skip":          {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 0, 0},
		"a frame to skip in front": append(bytes.Clone(skip), good...),
		"a frame to skip behind":   append(bytes.Clone(good), skip...),
		"a dictionary":             {0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x58, 7, 1, 0, 0},
	} {
		if got, err := f.OnUnpack(data); got != nil || err == nil {
			t.Errorf("%s: got %q, %v, want an error", name, got, err)
		}
	}
}
