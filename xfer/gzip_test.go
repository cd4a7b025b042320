package xfer_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
)

// Two packets of programs of 2017, captured from the network: a pull and its
// reply, from the byte after the id of the filter to the end of the frame.
const (
	pull2017  = "1f8b08000000000000ff62800246060606" + "3efd8cfcdc54fdd4e48c7cfb0a5b4390" + "7056b552a29295a18e52b192955246a6" + "522d000000ffff"
	reply2017 = "1f8b08000000000000ff62800226060606" + "3efd8cfcdc54fdd4e48c7cfb0a5b4390" + "7056b552a29295a18e52b192955246a6" + "522d000000ffff"
)

// content2017 is what they hold: seq 0, the type, the uri, no meta, json.
func content2017(ptype byte) string {
	return "\x00\x00\x00\x00\x00\x00\x00\x00" + string(ptype) + "\x00\x00\x00\x0e/home/echo?x=1\x00\x00\x00\x00j" + `{"a":1,"s":"hi"}`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newGzip(t testing.TB, level int) *xfer.Gzip {
	t.Helper()
	g, err := xfer.NewGzip(level)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func pack(t testing.TB, g *xfer.Gzip, data []byte) []byte {
	t.Helper()
	packed, err := g.OnPack(data)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// flushed compresses as a program of 2017 does: without the end.
func flushed(t testing.TB, level int, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if _, err := zw.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := zw.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestNewGzip(t *testing.T) {
	for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
		newGzip(t, level)
	}
	for _, level := range []int{-3, 10} {
		if g, err := xfer.NewGzip(level); g != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprint(level)) {
			t.Errorf("level %d: got %v, %v, want an error that names it", level, g, err)
		}
	}
}

func TestGzipRoundTrip(t *testing.T) {
	contents := [][]byte{nil, {}, []byte("a"), []byte(strings.Repeat("teleport ", 1000)), filtertest.Random(100000), make([]byte, 200000)}
	filters := []*xfer.Gzip{new(xfer.Gzip)}
	for _, level := range []int{-2, -1, 0, 1, 6, 9} {
		filters = append(filters, newGzip(t, level))
	}
	for _, g := range filters {
		if g.Id() != 'g' {
			t.Errorf("id %q, want g", g.Id())
		}
		for range 2 { // the second time with what the pools kept
			for _, want := range contents {
				packed := pack(t, g, want)
				kept := bytes.Clone(packed)
				got, err := g.OnUnpack(packed)
				if err != nil || !bytes.Equal(got, want) || got == nil {
					t.Errorf("%d bytes: got %d bytes, %v", len(want), len(got), err)
				}
				if got, err = g.OnUnpackLimit(packed, math.MaxInt); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, no limit: got %d bytes, %v", len(want), len(got), err)
				}
				if !bytes.Equal(packed, kept) {
					t.Error("unpacking wrote to its argument")
				}
				zr, err := gzip.NewReader(bytes.NewReader(packed))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes: the standard library reads %d bytes, %v", len(want), len(got), err)
				}
			}
		}
	}
}

func TestGzipOf2017(t *testing.T) {
	g := newGzip(t, 1)
	tests := []struct {
		name, packed, want string
	}{
		{"pull", pull2017, content2017(1)},
		{"reply", reply2017, content2017(2)},
	}
	for _, tt := range tests {
		packed := unhex(t, tt.packed)
		if got, err := g.OnUnpackLimit(packed, len(tt.want)); string(got) != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if _, err := g.OnUnpackLimit(packed, len(tt.want)-1); !errors.Is(err, xfer.ErrExceedLimit) {
			t.Errorf("%s with a smaller limit: got %v, want %v", tt.name, err, xfer.ErrExceedLimit)
		}
		for n := range packed {
			if got, err := g.OnUnpack(packed[:n]); err == nil || got != nil {
				t.Errorf("%s cut to %d of %d bytes: got %q, %v, want an error", tt.name, n, len(packed), got, err)
			}
		}
		for _, more := range []string{"\x00", "\x00\x00\xff\xff", "x"} {
			if got, err := g.OnUnpack(append(packed[:len(packed):len(packed)], more...)); err == nil {
				t.Errorf("%s with %q at its end: got %q, want an error", tt.name, more, got)
			}
		}
	}
}

func TestGzipFlushed(t *testing.T) {
	g := newGzip(t, 1)
	text := []byte(strings.Repeat("teleport", 100))
	tests := []struct {
		name   string
		packed []byte
		want   []byte
	}{
		{"nothing", flushed(t, 5, nil), nil},
		{"text", flushed(t, 5, text), text},
		{"text, best", flushed(t, 9, text), text},
		{"text, stored", flushed(t, 0, text), text},
		{"random", flushed(t, 5, filtertest.Random(70000)), filtertest.Random(70000)},
		{"two flushes", flushed(t, 5, text[:9], text[9:]), text},
	}
	for _, tt := range tests {
		if got, err := g.OnUnpack(tt.packed); err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got %d bytes, %v, want %d", tt.name, len(got), err, len(tt.want))
		}
		header := bytes.Clone(tt.packed)
		header[3] = 1 // FTEXT: allowed by RFC 1952, but not plain
		if got, err := g.OnUnpack(header); err == nil {
			t.Errorf("%s with flags: got %d bytes, want an error", tt.name, len(got))
		}
	}
}

func TestGzipTruncated(t *testing.T) {
	contents := map[string][]byte{
		"nothing": nil,
		"text":    []byte(strings.Repeat("teleport ", 50) + "\x00\x00\xff\xff"),
		"random":  filtertest.Random(500),
		"marks":   bytes.Repeat([]byte{0, 0, 0xff, 0xff}, 64),
		"mixed":   append(filtertest.Random(100), bytes.Repeat([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}, 20)...),
	}
	for name, content := range contents {
		for _, level := range []int{-2, 0, 1, 6, 9} {
			g := newGzip(t, level)
			packed := pack(t, g, content)
			for n := range packed {
				got, err := g.OnUnpack(packed[:n])
				if err == nil || got != nil {
					t.Errorf("%s, level %d, cut to %d of %d bytes: got %q, %v, want an error", name, level, n, len(packed), got, err)
				}
				if errors.Is(err, io.EOF) {
					t.Errorf("%s, level %d, cut to %d of %d bytes: got io.EOF", name, level, n, len(packed))
				}
			}
		}
	}
}

func TestGzipDamaged(t *testing.T) {
	g := newGzip(t, 6)
	packed := pack(t, g, []byte("some content, some content"))
	end := len(packed)
	change := func(i int, b ...byte) []byte {
		damaged := bytes.Clone(packed)
		for j := range b {
			damaged[i+j] ^= b[j]
		}
		return damaged
	}
	// A complete stream with a wrong length that ends like a flushed one.
	fakeMark := append(packed[:end-4:end-4], 0, 0, 0xff, 0xff)
	var garbage bytes.Buffer
	garbage.Write(packed[:10])
	fw, _ := flate.NewWriter(&garbage, 6)
	_, _ = fw.Write([]byte("x"))
	_ = fw.Close()
	garbage.WriteString("garbage\x00\x00\xff\xff")
	tests := []struct {
		name   string
		packed []byte
		want   error
	}{
		{"empty", nil, io.ErrUnexpectedEOF},
		{"magic number", change(0, 1), gzip.ErrHeader},
		{"method", change(2, 1), gzip.ErrHeader},
		{"checksum", change(end-8, 1), gzip.ErrChecksum},
		{"length", change(end-4, 1), gzip.ErrChecksum},
		{"length that looks like a flush", fakeMark, gzip.ErrChecksum},
		{"end of deflate, garbage, mark", garbage.Bytes(), gzip.ErrChecksum},
		{"garbage after the end", append(packed[:end:end], 'x'), nil},
		{"zero after the end", append(packed[:end:end], 0), nil},
		{"mark after the end", append(packed[:end:end], 0, 0, 0xff, 0xff), nil},
		{"second stream", append(packed[:end:end], packed...), nil},
		{"deflate data", append(packed[:10:10], 0xff, 0xff, 0, 0, 0xff, 0xff), nil},
	}
	for _, tt := range tests {
		got, err := g.OnUnpack(tt.packed)
		if got != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %q, %v, want %v", tt.name, got, err, tt.want)
		}
		if got, err := g.OnUnpack(packed); err != nil || len(got) != 26 {
			t.Errorf("a good stream after %s: got %q, %v", tt.name, got, err)
		}
	}
}

func TestGzipWithOptionalHeader(t *testing.T) {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	zw.Name, zw.Comment, zw.Extra = "name", "comment", []byte("extra")
	_, _ = zw.Write([]byte("content"))
	_ = zw.Close()
	if got, err := new(xfer.Gzip).OnUnpack(out.Bytes()); string(got) != "content" || err != nil {
		t.Errorf("got %q, %v, want content", got, err)
	}
}

func TestGzipBomb(t *testing.T) {
	g := newGzip(t, 1)
	content := make([]byte, 17<<20)
	for name, bomb := range map[string][]byte{"whole": pack(t, g, content), "flushed": flushed(t, 1, content)} {
		for _, limit := range []int{-1, 0, 1, 1000, 1 << 20} {
			var got []byte
			var err error
			memory := filtertest.Allocated(func() { got, err = g.OnUnpackLimit(bomb, limit) })
			if got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
				t.Errorf("%s, max %d: got %d bytes, %v, want %v", name, limit, len(got), err, xfer.ErrExceedLimit)
			}
			if want := fmt.Sprintf("at least %d bytes, at most %d are", max(limit, 0)+1, max(limit, 0)); err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, max %d: got %v, want %q in it", name, limit, err, want)
			}
			if most := uint64(8*max(limit, 0) + 1<<20); memory > most {
				t.Errorf("%s, max %d: allocated %d bytes, want at most %d", name, limit, memory, most)
			}
		}
		if _, err := g.OnUnpack(bomb); !errors.Is(err, xfer.ErrExceedLimit) || !strings.Contains(err.Error(), fmt.Sprint(xfer.DefaultGzipLimit)) {
			t.Errorf("%s: got %v, want the default limit in it", name, err)
		}
		if got, err := g.OnUnpackLimit(bomb, len(content)); err != nil || len(got) != len(content) {
			t.Errorf("%s: got %d bytes, %v, want all", name, len(got), err)
		}
	}
	small := pack(t, g, []byte("small"))
	if memory := filtertest.Allocated(func() { _, _ = g.OnUnpackLimit(small, 1<<30) }); memory > 1<<20 {
		t.Errorf("a small packet with a large limit allocates %d bytes", memory)
	}
	// A stream that promises 4 GiB in its last bytes.
	lie := append(small[:len(small)-4:len(small)-4], 0xff, 0xff, 0xff, 0xff)
	if memory := filtertest.Allocated(func() { _, _ = g.OnUnpackLimit(lie, math.MaxInt) }); memory > 1<<20 {
		t.Errorf("a false length makes it allocate %d bytes", memory)
	}
}

// outerGzip is gzip once more, under an id of its own.
type outerGzip struct{ *xfer.Gzip }

func (outerGzip) Id() byte { return 'o' }

// What is refused has cost no more memory than is allowed, and 2 MiB: also when
// the end of the stream lies about its length, and when there is another one
// inside of it.
func TestGzipBombMemory(t *testing.T) {
	const max = 16 << 20
	g := newGzip(t, 1)
	register(t, outerGzip{g})
	content := make([]byte, 4*max)
	bomb := pack(t, g, content)
	lie := bytes.Clone(bomb)
	copy(lie[len(lie)-4:], []byte{0, 0, 0, 1}) // 16 MiB
	tests := []struct {
		name, ids string
		packed    []byte
	}{
		{"once", "g", bomb},
		{"once, flushed", "g", flushed(t, 1, content)},
		{"once, with a false length", "g", lie},
		{"nested", "og", pack(t, g, bomb)},
		{"nested, flushed", "og", flushed(t, 1, flushed(t, 1, content))},
		{"nested, with a false length", "og", pack(t, g, lie)},
		{"nested, much at the first step", "og", pack(t, g, append(bytes.Clone(bomb), content[:8<<20]...))},
	}
	for _, tt := range tests {
		pipe := pipeOf(t, []byte(tt.ids)...)
		var err error
		memory := filtertest.Allocated(func() { _, err = pipe.OnUnpackLimit(tt.packed, max) })
		if !errors.Is(err, xfer.ErrExceedLimit) {
			t.Errorf("%s: got %v, want %v", tt.name, err, xfer.ErrExceedLimit)
		}
		t.Logf("%s: %d bytes took %d", tt.name, len(tt.packed), memory)
		if memory > max+2<<20 {
			t.Errorf("%s: %d bytes took %d of memory, want at most %d", tt.name, len(tt.packed), memory, max+2<<20)
		}
	}
}

// A large content comes out whole, whatever its length was thought to be.
func TestGzipLarge(t *testing.T) {
	g := newGzip(t, 1)
	for _, n := range []int{512<<10 - 1, 512 << 10, 512<<10 + 1, 1 << 20, 5 << 20} {
		for name, content := range map[string][]byte{"zeros": make([]byte, n), "random": filtertest.Random(n)} {
			for form, packed := range map[string][]byte{"whole": pack(t, g, content), "flushed": flushed(t, 1, content)} {
				if got, err := g.OnUnpackLimit(packed, n); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d %s, %s: got %d bytes, %v", n, name, form, len(got), err)
				}
				if got, err := g.OnUnpackLimit(packed, n-1); got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
					t.Errorf("%d %s, %s, one too many: got %d bytes, %v", n, name, form, len(got), err)
				}
				if got, err := g.OnUnpackLimit(packed[:len(packed)-5], n); got != nil || err == nil || errors.Is(err, xfer.ErrExceedLimit) {
					t.Errorf("%d %s, %s, cut off: got %d bytes, %v", n, name, form, len(got), err)
				}
			}
		}
	}
	small, large := pack(t, g, make([]byte, 1000)), pack(t, g, make([]byte, 1<<20))
	copy(large[len(large)-4:], small[len(small)-4:])
	if _, err := g.OnUnpack(large); !errors.Is(err, gzip.ErrChecksum) {
		t.Errorf("a length that is too short: got %v, want %v", err, gzip.ErrChecksum)
	}
}

func TestGzipConcurrent(t *testing.T) {
	g := newGzip(t, 1)
	old := unhex(t, pull2017)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte(i)}, 1000+i)
			for range 50 {
				packed, err := g.OnPack(want)
				if err != nil {
					t.Error(err)
				}
				if got, err := g.OnUnpack(packed); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
				if got, err := g.OnUnpack(old); err != nil || string(got) != content2017(1) {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func ExampleGzip() {
	best, err := xfer.NewGzip(9)
	if err != nil {
		fmt.Println(err)
		return
	}
	packed, err := best.OnPack([]byte(strings.Repeat("teleport ", 1000)))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := best.OnUnpackLimit(packed, 9000)
	fmt.Println(len(packed) < 100, len(data), err)
	_, err = best.OnUnpackLimit(packed, 500)
	fmt.Println(err)
	// Output:
	// true 9000 <nil>
	// xfer: unpacked data exceeds the limit: at least 501 bytes, at most 500 are allowed
}

func FuzzGzipUnpack(f *testing.F) {
	g := newGzip(f, 1)
	f.Add(unhex(f, pull2017))
	f.Add(unhex(f, reply2017))
	f.Add(pack(f, g, nil))
	f.Add(pack(f, g, []byte(strings.Repeat("teleport ", 100))))
	f.Add(flushed(f, 5, []byte("a"), filtertest.Random(20)))
	f.Fuzz(func(t *testing.T, data []byte) {
		const max = 1 << 16
		if got, err := g.OnUnpackLimit(data, max); err == nil {
			if len(got) > max {
				t.Fatalf("got %d bytes, want at most %d", len(got), max)
			}
			if again, err := g.OnUnpackLimit(pack(t, g, got), max); err != nil || !bytes.Equal(again, got) {
				t.Fatalf("packed again: got %d bytes, %v, want %d", len(again), err, len(got))
			}
		} else if got != nil || errors.Is(err, io.EOF) {
			t.Fatalf("got %q, %v", got, err)
		}
		// What is packed comes back, and not if it is damaged.
		packed := pack(t, g, data)
		if got, err := g.OnUnpackLimit(packed, len(data)); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %q, %v, want %q", got, err, data)
		}
		for _, n := range []int{len(packed) - 1, len(packed) - 4, len(packed) - 8, len(packed) - 9, len(packed) / 2} {
			if got, err := g.OnUnpackLimit(packed[:n], len(data)); err == nil {
				t.Fatalf("cut to %d of %d bytes: got %q", n, len(packed), got)
			}
		}
	})
}

func BenchmarkGzip(b *testing.B) {
	body := []byte(strings.Repeat(`{"name":"teleport","id":12345},`, 20))[:581]
	g := newGzip(b, 1)
	packed, old := pack(b, g, body), flushed(b, 5, body)
	benchmarks := []struct {
		name string
		f    func() ([]byte, error)
	}{
		{"Pack", func() ([]byte, error) { return g.OnPack(body) }},
		{"Unpack", func() ([]byte, error) { return g.OnUnpackLimit(packed, 1<<20) }},
		{"Unpack2017", func() ([]byte, error) { return g.OnUnpackLimit(old, 1<<20) }},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := bm.f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
