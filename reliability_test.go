package tp_test

import (
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Tests named TestFault are the faults of doc/reliability.md in a fast form, and
// with TP_FULL=1, as `make reliability` sets it, in the form that is measured there.

// size returns the fast or the full size of a fault.
func size(fast, full int) int {
	if os.Getenv("TP_FULL") == "1" {
		return full
	}
	return fast
}

// healthy are sessions that pull one after the other as long as others misbehave.
type healthy struct {
	t        testing.TB
	sessions []tp.Session
}

// dialHealthy makes n of them, with an "/echo" at addr.
func dialHealthy(t testing.TB, addr string, n int, plugins ...tp.Plugin) *healthy {
	t.Helper()
	h := &healthy{t: t}
	cli := newPeer(t, tp.PeerConfig{DefaultPullTimeout: patience, MaxOpeningPerIP: -1}, plugins...)
	for range n {
		h.sessions = append(h.sessions, dial(t, cli, addr))
	}
	return h
}

// pullWhile pulls on all of them, with a pause between two pulls of each, until stop
// is closed. It returns how long the slower ones took.
func (h *healthy) pullWhile(stop <-chan struct{}, pause time.Duration) latency {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for _, sess := range h.sessions {
		wg.Go(func() {
			var mine []time.Duration
			for alive := true; alive; {
				begin := time.Now()
				if rerr := sess.Pull("/echo", []byte("x"), nil).Rerror(); rerr != nil {
					h.t.Errorf("a healthy session: %v", rerr)
					break
				}
				mine = append(mine, time.Since(begin))
				select {
				case <-stop:
					alive = false
				case <-time.After(pause):
				}
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(took)
	return latency(took)
}

// pullFor is pullWhile for some time.
func (h *healthy) pullFor(d, pause time.Duration) latency {
	stop := make(chan struct{})
	time.AfterFunc(d, func() { close(stop) })
	return h.pullWhile(stop, pause)
}

// latency is how long pulls took, the shortest first.
type latency []time.Duration

func (l latency) p99() time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[len(l)*99/100].Round(time.Microsecond)
}

// over returns by what factor the p99 of l is that of before.
func (l latency) over(before latency) float64 {
	return math.Round(10*float64(l.p99())/float64(before.p99())) / 10
}

// heap returns how many bytes are allocated and in use.
func heap() int {
	runtime.GC()
	runtime.GC() // for what was pooled
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// mib is a number of bytes for people.
func mib(bytes int) float64 { return math.Round(10*float64(bytes)/(1<<20)) / 10 }
