package registry

import (
	"math"
	"testing"
)

// Of no hash is the score infinite: of one that is the greatest a number of 53 bits was
// 1, the score minus infinity, and of a single member none was chosen.
func TestScoreIsFinite(t *testing.T) {
	for _, h := range []uint64{0, 1, 1 << 63, math.MaxUint64 - 1<<11, math.MaxUint64 - 1, math.MaxUint64} {
		if f := fraction(h); f <= 0 || f >= 1 {
			t.Errorf("the fraction of %#x is %v", h, f)
		}
		if s := 1 / -math.Log(fraction(h)); s <= 0 || math.IsInf(s, 0) {
			t.Errorf("the score of %#x is %v", h, s)
		}
	}
}
