package tp_test

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Goroutine pool full: a packet was dropped in silence. Pulls are answered 503
// and pushes wait for their turn.
func TestGopoolFull(t *testing.T) {
	defer tp.SetGopool(0, 0)
	for _, concurrent := range []bool{false, true} {
		srv := newPeer(t, tp.PeerConfig{ConcurrentPush: concurrent})
		release := make(chan struct{})
		begun := make(chan struct{})
		tp.RegPull(srv.PullRouter, "slow", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
			begun <- struct{}{}
			<-release
			return "done", nil
		})
		const pushes, pulls = 200, 50
		var mu sync.Mutex
		seen := make(map[int]bool)
		tp.RegPush(srv.PushRouter, "note", func(_ tp.PushCtx, n *int) {
			mu.Lock()
			defer mu.Unlock()
			seen[*n] = true
		})
		w := dialWire(t, serve(t, srv))
		w.send(jsonPull(0, "/slow", "1"))
		receive(t, begun)
		tp.SetGopool(1, 0) // of the whole process, and that one is running
		for i := range pulls {
			w.send(jsonPull(uint64(i+1), "/slow", "1"))
		}
		for i := range pushes {
			w.send(frame{seq: uint64(i), ptype: tp.TypePush, uri: "/note", codec: 'j', body: strconv.Itoa(i)})
		}
		for range pulls {
			wantCode(t, w.next().rerror(t), tp.CodeServiceUnavailable, "SetGopool")
		}
		eventually(t, "all pushes were handled", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(seen) == pushes
		})
		tp.SetGopool(0, 0)
		close(release)
		if f := w.next(); f.seq != 0 || f.body != `"done"` {
			t.Errorf("got %+v", f)
		}
		_ = w.Close()
	}
}

func TestGo(t *testing.T) {
	book := new(logBook)
	tp.SetLogger(book)
	tp.SetGopool(0, time.Millisecond) // or its worker would be there at the end
	defer tp.SetLogger(nil)
	defer tp.SetGopool(0, 0)
	ran := make(chan int, 1)
	for i, end := range []func(){func() { panic("in a function of Go") }, runtime.Goexit, func() {}} {
		if !tp.Go(func() { defer func() { ran <- i }(); end() }) {
			t.Error("Go refuses")
		}
		if got := receive(t, ran); got != i {
			t.Errorf("function %d ran, want %d", got, i)
		}
	}
	eventually(t, "its worker has ended", func() bool { return workers() == 0 })
	if !strings.Contains(book.String(), "in a function of Go") {
		t.Errorf("the panic is not in the log: %q", book)
	}
}

// Workers that nobody needs end.
func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, tp.PeerConfig{})
		var wg sync.WaitGroup
		release := make(chan struct{})
		wg.Add(100)
		tp.RegPush(p.PushRouter.Dispatch(tp.DispatchConcurrent), "wait", func(tp.PushCtx, *interface{}) {
			wg.Done()
			<-release
		})
		sess, w := pipedWire(t, p)
		before := workers()
		for range 100 {
			w.send(frame{ptype: tp.TypePush, uri: "/wait", codec: 'j'})
		}
		wg.Wait()
		if n := workers() - before; n < 100 {
			t.Errorf("%d workers run 100 handlers", n)
		}
		close(release)
		synctest.Wait()
		if n := workers() - before; n < 50 {
			t.Errorf("%d workers are kept for reuse", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := workers() - before; n > 0 {
			t.Errorf("%d idle workers are left after a minute", n)
		}
		if !sess.Health() {
			t.Error("the session ended too")
		}
		_ = w.Close()
	})
}

// workers counts the goroutines of worker pools.
func workers() int { return strings.Count(allStacks(), "(*workerPool).work(") }

func allStacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}
