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

// workerPool runs tasks on goroutines whose stacks have grown already: with
// handlers that decode, a reused one is 1.7 times as fast as a fresh one.
//
// Tasks wait in a queue, and at most one worker at a time is woken to look for
// them. When it finds one and leaves others, it wakes the next before it runs
// its own. So a task that blocks holds up no other, and yet a burst of short
// ones is worked off by as many workers as there are processors, each of which
// goes on to the next task without being parked and woken in between.
//
// Each task that is taken has a slot, so that as many as are taken can run at
// the same time. A slot gets a goroutine when it is first needed. Goroutines
// end when they are idle for long, or with stop.
type workerPool struct {
	mu       sync.Mutex // protects following
	tasks    taskQueue
	slots    int  // goroutines, and what they could still be; all count against the limit
	running  int  // tasks that run
	reserved int  // slots of exchanges that are about to be queued
	looking  bool // a worker was woken and has not looked yet
	stopped  bool
	idle     []*worker // the last to become idle is the first to be used
	spare    int       // the fewest slots that were free since the last sweep
	sweeper  *time.Timer
	allQuiet notice.Notice // no task runs or waits
}

type worker struct{ wake chan bool } // false tells it to end

// start runs t on a worker. It returns false when the process has too many.
func (p *workerPool) start(t task) bool { return p.startOn(t, true) }

// mustStart is start for what the library itself needs done: to flush, to
// drain, to work off a line, to finish a GoPull. It goes beyond the limit.
func (p *workerPool) mustStart(t task) { p.startOn(t, false) }

// startBehind is mustStart for a task that gains from being run behind those
// that wait already, but only the first few of them.
func (p *workerPool) startBehind(t task) {
	p.mu.Lock()
	p.takeSlot(false)
	p.tasks.pushBehind(t)
	p.wakeOne()
}

func (p *workerPool) startOn(t task, limited bool) bool {
	p.mu.Lock()
	if !p.takeSlot(limited) {
		p.mu.Unlock()
		return false
	}
	p.tasks.push(t)
	p.wakeOne()
	return true
}

// startExchange is start for an exchange, which waits behind those of its own link
// rather than before those of others.
func (p *workerPool) startExchange(c *handlerCtx) bool {
	p.mu.Lock()
	if !p.takeSlot(true) {
		p.mu.Unlock()
		return false
	}
	p.tasks.pushExchange(c)
	p.wakeOne()
	return true
}

// reserve takes the slot of an exchange that startReserved is to start, unless there
// would be too many.
func (p *workerPool) reserve() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.takeSlot(true) {
		return false
	}
	p.reserved++
	return true
}

// startReserved is startExchange for some that have their slots, in their order.
func (p *workerPool) startReserved(cs []*handlerCtx) {
	p.mu.Lock()
	p.reserved -= len(cs)
	for _, c := range cs {
		p.tasks.pushExchange(c)
	}
	p.wakeOne()
}

// taken returns how many slots are in use. mu is held.
func (p *workerPool) taken() int { return p.running + p.tasks.len() + p.reserved }

// takeSlot takes a slot for a task that is about to be queued, unless there would
// be too many. mu is held.
func (p *workerPool) takeSlot(limited bool) bool {
	free := p.slots - p.taken()
	if free == 0 {
		if !addGoroutine() {
			if limited {
				return false
			}
			goroutineLimit.running.Add(1)
		}
		p.slots++
		free = 1
	}
	p.spare = min(p.spare, free-1)
	return true
}

// wakeOne sees to it that a worker looks for tasks. It unlocks mu.
func (p *workerPool) wakeOne() {
	wake := p.lookout()
	p.mu.Unlock()
	if wake != nil {
		wake.wake <- true // it has room for one and is empty
	}
}

// lookout sees to it that a worker looks for tasks if there are any. What it
// returns is to be woken. mu is held.
func (p *workerPool) lookout() *worker {
	if p.looking || p.tasks.len() == 0 {
		return nil
	}
	p.looking = true
	if n := len(p.idle) - 1; n >= 0 {
		w := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		return w
	}
	w := &worker{wake: make(chan bool, 1)}
	go p.work(w)
	return nil
}

func (p *workerPool) work(w *worker) {
	var t task
	defer func() {
		if t != nil { // it ended the goroutine, as testing.T.FailNow does
			p.mu.Lock()
			p.running--
			p.leave()
			p.mu.Unlock()
		}
	}()
	p.mu.Lock()
	p.looking = false
	for {
		if p.tasks.len() == 0 {
			if !p.park(w) {
				p.leave()
				p.mu.Unlock()
				return
			}
			p.mu.Unlock()
			if !<-w.wake {
				return // who told it has counted it out
			}
			p.mu.Lock()
			p.looking = false
			continue
		}
		t = p.tasks.pop()
		p.running++
		next := p.lookout()
		p.mu.Unlock()
		if next != nil {
			next.wake <- true
		}
		t.run()
		t = nil
		p.mu.Lock()
		p.running--
	}
}

// leave gives up the slot of a goroutine that ends. mu is held.
func (p *workerPool) leave() {
	p.slots--
	goroutineLimit.running.Add(-1)
	if p.stopped {
		p.shrink(p.slots) // also those that never had a goroutine
	} else {
		p.sweepLater()
	}
	p.settle()
}

// settle tells when all is quiet. mu is held.
func (p *workerPool) settle() {
	if p.taken() == 0 {
		p.allQuiet.Tell()
	}
}

// park makes w idle, or tells it to end. mu is held.
func (p *workerPool) park(w *worker) bool {
	if p.stopped {
		return false
	}
	p.settle()
	p.idle = append(p.idle, w)
	p.sweepLater()
	return true
}

// sweepLater sees to it that free slots are given up one day. mu is held.
func (p *workerPool) sweepLater() {
	if p.sweeper == nil && p.slots > 0 {
		p.spare = 0
		p.sweeper = time.AfterFunc(workerIdle(), p.sweep)
	}
}

// sweep gives up the slots that nobody needed since it last ran.
func (p *workerPool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shrink(p.spare)
	p.spare = p.slots - p.taken()
	if p.stopped || p.slots == 0 {
		p.sweeper = nil
		return
	}
	p.sweeper.Reset(workerIdle())
}

// shrink gives up at most n slots that are free: first those whose goroutines
// have been idle for longest, then those that have none. mu is held.
func (p *workerPool) shrink(n int) {
	taken := p.taken()
	if p.looking && p.tasks.len() == 0 {
		taken++ // that of the worker which looks
	}
	n = min(n, p.slots-taken)
	end := min(n, len(p.idle))
	for _, w := range p.idle[:end] {
		w.wake <- false
	}
	p.idle = append([]*worker(nil), p.idle[end:]...)
	p.slots -= n
	goroutineLimit.running.Add(int64(-n))
}

// stop ends the idle workers now and the busy ones after their task.
func (p *workerPool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.shrink(p.slots)
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
}

// wait returns when no task runs or waits, or done is closed: then false.
func (p *workerPool) wait(done <-chan struct{}) bool {
	for {
		p.mu.Lock()
		if p.taken() == 0 {
			p.mu.Unlock()
			return true
		}
		quiet := p.allQuiet.Wait()
		p.mu.Unlock()
		select {
		case <-quiet:
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
