package xfer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/xfer"
)

func TestPipeAppend(t *testing.T) {
	register(t, tagFilter('a'), tagFilter('b'), tagFilter('c'))
	tests := []struct {
		name   string
		change func(x *xfer.XferPipe) error
		want   string // ids
		err    string
	}{
		{"nothing", func(x *xfer.XferPipe) error { return x.Append() }, "ab", ""},
		{"one", func(x *xfer.XferPipe) error { return x.Append('g') }, "abg", ""},
		{"twice", func(x *xfer.XferPipe) error { return x.Append('b', 'c', 'c', 'a') }, "abc", ""},
		{"unknown", func(x *xfer.XferPipe) error { return x.Append('c', '?', 'g') }, "ab", "'?' (63)"},
		{"wire", func(x *xfer.XferPipe) error { return x.AppendWire([]byte("cg")) }, "abcg", ""},
		{"wire, nothing", func(x *xfer.XferPipe) error { return x.AppendWire(nil) }, "ab", ""},
		{"wire, again", func(x *xfer.XferPipe) error { return x.AppendWire([]byte("cb")) }, "ab", "'b' (98) is listed twice"},
		{"wire, twice", func(x *xfer.XferPipe) error { return x.AppendWire([]byte("cc")) }, "ab", "'c' (99) is listed twice"},
		{"wire, unknown", func(x *xfer.XferPipe) error { return x.AppendWire([]byte("c?")) }, "ab", "'?' (63)"},
		{"wire, too long", func(x *xfer.XferPipe) error { return x.AppendWire(make([]byte, 256)) }, "ab", "more than 4 filters in a pipe: the packet lists 256"},
		{"from nil", func(x *xfer.XferPipe) error { x.AppendFrom(nil); return nil }, "ab", ""},
		{"from itself", func(x *xfer.XferPipe) error { x.AppendFrom(x); return nil }, "ab", ""},
		{"from another", func(x *xfer.XferPipe) error { x.AppendFrom(pipeOf(t, 'c', 'b', 'g')); return nil }, "abcg", ""},
		{"reset", func(x *xfer.XferPipe) error { x.Reset(); return nil }, "", ""},
		{"reset and append", func(x *xfer.XferPipe) error { x.Reset(); return x.Append('b', 'a') }, "ba", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pipe := pipeOf(t, 'a', 'b')
			err := tt.change(pipe)
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error: got %v, want %q", err, tt.err)
			}
			if got := string(pipe.Ids()); got != tt.want || pipe.Len() != len(tt.want) {
				t.Errorf("ids: got %q, length %d, want %q", got, pipe.Len(), tt.want)
			}
			var ranged []byte
			pipe.Range(func(i int, f xfer.XferFilter) bool {
				if i != len(ranged) {
					t.Errorf("Range: index %d, want %d", i, len(ranged))
				}
				ranged = append(ranged, f.Id())
				return true
			})
			if string(ranged) != tt.want {
				t.Errorf("Range: got %q, want %q", ranged, tt.want)
			}
		})
	}
}

// What is wrong with ids is the error of packing, and stays with the pipe.
func TestPipeAppendUnchecked(t *testing.T) {
	register(t, tagFilter('a'), tagFilter('b'))
	var pipe, other xfer.XferPipe
	pipe.AppendUnchecked('a', 'b', 'a')
	if packed, err := pipe.OnPack([]byte("data")); string(packed) != "abdata" || err != nil {
		t.Errorf("registered: got %q, %v", packed, err)
	}
	pipe.AppendUnchecked('z', 'z')
	other.AppendFrom(&pipe)
	for name, x := range map[string]*xfer.XferPipe{"the pipe": &pipe, "a copy": &other} {
		if got := string(x.Ids()); got != "abz" {
			t.Errorf("%s: ids %q, want abz", name, got)
		}
		for call, f := range map[string]func() ([]byte, error){
			"OnPack":        func() ([]byte, error) { return x.OnPack([]byte("data")) },
			"OnUnpack":      func() ([]byte, error) { return x.OnUnpack([]byte("abdata")) },
			"OnUnpackLimit": func() ([]byte, error) { return x.OnUnpackLimit([]byte("abdata"), 100) },
		} {
			if got, err := f(); got != nil || err == nil || !strings.Contains(err.Error(), "/teleport/xfer/zstd") {
				t.Errorf("%s, %s: got %q, %v", name, call, got, err)
			}
		}
	}
	pipe.AppendUnchecked('x', 'y')
	if _, err := pipe.OnPack(nil); !errors.Is(err, xfer.ErrXferPipeTooLong) {
		t.Errorf("five: got %v", err)
	}
	pipe.Reset()
	if got, err := pipe.OnPack([]byte("data")); string(got) != "data" || err != nil {
		t.Errorf("after Reset: got %q, %v", got, err)
	}
}

func TestPipeTooLong(t *testing.T) {
	var all []byte
	for id := range 256 {
		if all = append(all, byte(id)); id != 'g' {
			register(t, tagFilter(id))
		}
	}
	var pipe xfer.XferPipe
	if err := pipe.Append(all...); !errors.Is(err, xfer.ErrXferPipeTooLong) || pipe.Len() != 0 {
		t.Errorf("256 filters: got %v and %d filters, want %v and none", err, pipe.Len(), xfer.ErrXferPipeTooLong)
	}
	if err := pipe.AppendWire(all[:xfer.MaxFilters+1]); !errors.Is(err, xfer.ErrXferPipeTooLong) || pipe.Len() != 0 {
		t.Errorf("one too many: got %v and %d filters, want %v and none", err, pipe.Len(), xfer.ErrXferPipeTooLong)
	}
	if err := pipe.AppendWire(all[:xfer.MaxFilters]); err != nil || pipe.Len() != xfer.MaxFilters {
		t.Fatalf("as many as may be: got %v, %d", err, pipe.Len())
	}
	packed, err := pipe.OnPack([]byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pipe.OnUnpackLimit(packed, 1000); string(got) != "data" || err != nil {
		t.Errorf("through %d filters: got %q, %v", xfer.MaxFilters, got, err)
	}
	if err := pipe.Append(all[0]); err != nil {
		t.Errorf("Append of an id that is there: %v", err)
	}
	if err := pipe.Append(all[255]); !errors.Is(err, xfer.ErrXferPipeTooLong) || pipe.Len() != xfer.MaxFilters {
		t.Errorf("one more: got %v, %d", err, pipe.Len())
	}
	pipe.AppendFrom(pipeOf(t, all[255]))
	if _, err := pipe.OnPack(nil); !errors.Is(err, xfer.ErrXferPipeTooLong) {
		t.Errorf("OnPack: got %v", err)
	}
	if _, err := pipe.OnUnpack(nil); !errors.Is(err, xfer.ErrXferPipeTooLong) {
		t.Errorf("OnUnpack: got %v", err)
	}
}

func TestPipeOrder(t *testing.T) {
	register(t, tagFilter('a'), tagFilter('b'), tagFilter('c'))
	pipe := pipeOf(t, 'a', 'b', 'c')
	packed, err := pipe.OnPack([]byte("data"))
	if string(packed) != "abcdata" || err != nil {
		t.Errorf("OnPack: got %q, %v, want the outermost filter in front", packed, err)
	}
	for name, unpack := range map[string]func() ([]byte, error){
		"OnUnpack":      func() ([]byte, error) { return pipe.OnUnpack(packed) },
		"OnUnpackLimit": func() ([]byte, error) { return pipe.OnUnpackLimit(packed, 6) },
	} {
		if data, err := unpack(); string(data) != "data" || err != nil {
			t.Errorf("%s: got %q, %v, want data", name, data, err)
		}
	}
	visited := 0
	pipe.Range(func(i int, f xfer.XferFilter) bool { visited++; return i < 1 })
	if visited != 2 {
		t.Errorf("Range went on to %d filters, want 2", visited)
	}
}

func TestPipeEmpty(t *testing.T) {
	data := []byte("data")
	for _, pipe := range []*xfer.XferPipe{nil, {}} {
		packed, err1 := pipe.OnPack(data)
		unpacked, err2 := pipe.OnUnpack(data)
		limited, err3 := pipe.OnUnpackLimit(data, 1)
		for _, got := range [][]byte{packed, unpacked, limited} {
			if &got[0] != &data[0] || len(got) != len(data) {
				t.Errorf("got %q, want data itself", got)
			}
		}
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Error(err)
		}
		if pipe.Len() != 0 || pipe.Ids() != nil {
			t.Error("the pipe is not empty")
		}
		pipe.Range(func(int, xfer.XferFilter) bool { t.Error("Range calls"); return true })
	}
}

func TestPipeIdsIsACopy(t *testing.T) {
	pipe := pipeOf(t, 'g')
	pipe.Ids()[0] = 'x'
	if got := string(pipe.Ids()); got != "g" {
		t.Errorf("got %q, want g", got)
	}
}

func TestPipeLimit(t *testing.T) {
	register(t, doubleFilter{'d'}, tagFilter('a'))
	zeros, err := pipeOf(t, 'g').OnPack(make([]byte, 1000))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		ids  string
		data []byte
		max  int
		want int // bytes, or -1 for an error
	}{
		{"d", make([]byte, 5), 10, 10},
		{"d", make([]byte, 5), 9, -1},
		{"d", nil, 0, 0},
		{"d", nil, -1, 0},
		{"d", make([]byte, 1), -1, -1},
		{"g", zeros, 1000, 1000},
		{"g", zeros, 999, -1},
		{"g", zeros, -1, -1},
		{"gd", zeros, 2000, 2000},
		{"gd", zeros, 1999, -1},
		{"ag", append([]byte("a"), zeros...), 1000, 1000},
		{"ag", append([]byte("a"), zeros...), 999, -1},
		{"a", append([]byte("a"), zeros...), len(zeros) - 1, -1},
	}
	for _, tt := range tests {
		got, err := pipeOf(t, []byte(tt.ids)...).OnUnpackLimit(tt.data, tt.max)
		switch {
		case tt.want >= 0 && (err != nil || len(got) != tt.want):
			t.Errorf("%s, max %d: got %d bytes, %v, want %d", tt.ids, tt.max, len(got), err, tt.want)
		case tt.want < 0 && (got != nil || !errors.Is(err, xfer.ErrExceedLimit)):
			t.Errorf("%s, max %d: got %d bytes, %v, want %v", tt.ids, tt.max, len(got), err, xfer.ErrExceedLimit)
		}
	}
	_, err = pipeOf(t, 'd').OnUnpackLimit(make([]byte, 5), 9)
	if want := "xfer: filter 'd' (100): unpack: xfer: unpacked data exceeds the limit: 10 bytes, at most 9 are allowed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestPipeErrors(t *testing.T) {
	cause := errors.New("the cause")
	register(t, panicFilter{'p', "text"}, panicFilter{'q', cause}, brokenFilter{'r'}, tagFilter('a'))
	tests := []struct {
		ids    string
		want   error // to find in the chain
		text   string
		panics bool
	}{
		{"p", nil, "xfer: filter 'p' (112) panicked: text", true},
		{"q", cause, "xfer: filter 'q' (113) panicked: the cause", true},
		{"r", errTag, "xfer: filter 'r' (114): ", false},
		{"ar", errTag, "xfer: filter 'r' (114): ", false},
	}
	for _, tt := range tests {
		pipe := pipeOf(t, []byte(tt.ids)...)
		for name, f := range map[string]func() ([]byte, error){
			"OnPack":        func() ([]byte, error) { return pipe.OnPack([]byte("a")) },
			"OnUnpack":      func() ([]byte, error) { return pipe.OnUnpack([]byte("a")) },
			"OnUnpackLimit": func() ([]byte, error) { return pipe.OnUnpackLimit([]byte("a"), 100) },
		} {
			got, err := f()
			if got != nil || err == nil || !strings.HasPrefix(err.Error(), tt.text) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s through %s: got %q, %v, want an error %q", name, tt.ids, got, err, tt.text)
			}
			var p *xfer.PanicError
			if errors.As(err, &p) != tt.panics {
				t.Errorf("%s through %s: got %T", name, tt.ids, err)
			}
			if tt.panics && (p.Id != tt.ids[0] || !bytes.Contains(p.Stack, []byte("panicFilter"))) {
				t.Errorf("%s through %s: got id %d and stack %s", name, tt.ids, p.Id, p.Stack)
			}
		}
	}
}

func BenchmarkPipeEmpty(b *testing.B) {
	var pipe xfer.XferPipe
	data := []byte("data")
	b.ReportAllocs()
	for b.Loop() {
		if pipe.Len() == 0 && pipe.Ids() == nil {
			_, _ = pipe.OnPack(data)
			_, _ = pipe.OnUnpackLimit(data, 100)
		}
	}
}
