package tp

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// flushable returns a Conn on which something waits to be flushed, and the other end. If
// onError is set, the flush fails and calls it.
func flushable(t *testing.T, onError func()) (*socket.Conn, net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	near, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	c := socket.NewConn(near, socket.Options{OnWriteError: func(error) { onError() }})
	if flush, err := c.QueuePacketNeverWaiting(socket.NewPacket(socket.WithUri("/x"))); !flush || err != nil {
		t.Fatal(flush, err)
	}
	if onError != nil {
		near.Close()
		far.Close()
	} else {
		t.Cleanup(func() { near.Close() })
	}
	return c, far
}

// As many flushers as there are processors but one are at work at most, and one at least;
// and each Conn is flushed in the end.
func TestFlushers(t *testing.T) {
	for procs, want := range map[int]int32{1: 1, 2: 1, 3: 2} {
		before := runtime.GOMAXPROCS(procs)
		var pool workerPool
		q := flushQueue{pool: &pool}
		var inside, most, flushed atomic.Int32
		goOn := make(chan struct{})
		var conns []*socket.Conn
		const all = 3*flushTogether + 10
		for range all {
			c, _ := flushable(t, func() {
				n := inside.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-goOn
				inside.Add(-1)
				flushed.Add(1)
			})
			conns = append(conns, c)
		}
		for i := 0; i < all; i += 10 {
			q.add(conns[i:min(i+10, all)]...)
		}
		for deadline := time.Now().Add(20 * time.Second); inside.Load() < want && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		close(goOn)
		pool.wait(nil)
		runtime.GOMAXPROCS(before)
		if most.Load() != want || flushed.Load() != all || q.flushers != 0 {
			t.Errorf("%d processors: %d flushers at once, want %d; %d of %d flushed; %d flushers are left", procs, most.Load(), want, flushed.Load(), all, q.flushers)
		}
		pool.stop()
	}
}

// What a Conn calls may end the goroutine of its flusher. The next Conn is flushed all the
// same.
func TestFlushAfterGoexit(t *testing.T) {
	var pool workerPool
	defer pool.stop()
	q := flushQueue{pool: &pool}
	bad, _ := flushable(t, runtime.Goexit)
	good, far := flushable(t, nil)
	q.add(bad, good)
	far.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(far, make([]byte, 4)); err != nil {
		t.Error(err)
	}
	pool.wait(nil)
}
