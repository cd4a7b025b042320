package histogram

import (
	"math"
	"testing"
)

func TestBucketsAreNarrow(t *testing.T) {
	last := -1
	for ns := int64(0); ns < 1<<39; ns += 1 + ns/1000 {
		i := bucket(ns)
		if i < last {
			t.Fatalf("%d ns is in bucket %d, after %d", ns, i, last)
		}
		last = i
		if got := middle(i); math.Abs(got-float64(ns)) > float64(ns)/100 {
			t.Fatalf("%d ns is in bucket %d, whose middle is %v", ns, i, got)
		}
	}
	if i := bucket(math.MaxInt64); i != buckets-1 {
		t.Errorf("the longest is in bucket %d", i)
	}
	if i := bucket(-1); i != 0 {
		t.Errorf("a negative one is in bucket %d", i)
	}
}

func TestQuantile(t *testing.T) {
	var all, part Histogram
	if got := all.Quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	for ns := int64(1); ns <= 100_000; ns++ {
		if ns%2 == 0 {
			part.Add(ns)
		} else {
			all.Add(ns)
		}
	}
	all.Merge(&part)
	if n := all.Count(); n != 100_000 {
		t.Errorf("counted %d", n)
	}
	for _, q := range []float64{0.5, 0.99, 0.999, 1} {
		want := q * 100_000
		if got := all.Quantile(q); math.Abs(got-want) > want/50 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}
