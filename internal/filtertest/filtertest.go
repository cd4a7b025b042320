// Package filtertest tests what all transfer filters have in common.
package filtertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/xfer"
)

// Filter is a filter whose results can be limited.
type Filter interface {
	xfer.XferFilter
	xfer.LimitUnpacker
}

// Finds says which damage a filter finds.
type Finds int

const (
	// Nothing is what a filter finds that lets some packets through as they are.
	Nothing Finds = iota
	// Truncation is bytes that are missing at the end, or too many there.
	Truncation
	// Flips is that, and any single bit that is wrong.
	Flips
)

// Random returns n bytes that do not compress, the same ones each time.
func Random(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b)
	return b
}

// Text returns n bytes of JSON, which compress well.
func Text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"teleport %d","tags":["a","b"]},`, i*7919, i%13)
	}
	return b.Bytes()[:n]
}

// Allocated returns how many bytes f allocates.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Pack returns what the filter makes of data.
func Pack(t testing.TB, f xfer.XferFilter, data []byte) []byte {
	t.Helper()
	packed, err := f.OnPack(data)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// Run tests the filter: what it packs comes back, it leaves its arguments alone, it
// keeps to limits, it finds the damage that it should, and it can be used by many
// goroutines.
func Run(t *testing.T, f Filter, finds Finds) {
	t.Run("RoundTrip", func(t *testing.T) { roundTrip(t, f) })
	t.Run("Truncated", func(t *testing.T) { truncated(t, f, finds) })
	t.Run("Flipped", func(t *testing.T) { flipped(t, f, finds) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, f) })
}

func roundTrip(t *testing.T, f Filter) {
	contents := [][]byte{nil, {}, []byte("a"), Text(1000), Random(1000), Text(150000), Random(100000), make([]byte, 200000)}
	for range 2 { // the second time with what was kept of the first
		for _, content := range contents {
			want := bytes.Clone(content)
			// What is behind src must not be written to.
			src := append(bytes.Clone(content), "behind"...)[:len(content)]
			packed := Pack(t, f, src)
			if !bytes.Equal(src[:len(src)+6], append(bytes.Clone(want), "behind"...)) {
				t.Fatalf("%d bytes: packing wrote to its argument", len(want))
			}
			kept := bytes.Clone(packed)
			packed = append(packed, "behind"...)[:len(packed)]
			for _, max := range []int{len(want), len(want) + 1, math.MaxInt} {
				got, err := f.OnUnpackLimit(packed, max)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, at most %d: got %d bytes, %v", len(want), max, len(got), err)
				}
			}
			if got, err := f.OnUnpack(packed); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d bytes, %v", len(want), len(got), err)
			} else if cap(got) > len(got) {
				_ = append(got, 'x') // must hit nobody
			}
			for _, max := range []int{len(want) - 1, len(want) / 2, 0, -1} {
				if max >= len(want) || max < 0 && len(want) == 0 {
					continue
				}
				if got, err := f.OnUnpackLimit(packed, max); got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
					t.Fatalf("%d bytes, at most %d: got %d bytes, %v, want %v", len(want), max, len(got), err, xfer.ErrExceedLimit)
				}
			}
			if !bytes.Equal(packed[:len(packed)+6], append(kept, "behind"...)) {
				t.Fatalf("%d bytes: unpacking wrote to its argument", len(want))
			}
		}
	}
}

func truncated(t *testing.T, f Filter, finds Finds) {
	for _, content := range [][]byte{nil, []byte("a"), Text(700), Random(300)} {
		packed := Pack(t, f, content)
		for n := range packed {
			got, err := f.OnUnpackLimit(packed[:n], 1<<20)
			if finds >= Truncation && (err == nil || got != nil) {
				t.Errorf("%d bytes, cut to %d of %d: got %d bytes, %v, want an error", len(content), n, len(packed), len(got), err)
			}
			if errors.Is(err, io.EOF) {
				t.Errorf("%d bytes, cut to %d of %d: got io.EOF", len(content), n, len(packed))
			}
		}
		for _, more := range []string{"\x00", "x", string(packed)} {
			if got, err := f.OnUnpackLimit(append(bytes.Clone(packed), more...), 1<<20); finds >= Truncation && (err == nil || got != nil) {
				t.Errorf("%d bytes and %d more: got %d bytes, %v, want an error", len(content), len(more), len(got), err)
			}
		}
	}
}

func flipped(t *testing.T, f Filter, finds Finds) {
	for _, content := range [][]byte{nil, []byte("a"), Text(700), Random(300)} {
		packed := Pack(t, f, content)
		for i := range 8 * len(packed) {
			damaged := bytes.Clone(packed)
			damaged[i/8] ^= 1 << (i % 8)
			got, err := f.OnUnpackLimit(damaged, 1<<16)
			if len(got) > 1<<16 || err != nil && got != nil || errors.Is(err, io.EOF) {
				t.Errorf("%d bytes, bit %d: got %d bytes, %v", len(content), i, len(got), err)
			}
			if finds >= Flips && err == nil {
				t.Errorf("%d bytes, bit %d: got no error", len(content), i)
			}
		}
		if got, err := f.OnUnpack(packed); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, after damage: got %d bytes, %v", len(content), len(got), err)
		}
	}
}

func concurrent(t *testing.T, f Filter) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := []byte(strings.Repeat(fmt.Sprint("goroutine ", i), 100+i))
			for range 50 {
				packed, err := f.OnPack(want)
				if err != nil {
					t.Error(err)
				}
				if got, err := f.OnUnpackLimit(packed, len(want)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// Fuzz unpacks and packs what the fuzzer makes.
func Fuzz(f *testing.F, filter Filter, finds Finds) {
	for _, content := range [][]byte{nil, []byte("a"), Text(200), Random(50), make([]byte, 70000)} {
		f.Add(Pack(f, filter, content))
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const max = 1 << 16
		before := bytes.Clone(data)
		if got, err := filter.OnUnpackLimit(data, max); err == nil {
			if len(got) > max {
				t.Fatalf("got %d bytes, want at most %d", len(got), max)
			}
			if again, err := filter.OnUnpackLimit(Pack(t, filter, got), max); err != nil || !bytes.Equal(again, got) {
				t.Fatalf("packed again: got %d bytes, %v, want %d", len(again), err, len(got))
			}
		} else if got != nil || errors.Is(err, io.EOF) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		packed := Pack(t, filter, data)
		if got, err := filter.OnUnpackLimit(packed, len(data)); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(data))
		}
		if !bytes.Equal(data, before) {
			t.Fatal("it wrote to its argument")
		}
		if finds < Truncation {
			return
		}
		n := len(packed) - 1
		if got, err := filter.OnUnpackLimit(packed[:n], len(data)); err == nil {
			t.Fatalf("cut to %d of %d bytes: got %d bytes", n, len(packed), len(got))
		}
	})
}
