package tp

import (
	"runtime"
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
