package tp

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// All slots are given up in the end, also those that never had a goroutine: of
// a pool that was stopped, and of one whose tasks ended their goroutines.
func TestWorkerSlots(t *testing.T) {
	for name, c := range map[string]struct {
		stopped bool
		task    func(i int)
	}{
		"stopped":            {true, func(int) {}},
		"idle":               {false, func(int) {}},
		"goroutines ended":   {false, func(i int) { runtime.Goexit() }},
		"all but one":        {false, func(i int) { endUnless(i == 0) }},
		"stopped, and ended": {true, func(i int) { endUnless(i == 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := goroutineLimit.running.Load()
				var p workerPool
				if c.stopped {
					p.stop()
				}
				for range 20 {
					for i := range 50 {
						p.mustStart(funcTask(func() { c.task(i) }))
					}
					if !p.wait(nil) {
						t.Fatal("wait was cut short")
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := goroutineLimit.running.Load() - before; n != 0 || p.slots != 0 {
					t.Errorf("%d goroutines are counted, %d of the pool, and there are none", n, p.slots)
				}
				p.stop()
			})
		})
	}
}

func endUnless(goOn bool) {
	if !goOn {
		runtime.Goexit()
	}
}

// A task that is to run behind others waits for 16 of them at most.
func TestTaskQueueBehind(t *testing.T) {
	var q taskQueue
	var ran []int
	add := func(n int) { q.push(funcTask(func() { ran = append(ran, n) })) }
	behind := func(n int) { q.pushBehind(funcTask(func() { ran = append(ran, n) })) }
	runAll := func() (order []int) {
		for q.len() > 0 {
			q.pop().run()
		}
		order, ran = ran, nil
		return order
	}
	for i := range 20 {
		add(i)
	}
	behind(100)
	behind(101)
	want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 100, 101, 16, 17, 18, 19}
	if got := runAll(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	add(0)
	behind(100)
	add(1)
	if got := runAll(); !slices.Equal(got, []int{0, 1, 100}) {
		t.Errorf("got %v", got)
	}
	behind(100)
	if got := runAll(); !slices.Equal(got, []int{100}) {
		t.Errorf("got %v", got)
	}
}
