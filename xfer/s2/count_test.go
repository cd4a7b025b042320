package s2

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/henrylee2cn/teleport/internal/filtertest"
)

// contents have elements of all kinds when they are compressed.
func contents() [][]byte {
	var list [][]byte
	for _, n := range []int{0, 1, 59, 60, 61, 255, 256, 257, 65535, 65536, 65537, 200000} {
		list = append(list, make([]byte, n), filtertest.Random(n), filtertest.Text(n))
	}
	var far bytes.Buffer
	block := filtertest.Random(70000)
	for i := range 40 {
		fmt.Fprint(&far, i)
		far.Write(block[i : i+20+i*7])
		far.Write(block)
	}
	return append(list, far.Bytes(), bytes.Repeat(block[:100], 1000))
}

func TestCount(t *testing.T) {
	for i, content := range contents() {
		for name, block := range map[string][]byte{
			"fast": s2.Encode(nil, content), "better": s2.EncodeBetter(nil, content), "best": s2.EncodeBest(nil, content),
			"snappy": s2.EncodeSnappy(nil, content), "best snappy": s2.EncodeSnappyBest(nil, content),
		} {
			if got := count(block); got != uint64(len(content)) {
				t.Errorf("content %d of %d bytes, %s: counted %d", i, len(content), name, got)
			}
		}
	}
}

// What the library decompresses is as long as was counted.
func FuzzCount(f *testing.F) {
	for _, content := range contents() {
		if len(content) < 1000 {
			f.Add(s2.Encode(nil, content))
			f.Add(s2.EncodeBest(nil, content))
		}
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		n := count(block)
		if claimed, err := s2.DecodedLen(block); err != nil || claimed > 1<<20 {
			return
		}
		if got, err := s2.Decode(nil, block); err == nil && uint64(len(got)) != n {
			t.Fatalf("counted %d, got %d bytes", n, len(got))
		}
	})
}
