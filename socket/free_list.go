package socket

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// freeList has the free buffers of a large class.
//
// A sync.Pool drops what two collections found in it, and each processor has a place
// that others cannot take from. Bodies of 1 MiB have the collector run every 15 ms: of
// their frames a seventh was new memory, which had to be fetched from the system and
// cleared, and which made collections more frequent still (doc/adr/0024).
type freeList struct {
	mu     sync.Mutex // protects following
	free   []*buffer  // the last that came is the first that goes, for a cache may have it
	bytes  int        // that they have
	unused int        // how many of the first were not needed since the last sweep
	swept  time.Time
	watch  bool // a collection will be noticed
}

const (
	// firstKept is the smallest class that has a freeList: of 128 KiB.
	firstKept = 8
	// mostKept is how much the free buffers of one class may take. Those beyond
	// are in a sync.Pool.
	mostKept = 16 << 20
	// sweepPause is how long a buffer lies unused, at least, before it is dropped.
	sweepPause = time.Second
)

var freeLists [classes - firstKept]freeList

// get returns a buffer, or nil if none is free.
func (f *freeList) get() *buffer {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.free) - 1
	if last < 0 {
		return nil
	}
	b := f.free[last]
	f.free[last] = nil
	f.free = f.free[:last]
	f.bytes -= cap(b.B)
	f.unused = min(f.unused, last)
	return b
}

// put takes a buffer over, unless there are enough.
func (f *freeList) put(b *buffer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes+cap(b.B) > mostKept {
		return false
	}
	f.free = append(f.free, b)
	f.bytes += cap(b.B)
	if !f.watch {
		f.watch = true
		f.onCollection()
	}
	return true
}

// onCollection has sweep called after the next collection. So a process in which nothing
// happens gives its memory back as well, since the runtime collects every two minutes,
// and needs neither a timer nor a goroutine for that.
func (f *freeList) onCollection() {
	type lost struct{ _ [64]byte } // a smaller one might share its memory with what lives on
	runtime.AddCleanup(new(lost), (*freeList).sweep, f)
}

func (f *freeList) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(time.Now())
	if f.watch = len(f.free) > 0; f.watch {
		f.onCollection()
	}
}

// drop gives up what nobody needed since the last time, if that was long enough ago. mu
// is held.
func (f *freeList) drop(now time.Time) {
	if now.Sub(f.swept) < sweepPause {
		return
	}
	for _, b := range f.free[:f.unused] {
		f.bytes -= cap(b.B)
	}
	f.free = slices.Delete(f.free, 0, f.unused)
	f.unused, f.swept = len(f.free), now
}
