// Package meter counts calls while a window is open, and their latency.
package meter

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/histogram"
)

// shards is over how many histograms the callers spread: enough that they
// seldom meet, and few enough to stay in the cache, and to be light. What the Meter
// has on the heap makes the collector of those who allocate run more often.
const shards = 4

const (
	waiting int32 = iota // warming up: calls are made and not counted
	open
	over
)

// Meter is what all callers of a client count in. Begin and End are called
// once each, by one goroutine.
type Meter struct {
	origin time.Time
	phase  atomic.Int32
	begun  int64

	mu     sync.Mutex                   // protects following
	shards [shards]*histogram.Histogram // nil as long as nobody records
	err    error
	failed chan struct{} // closed with the first error
}

// New returns a Meter that waits.
func New() *Meter {
	return &Meter{origin: time.Now(), failed: make(chan struct{})}
}

// Now returns the nanoseconds since the Meter was made.
func (m *Meter) Now() int64 { return int64(time.Since(m.origin)) }

// Over tells callers to stop.
func (m *Meter) Over() bool { return m.phase.Load() == over }

// Begin opens the window.
func (m *Meter) Begin() {
	m.begun = m.Now()
	m.phase.Store(open)
}

// End closes the window, and returns what was counted and in how many seconds.
func (m *Meter) End() (*histogram.Histogram, float64) {
	m.phase.Store(over)
	seconds := float64(m.Now()-m.begun) / 1e9
	all := new(histogram.Histogram)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, shard := range m.shards {
		if shard != nil {
			all.Merge(shard)
		}
	}
	return all, seconds
}

// Fail keeps the first error; it invalidates the run. Errors of a run that is
// over are those of its end, and of no interest.
func (m *Meter) Fail(err error) {
	if m.Over() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = errors.Join(errors.New("a call failed"), err)
		close(m.failed)
	}
}

// Err returns the first error.
func (m *Meter) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Failed is closed when there is an error.
func (m *Meter) Failed() <-chan struct{} { return m.failed }

// Recorder is one caller's way into the Meter.
type Recorder struct {
	m    *Meter
	hist *histogram.Histogram
}

// Recorder returns that of a caller, who has a number.
func (m *Meter) Recorder(caller int) Recorder {
	m.mu.Lock()
	defer m.mu.Unlock()
	shard := &m.shards[caller%shards]
	if *shard == nil {
		*shard = new(histogram.Histogram)
	}
	return Recorder{m, *shard}
}

// Record counts a call from start to end, if the window is open. It returns
// whether the caller shall go on.
func (r Recorder) Record(start, end int64) bool {
	switch r.m.phase.Load() {
	case waiting:
		return true
	case open:
		r.hist.Add(end - start)
		return true
	}
	return false
}
