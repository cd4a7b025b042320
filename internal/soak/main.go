// Command soak runs peers under all faults at random, for a time and by a seed, and
// checks what must hold: every call ends, replies are those that were asked for, an
// error has a cause, and at the end nothing is left. It prints its figures, and exits
// with 1 if something does not hold.
//
//	go run ./internal/soak -duration 10m -seed 7
//
// A seed makes the same choices in the same order. When they meet which bytes is up to
// the scheduler.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// flipTail is for how long after bits were flipped they may show.
const flipTail = time.Second

// soak is one run.
type soak struct {
	seed  uint64
	begin time.Time
	stop  context.Context
	group sync.WaitGroup // of all that runs until stop

	// What is printed at the end.
	calls, failed, unsure, gaveUp, panics, nested    atomic.Int64
	pushes, pushed, broadcasts, news                 atomic.Int64
	faults, stalls, restarts, crashes, severed       atomic.Int64
	hostile, slow, redials, corrupted, misled, wrong atomic.Int64
	longest, mostHandlers, mostQueued, mostSessions  atomic.Int64

	flipped atomic.Int64 // nanoseconds after begin until which flipped bits may show

	mu       sync.Mutex // protects following
	problems []string
	refused  map[string]uint64 // of all peers that are closed
}

func main() {
	duration := flag.Duration("duration", time.Minute, "how long it runs")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what its choices are made by")
	flag.Parse()
	fmt.Printf("soak: %v, seed %d\n", *duration, *seed)
	s := &soak{seed: *seed, begin: time.Now(), refused: make(map[string]uint64)}
	logger, err := tp.NewLogger(&watch{s: s}, "ERROR")
	if err != nil {
		panic(err)
	}
	tp.SetLogger(logger)
	goroutines, heap := runtime.NumGoroutine(), liveHeap()
	ctx, cancel := context.WithTimeout(context.Background(), *duration)
	defer cancel()
	s.stop = ctx
	s.run()
	s.leftovers(goroutines, heap)
	s.print()
	s.verdict(*duration)
	for _, problem := range s.problems {
		fmt.Println("soak: FAILED:", problem)
	}
	if len(s.problems) > 0 {
		os.Exit(1)
	}
	fmt.Println("soak: all held")
}

// report notes what did not hold.
func (s *soak) report(format string, args ...interface{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < 20 {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}

// counters are the figures by their names.
func (s *soak) counters() []counter {
	return []counter{
		{"calls answered", &s.calls},
		{"failed", &s.failed},
		{"of them perhaps executed", &s.unsure},
		{"given up or late", &s.gaveUp},
		{"handlers that panicked", &s.panics},
		{"nested calls", &s.nested},
		{"pushes accepted", &s.pushes},
		{"broadcasts of the clients", &s.broadcasts},
		{"pushes handled by the server", &s.pushed},
		{"pushes of the server's broadcasts handled", &s.news},
		{"changes of faults", &s.faults},
		{"stalls until keep-alive gave up", &s.stalls},
		{"graceful restarts", &s.restarts},
		{"crashes", &s.crashes},
		{"resets of all connections", &s.severed},
		{"hostile connections", &s.hostile},
		{"connections that did not read", &s.slow},
		{"redials", &s.redials},
		{"bodies found corrupted after flipped bits", &s.corrupted},
	}
}

type counter struct {
	what string
	n    *atomic.Int64
}

func (s *soak) print() {
	for _, c := range s.counters() {
		fmt.Printf("%9d %s\n", c.n.Load(), c.what)
	}
	fmt.Printf("%9d %s\n", s.misled.Load(), "replies to other calls after flipped bits")
	fmt.Printf("%9d %s\n", s.wrong.Load(), "wrong replies, pushes and errors")
	fmt.Printf("at most: a call of %v; in the server %d sessions, %d handlers, %d bytes queued\n",
		time.Duration(s.longest.Load()).Round(time.Millisecond), s.mostSessions.Load(), s.mostHandlers.Load(), s.mostQueued.Load())
	fmt.Print("refused:")
	for _, why := range slices.Sorted(maps.Keys(s.refused)) {
		fmt.Printf(" %s %d", why, s.refused[why])
	}
	fmt.Println()
}

// verdict adds what the figures say.
func (s *soak) verdict(duration time.Duration) {
	if n := s.wrong.Load(); n > 0 {
		s.report("%d wrong replies, pushes or errors", n)
	}
	if duration < 30*time.Second {
		return
	}
	for _, c := range s.counters() {
		// These may be none, with luck.
		if c.n.Load() == 0 && c.n != &s.failed && c.n != &s.unsure && c.n != &s.corrupted {
			s.report("it did not occur: %s", c.what)
		}
	}
}

// most raises m to n.
func most(m *atomic.Int64, n int64) {
	for old := m.Load(); n > old && !m.CompareAndSwap(old, n); old = m.Load() {
	}
}

// flips says that bits are flipped from now on, or not any more.
func (s *soak) flips(on bool) {
	if on {
		s.flipped.Store(math.MaxInt64)
	} else if s.flipped.Load() == math.MaxInt64 {
		s.flipped.Store(int64(time.Since(s.begin) + flipTail))
	}
}

// tainted reports whether flipped bits may show in what began then.
func (s *soak) tainted(began time.Time) bool {
	return int64(began.Sub(s.begin)) < s.flipped.Load()
}

// watch reads the log for panics that are not on purpose: also those that are
// recovered must not be.
type watch struct{ s *soak }

func (w *watch) Write(line []byte) (int, error) {
	if text := string(line); strings.Contains(text, "panicked") && !strings.Contains(text, onPurpose) {
		w.s.report("a panic: %.2000s", text)
	}
	return len(line), nil
}

// liveHeap returns the bytes that are alive.
func liveHeap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// leftovers looks for what is still there when all is closed.
func (s *soak) leftovers(goroutines int, heap int64) {
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	left := runtime.NumGoroutine() - goroutines
	if left > 0 {
		s.report("%d goroutines are left", left)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	now := liveHeap()
	if now > heap+16<<20 {
		s.report("%d bytes more are alive than at the beginning", now-heap)
	}
	fmt.Printf("at the end: %d goroutines more than at the beginning, %.1f MiB alive and before %.1f\n",
		left, float64(now)/(1<<20), float64(heap)/(1<<20))
}
