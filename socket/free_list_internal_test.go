package socket

import (
	"runtime"
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
	for range 20 {
		f.put(&buffer{B: make([]byte, 0, mib)})
	}
	if n := f.len(); n != mostKept/mib {
		t.Errorf("it keeps %d MiB, want %d", n, mostKept/mib)
	}
	f.put(&buffer{B: make([]byte, 0, 4*mib)})
	if n := f.len(); n != mostKept/mib {
		t.Errorf("it keeps %d buffers, one of them beyond the bound", n)
	}
}
