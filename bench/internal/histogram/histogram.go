// Package histogram counts durations in buckets that are 1.6 % wide at most,
// so that a run of millions of calls needs a few KiB and no sorting.
package histogram

import (
	"math/bits"
	"sync/atomic"
)

const (
	subBits = 6 // a power of two has 1<<subBits buckets
	subs    = 1 << subBits
	maxBits = 40 // 18 minutes; what is longer falls into the last bucket
	buckets = (maxBits - subBits + 1) * subs
)

// Histogram counts nanoseconds. Several goroutines may add to it at once.
type Histogram struct {
	counts [buckets]atomic.Int64
}

// Add counts a duration. A negative one counts as 0.
func (h *Histogram) Add(ns int64) { h.counts[bucket(ns)].Add(1) }

// Merge adds what another has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.counts {
		if n := other.counts[i].Load(); n != 0 {
			h.counts[i].Add(n)
		}
	}
}

// Count returns how many durations were added.
func (h *Histogram) Count() int64 {
	var n int64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Quantile returns the duration in nanoseconds below which the share q of all
// lies: the middle of its bucket. It is 0 when there is none.
func (h *Histogram) Quantile(q float64) float64 {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := int64(q * float64(total))
	if rank >= total {
		rank = total - 1
	}
	for i := range h.counts {
		if rank -= h.counts[i].Load(); rank < 0 {
			return middle(i)
		}
	}
	return middle(buckets - 1)
}

// bucket returns the place of a duration. The first 2*subs are exact.
func bucket(ns int64) int {
	if ns < 0 {
		return 0
	}
	shift := bits.Len64(uint64(ns)) - subBits - 1
	if shift <= 0 {
		return int(ns)
	}
	return min(shift*subs+int(ns>>shift), buckets-1)
}

// middle returns the middle of the durations of a bucket.
func middle(i int) float64 {
	shift := i/subs - 1
	if shift <= 0 {
		return float64(i)
	}
	low := int64(i-shift*subs) << shift
	return float64(low) + float64(int64(1)<<shift-1)/2
}
