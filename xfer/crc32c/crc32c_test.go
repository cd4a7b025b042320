package crc32c_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/crc32c"
)

func TestFilter(t *testing.T) { filtertest.Run(t, crc32c.Filter{}, filtertest.Flips) }

func FuzzFilter(f *testing.F) { filtertest.Fuzz(f, crc32c.Filter{}, filtertest.Flips) }

func TestRegistered(t *testing.T) {
	if f, err := xfer.Get(crc32c.ID); f != (crc32c.Filter{}) || err != nil {
		t.Errorf("got %T, %v", f, err)
	}
}

// The checksums of RFC 3720, appendix B.4, and the one that every table has.
func TestGolden(t *testing.T) {
	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	tests := []struct {
		in   []byte
		want string
	}{
		{nil, "\x00\x00\x00\x00"},
		{make([]byte, 32), "\x8a\x91\x36\xaa"},
		{bytes.Repeat([]byte{0xff}, 32), "\x62\xa8\xab\x43"},
		{ascending, "\x46\xdd\x79\x4e"},
		{[]byte("123456789"), "\xe3\x06\x92\x83"},
	}
	for _, tt := range tests {
		got := filtertest.Pack(t, crc32c.Filter{}, tt.in)
		if string(got) != string(tt.in)+tt.want {
			t.Errorf("%x: got %x, want it and %x", tt.in, got, tt.want)
		}
		if back, err := (crc32c.Filter{}).OnUnpack([]byte(string(tt.in) + tt.want)); err != nil || !bytes.Equal(back, tt.in) {
			t.Errorf("%x: got %x, %v", tt.in, back, err)
		}
	}
	if _, err := (crc32c.Filter{}).OnUnpack([]byte("123456789\xe3\x06\x92\x84")); !errors.Is(err, crc32c.ErrMismatch) {
		t.Errorf("got %v, want %v", err, crc32c.ErrMismatch)
	}
}
