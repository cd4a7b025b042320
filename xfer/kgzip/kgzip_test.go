package kgzip_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/kgzip"
)

func newFilter(t testing.TB, level int) *kgzip.Filter {
	t.Helper()
	f, err := kgzip.New(level)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	filtertest.Run(t, new(kgzip.Filter), filtertest.Truncation)
	for _, level := range []int{-2, 1, 9} {
		filtertest.Run(t, newFilter(t, level), filtertest.Truncation)
	}
}

func FuzzFilter(f *testing.F) { filtertest.Fuzz(f, newFilter(f, 1), filtertest.Truncation) }

func TestNew(t *testing.T) {
	for _, level := range []int{-3, 10} {
		if f, err := kgzip.New(level); f != nil || err == nil || !strings.Contains(err.Error(), "choose one from -2 to 9") {
			t.Errorf("level %d: got %v, %v", level, f, err)
		}
	}
	if f, err := xfer.Get('g'); err != nil {
		t.Error(err)
	} else if _, ok := f.(*kgzip.Filter); !ok {
		t.Errorf("the filter 'g' is a %T", f)
	}
}

// Each reads what the other writes, and the standard library what both do.
func TestBothWays(t *testing.T) {
	std, err := xfer.NewGzip(1)
	if err != nil {
		t.Fatal(err)
	}
	f := newFilter(t, 1)
	for _, want := range [][]byte{nil, []byte("a"), filtertest.Text(100000), filtertest.Random(100000)} {
		for name, pair := range map[string][2]xfer.XferFilter{"from here": {f, std}, "from there": {std, f}} {
			packed := filtertest.Pack(t, pair[0], want)
			if got, err := pair[1].OnUnpack(packed); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: got %d bytes, %v", name, len(want), len(got), err)
			}
			zr, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(zr); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: the standard library reads %d bytes, %v", name, len(want), len(got), err)
			}
		}
	}
	// A pull of a program of 2017, which does not close its streams.
	old, err := hex.DecodeString("1f8b08000000000000ff62800246060606" + "3efd8cfcdc54fdd4e48c7cfb0a5b4390" + "7056b552a29295a18e52b192955246a6" + "522d000000ffff")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.OnUnpack(old); err != nil || !bytes.HasSuffix(got, []byte(`j{"a":1,"s":"hi"}`)) {
		t.Errorf("2017: got %q, %v", got, err)
	}
	bomb := filtertest.Pack(t, f, make([]byte, 17<<20))
	if memory := filtertest.Allocated(func() { _, err = f.OnUnpackLimit(bomb, 1<<20) }); !errors.Is(err, xfer.ErrExceedLimit) || memory > 4<<20 {
		t.Errorf("a bomb: got %v, for %d of memory", err, memory)
	}
}
