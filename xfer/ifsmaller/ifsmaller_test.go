package ifsmaller_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/ifsmaller"
	"github.com/henrylee2cn/teleport/xfer/s2"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

func newFilter(t testing.TB, config *ifsmaller.Config) *ifsmaller.Filter {
	t.Helper()
	f, err := ifsmaller.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	for _, inner := range []byte{'g', zstd.ID, s2.ID} {
		for _, size := range []int{-1, 0, 1 << 30} {
			filtertest.Run(t, newFilter(t, &ifsmaller.Config{Id: 'Q', Filter: inner, MinSize: size}), filtertest.Nothing)
		}
	}
}

func FuzzFilter(f *testing.F) {
	filtertest.Fuzz(f, newFilter(f, &ifsmaller.Config{Id: 'Q', Filter: zstd.ID, MinSize: 50}), filtertest.Nothing)
}

func TestConfig(t *testing.T) {
	tests := []struct {
		config *ifsmaller.Config
		want   string
	}{
		{nil, "Id:"},
		{&ifsmaller.Config{Filter: 'g'}, "Id:"},
		{&ifsmaller.Config{Id: 'Q'}, "Filter: xfer: no filter has id 0"},
		{&ifsmaller.Config{Id: 'Q', Filter: '?'}, "Filter: xfer: no filter has id '?'"},
		{&ifsmaller.Config{Id: 'g', Filter: 'g'}, "Filter: it is this one"},
	}
	for _, tt := range tests {
		if f, err := ifsmaller.New(tt.config); f != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, %v, want %q", tt.config, f, err, tt.want)
		}
	}
}

// The first byte says what was done, and a packet grows by no more than that.
func TestWhatHelps(t *testing.T) {
	f := newFilter(t, &ifsmaller.Config{Id: 'Q', Filter: zstd.ID, MinSize: 100})
	tests := []struct {
		name    string
		content []byte
		mark    byte
	}{
		{"nothing", nil, 0},
		{"small", bytes.Repeat([]byte("a"), 99), 0},
		{"large enough", bytes.Repeat([]byte("a"), 100), 1},
		{"text", filtertest.Text(2000), 1},
		{"random", filtertest.Random(2000), 0},
	}
	for _, tt := range tests {
		packed := filtertest.Pack(t, f, tt.content)
		if packed[0] != tt.mark || len(packed) > len(tt.content)+1 || tt.mark == 1 && len(packed) > len(tt.content) {
			t.Errorf("%s: %d bytes became %d, marked %d, want %d", tt.name, len(tt.content), len(packed), packed[0], tt.mark)
		}
		packed[0] ^= 1
		if got, err := f.OnUnpack(packed); err == nil && bytes.Equal(got, tt.content) {
			t.Errorf("%s, with the other mark: got the content", tt.name)
		}
		packed[0] = 2
		if got, err := f.OnUnpack(packed); got != nil || err == nil {
			t.Errorf("%s, marked 2: got %d bytes, %v", tt.name, len(got), err)
		}
	}
}

// repeating is a filter that knows no limits.
type repeating struct{}

func (repeating) Id() byte                            { return 'R' }
func (repeating) OnPack(src []byte) ([]byte, error)   { return src[:len(src)/4], nil }
func (repeating) OnUnpack(src []byte) ([]byte, error) { return bytes.Repeat(src, 4), nil }

func TestLimitOfOthers(t *testing.T) {
	xfer.Replace(repeating{}) // a test may run more than once
	f := newFilter(t, &ifsmaller.Config{Id: 'Q', Filter: 'R', MinSize: -1})
	packed := filtertest.Pack(t, f, make([]byte, 400))
	if got, err := f.OnUnpackLimit(packed, 400); err != nil || len(got) != 400 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if got, err := f.OnUnpackLimit(packed, 399); got != nil || !errors.Is(err, xfer.ErrExceedLimit) {
		t.Errorf("one too many: got %d bytes, %v", len(got), err)
	}
	bomb := append([]byte{1}, filtertest.Pack(t, s2.Filter{}, make([]byte, 64<<20))...)
	s := newFilter(t, &ifsmaller.Config{Id: 'Q', Filter: s2.ID})
	var err error
	if memory := filtertest.Allocated(func() { _, err = s.OnUnpackLimit(bomb, 1<<20) }); !errors.Is(err, xfer.ErrExceedLimit) || memory > 1<<20 {
		t.Errorf("a bomb: got %v, for %d of memory", err, memory)
	}
}
