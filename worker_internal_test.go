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

// However many exchanges of one link wait, that of another waits for its share of them
// only, and each link's are begun in their order.
func TestTaskQueueShares(t *testing.T) {
	var q taskQueue
	greedy, modest := new(link), new(link)
	exchanges := make(map[*handlerCtx]int)
	add := func(l *link, n int) {
		c := &handlerCtx{link: l}
		exchanges[c] = n
		q.pushExchange(c)
	}
	pop := func() (*link, int) {
		c := q.pop().(*handlerCtx)
		return c.link, exchanges[c]
	}
	const many = 10 * share
	for round := range 3 {
		for i := range many {
			add(greedy, i)
		}
		next := 0
		for range round * 100 {
			pop()
			next++
		}
		for i := range 3 {
			add(modest, i)
		}
		if q.len() != many-next+3 {
			t.Fatalf("%d wait, want %d", q.len(), many-next+3)
		}
		before, served := next, 0
		for q.len() > 0 {
			l, n := pop()
			if l == greedy {
				if n != next {
					t.Fatalf("exchange %d is begun before %d", n, next)
				}
				next++
				continue
			}
			if n != served {
				t.Fatalf("exchange %d of the other link is begun before %d", n, served)
			}
			if served++; next-before > share {
				t.Errorf("it waited for %d", next-before)
			}
		}
		if next != many || served != 3 || len(q.beside) != 0 || q.excess != 0 || greedy.queued != 0 || modest.queued != 0 {
			t.Errorf("begun %d and %d; %d links and %d exchanges are left, %d and %d are counted", next, served, len(q.beside), q.excess, greedy.queued, modest.queued)
		}
	}
}

// A task that is to run behind others waits for 16 of them, and for 16 more if they take
// little time.
func TestTaskQueueBehind(t *testing.T) {
	var q taskQueue
	var ran []int
	add := func(n int) { q.push(funcTask(func() { ran = append(ran, n) })) }
	// It was queued so long ago.
	behind := func(n int, ago time.Duration) {
		q.pushBehind(funcTask(func() { ran = append(ran, n) }))
		q.late.places[(q.late.head+q.late.n-1)&(len(q.late.places)-1)].since -= ago
	}
	runAll := func() (order []int) {
		for q.len() > 0 {
			q.pop().run()
		}
		order, ran = ran, nil
		return order
	}
	first16 := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for i := range 20 {
		add(i)
	}
	behind(100, littleTime)
	behind(101, littleTime)
	if got, want := runAll(), append(first16, 100, 101, 16, 17, 18, 19); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 20 {
		add(i)
	}
	behind(100, -time.Hour)
	if got, want := runAll(), append(first16, 16, 17, 18, 19, 100); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 40 {
		add(i)
	}
	behind(100, -time.Hour)
	if got := runAll(); slices.Index(got, 100) != 32 {
		t.Errorf("got %v", got)
	}
	for i := range 80 {
		add(i)
	}
	for i := range 3 { // each waits as long as it would alone
		behind(100+i, -time.Hour)
	}
	if got := runAll(); !slices.Equal(got[32:35], []int{100, 101, 102}) {
		t.Errorf("got %v", got)
	}
	for i := range 40 {
		add(i)
		if i == 19 {
			q.push(funcTask(func() { q.late.first().since -= 2 * time.Hour })) // a long one
		}
	}
	behind(100, -time.Hour)
	if got := runAll(); slices.Index(got, 100) != 20 {
		t.Errorf("got %v", got)
	}
	add(0)
	behind(100, -time.Hour)
	add(1)
	if got := runAll(); !slices.Equal(got, []int{0, 1, 100}) {
		t.Errorf("got %v", got)
	}
	behind(100, -time.Hour)
	if got := runAll(); !slices.Equal(got, []int{100}) {
		t.Errorf("got %v", got)
	}
}
