package tp

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// task is what a worker runs. It must not panic.
type task interface{ run() }

// goroutineLimit bounds the workers of the whole process: see SetGopool.
var goroutineLimit struct {
	max     atomic.Int64
	running atomic.Int64
	idle    atomic.Int64 // nanoseconds
}

const (
	defaultMaxGoroutines = 1 << 20
	defaultWorkerIdle    = 10 * time.Second
)

// SetGopool sets how many goroutines may handle exchanges and run functions
// of Go in the whole process, and for how long one is kept idle. Zero or less
// means the default: 1,048,576 and 10 s. Idle ones count. Beyond the limit a
// pull is answered 503 and Go returns false; a push waits for its turn.
func SetGopool(maxGoroutinesAmount int, maxGoroutineIdleDuration time.Duration) {
	goroutineLimit.max.Store(int64(max(maxGoroutinesAmount, 0)))
	goroutineLimit.idle.Store(int64(max(maxGoroutineIdleDuration, 0)))
}

func workerIdle() time.Duration {
	if d := goroutineLimit.idle.Load(); d > 0 {
		return time.Duration(d)
	}
	return defaultWorkerIdle
}

// addGoroutine counts one more, unless that would exceed the limit.
func addGoroutine() bool {
	limit := goroutineLimit.max.Load()
	if limit == 0 {
		limit = defaultMaxGoroutines
	}
	if goroutineLimit.running.Add(1) > limit {
		goroutineLimit.running.Add(-1)
		return false
	}
	return true
}

// workerPool keeps goroutines whose stacks have grown already: with handlers
// that decode, a reused one is 1.7 times as fast as a fresh one.
//
// Its goroutines end when they are idle for long, or with stop.
type workerPool struct {
	mu      sync.Mutex // protects following
	idle    []*worker  // the last to become idle is the first to be used
	spare   int        // the least that were idle since the last sweep
	sweeper *time.Timer
	busy    int
	stopped bool
	empty   notice.Notice // busy is 0
}

type worker struct{ tasks chan task }

// start runs t on a worker. It returns false when the process has too many.
func (p *workerPool) start(t task) bool { return p.startOn(t, true) }

// mustStart is start for what the library itself needs done: to flush, to
// drain, to work off a line, to finish a GoPull. It goes beyond the limit.
func (p *workerPool) mustStart(t task) { p.startOn(t, false) }

func (p *workerPool) startOn(t task, limited bool) bool {
	p.mu.Lock()
	if n := len(p.idle) - 1; n >= 0 {
		w := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		p.spare = min(p.spare, n)
		p.busy++
		p.mu.Unlock()
		w.tasks <- t // it has room for one and is empty
		return true
	}
	if !addGoroutine() {
		if limited {
			p.mu.Unlock()
			return false
		}
		goroutineLimit.running.Add(1)
	}
	p.busy++
	p.mu.Unlock()
	w := &worker{tasks: make(chan task, 1)}
	go p.work(w, t)
	return true
}

func (p *workerPool) work(w *worker, t task) {
	busy := true
	defer func() {
		if busy { // the task ended the goroutine, as testing.T.FailNow does
			p.mu.Lock()
			p.leave()
			p.mu.Unlock()
		}
		goroutineLimit.running.Add(-1)
	}()
	for ok := true; ok; {
		t.run()
		busy = false
		if !p.park(w) {
			return
		}
		t, ok = <-w.tasks
		busy = ok
	}
}

// leave counts one busy worker less. mu is held.
func (p *workerPool) leave() {
	p.busy--
	if p.busy == 0 {
		p.empty.Tell()
	}
}

// park makes w idle, or tells it to end.
func (p *workerPool) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave()
	if p.stopped {
		return false
	}
	p.idle = append(p.idle, w)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(workerIdle(), p.sweep)
	}
	return true
}

// sweep ends the workers that nobody needed since it last ran.
func (p *workerPool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.idle[:p.spare] {
		close(w.tasks)
	}
	p.idle = append([]*worker(nil), p.idle[p.spare:]...)
	p.spare = len(p.idle)
	if p.stopped || len(p.idle) == 0 {
		p.sweeper = nil
		return
	}
	p.sweeper.Reset(workerIdle())
}

// stop ends the idle workers now and the busy ones after their task.
func (p *workerPool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, w := range p.idle {
		close(w.tasks)
	}
	p.idle, p.spare = nil, 0
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
}

// wait returns when no worker is busy, or done is closed: then false.
func (p *workerPool) wait(done <-chan struct{}) bool {
	for {
		p.mu.Lock()
		if p.busy == 0 {
			p.mu.Unlock()
			return true
		}
		empty := p.empty.Wait()
		p.mu.Unlock()
		select {
		case <-empty:
		case <-done:
			return false
		}
	}
}

// funcTask runs a function and survives its panic.
type funcTask func()

func (fn funcTask) run() {
	defer func() {
		if r := recover(); r != nil {
			Errorf("a function given to tp.Go panicked: %v\n%s", r, debug.Stack())
		}
	}()
	fn()
}

var processPool workerPool

// Go runs fn in a reused goroutine. It returns false, and does not run fn,
// when the process has as many as SetGopool allows. A panic of fn is logged.
func Go(fn func()) bool {
	return processPool.start(funcTask(fn))
}
