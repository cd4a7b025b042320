package md5_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/md5"
)

func TestFilter(t *testing.T) { filtertest.Run(t, md5.Filter{}, filtertest.Flips) }

func FuzzFilter(f *testing.F) { filtertest.Fuzz(f, md5.Filter{}, filtertest.Flips) }

func TestRegistered(t *testing.T) {
	if f, err := xfer.Get(md5.ID); f != (md5.Filter{}) || err != nil {
		t.Errorf("got %T, %v", f, err)
	}
}

// The sums of RFC 1321, appendix A.5: 16 bytes, as they are, after the packet, as the
// programs of erpc write them.
func TestGolden(t *testing.T) {
	for in, sum := range map[string]string{
		"":               "d41d8cd98f00b204e9800998ecf8427e",
		"abc":            "900150983cd24fb0d6963f7d28e17f72",
		"message digest": "f96b697d7cb7938d525a2f31aaf161d0",
	} {
		raw, err := hex.DecodeString(sum)
		if err != nil {
			t.Fatal(err)
		}
		want := in + string(raw)
		if got := filtertest.Pack(t, md5.Filter{}, []byte(in)); string(got) != want {
			t.Errorf("%q: got %x, want %x", in, got, want)
		}
		if got, err := (md5.Filter{}).OnUnpack([]byte(want)); string(got) != in || err != nil {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	if _, err := (md5.Filter{}).OnUnpack(make([]byte, 20)); !errors.Is(err, md5.ErrMismatch) {
		t.Errorf("got %v, want %v", err, md5.ErrMismatch)
	}
}

// another is the filter under the id that the other side chose.
type another struct{ md5.Filter }

func (another) Id() byte { return 5 }

func TestAnotherID(t *testing.T) {
	xfer.Replace(another{}) // a test may run more than once
	var pipe xfer.XferPipe
	if err := pipe.Append(5); err != nil {
		t.Fatal(err)
	}
	packed, err := pipe.OnPack([]byte("abc"))
	if err != nil || len(packed) != 3+16 {
		t.Errorf("got %x, %v", packed, err)
	}
	if got, err := pipe.OnUnpackLimit(packed, 3); string(got) != "abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
