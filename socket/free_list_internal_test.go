package socket

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

const mib = 1 << 20

func (f *freeList) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.free)
}

// sweptAt says when the last sweep was.
func (f *freeList) sweptAt(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swept = at
}

// A sync.Pool would have nothing left after two collections.
func TestLargeBuffersOutliveCollections(t *testing.T) {
	b := getBuffer(mib)
	f := &freeLists[classOf(mib)-firstKept]
	f.sweptAt(time.Now().Add(time.Hour)) // however slow the machine is
	defer f.sweptAt(time.Time{})
	putBuffer(b)
	for range 3 {
		runtime.GC()
	}
	if got := getBuffer(mib); got != b {
		t.Error("a large buffer was lost to the collector")
	}
}

func TestFreeListDropsWhatIsNotNeeded(t *testing.T) {
	f := &freeList{watch: true} // the test sweeps, and not the collector
	use := func(n int) {
		var used []*buffer
		for range n {
			used = append(used, f.get())
		}
		for _, b := range used {
			f.put(b)
		}
	}
	for range 5 {
		f.put(&buffer{B: make([]byte, 0, mib)})
	}
	now := time.Now()
	f.drop(now) // from now on it is known what is needed
	for _, step := range []struct{ atOnce, before, left int }{{5, 5, 5}, {2, 5, 2}, {1, 2, 1}, {0, 1, 0}} {
		use(step.atOnce)
		f.drop(now.Add(sweepPause - 1))
		if n := f.len(); n != step.before {
			t.Errorf("a sweep that comes too early leaves %d of %d buffers", n, step.before)
		}
		now = now.Add(sweepPause)
		f.drop(now)
		if n := f.len(); n != step.left {
			t.Errorf("%d buffers were in use at once, and %d are left, want %d", step.atOnce, n, step.left)
		}
	}
	if f.get() != nil {
		t.Error("an empty list has a buffer")
	}
}

// A process in which nothing happens must not keep the memory of a rush: collections
// alone give it back.
func TestCollectionsEmptyFreeList(t *testing.T) {
	f := new(freeList)
	for range 3 {
		f.put(&buffer{B: make([]byte, 0, mib)})
	}
	for deadline := time.Now().Add(20 * time.Second); f.len() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d buffers are kept for ever", f.len())
		}
		f.sweptAt(time.Time{})
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestFreeListIsBounded(t *testing.T) {
	f := new(freeList)
	put := func(n, size int) (kept int) {
		for range n {
			if f.put(&buffer{B: make([]byte, 0, size)}) {
				kept++
			}
		}
		return kept
	}
	if n := put(5, 2*mib); n != 5 {
		t.Errorf("it keeps %d of 5 buffers of 2 MiB", n)
	}
	if n := put(20, mib); n != 6 {
		t.Errorf("it keeps %d MiB beside 10, want 6", n)
	}
	for f.get() != nil {
	}
	if n := put(20, mib); n != mostKept/mib {
		t.Errorf("it keeps %d MiB after it was empty, want %d", n, mostKept/mib)
	}
}

// What a list does not keep is not lost: it may be needed at once.
func TestLargeBuffersBeyondTheBound(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var used, again []*buffer
	const n = 4 * mostKept / (4 * mib)
	for range n {
		used = append(used, getBuffer(4*mib))
	}
	for _, b := range used {
		putBuffer(b)
	}
	for range n {
		again = append(again, getBuffer(4*mib))
	}
	same := 0
	for _, b := range again {
		if slices.Contains(used, b) {
			same++
		}
		putBuffer(b)
	}
	// With the race detector a sync.Pool drops some at random.
	if same <= mostKept/(4*mib) {
		t.Errorf("%d of %d buffers came again", same, n)
	}
}
