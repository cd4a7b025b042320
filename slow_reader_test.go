package tp_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// A peer that never reads is sent pulls: what waits for it is bounded, and the
// pulls end.
func TestFaultPullsToPeerThatNeverReads(t *testing.T) {
	const limit = 256 << 10
	pulls := size(2000, 20_000)
	p := newPeer(t, tp.PeerConfig{WriteQueueLimit: limit, DefaultWriteTimeout: time.Second})
	sess, _ := dialedWire(t, p)
	before := heap()
	done := make(chan *tp.PullCmd, pulls)
	body := make([]byte, 16<<10)
	const callers = 50 // each waits for room, until the write timeout ends the session
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for range pulls / callers {
				sess.GoPull("/x", body, nil, done)
			}
		})
	}
	queued, held := int64(0), 0
	for sess.Health() {
		queued = max(queued, p.Stats().QueuedBytes)
		held = max(held, heap()-before)
		time.Sleep(10 * time.Millisecond)
	}
	calling.Wait()
	for range pulls {
		if rerr := receive(t, done).Rerror(); rerr == nil {
			t.Fatal("a pull that nobody has read has succeeded")
		}
	}
	receive(t, sess.CloseNotify())
	after := heap() - before
	t.Logf("%d pulls of 16 KiB: %.1f MiB queued, %.1f MiB held, %.1f MiB when all have failed", pulls, mib(int(queued)), mib(held), mib(after))
	if queued < limit || queued > limit+17<<10 {
		t.Errorf("%d bytes were queued, the limit is %d", queued, limit)
	}
	if held > 16<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// Peers that send pulls and never read the replies take the memory that they may,
// and no time of others.
func TestFaultPeersThatNeverRead(t *testing.T) {
	const limit, reserve, reply, handlers = 256 << 10, 256 << 10, 16 << 10, 64
	silent, good := size(10, 100), size(50, 1000)
	srv := newPeer(t, tp.PeerConfig{WriteQueueLimit: limit, MaxSessionHandlers: handlers, DefaultWriteTimeout: 2 * time.Second})
	echo(srv)
	tp.RegPull(srv.PullRouter, "large", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { return make([]byte, reply), nil })
	addr := serve(t, srv)
	h := dialHealthy(t, addr, good)
	pause := time.Duration(good) * time.Millisecond
	quiet := h.pullFor(time.Duration(size(300, 5000))*time.Millisecond, pause)
	before := heap()

	var peers sync.WaitGroup
	const pulls = 20_000
	flood := bytes.Repeat(jsonPull(0, "/large", "1").bytes(), pulls)
	for range silent {
		w := dialWire(t, addr)
		_ = w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		peers.Go(func() { _, _ = w.Write(flood) }) // which the server may cut short
	}
	stop := make(chan struct{})
	var queued, held atomic.Int64
	var watch sync.WaitGroup
	watch.Go(func() {
		defer close(stop)
		end := time.Now().Add(patience)
		for srv.CountSession() > good || queued.Load() == 0 {
			if time.Now().After(end) {
				t.Error("peers that do not read are kept")
				return
			}
			queued.Store(max(queued.Load(), srv.Stats().QueuedBytes))
			held.Store(max(held.Load(), int64(heap()-before)))
			time.Sleep(100 * time.Millisecond)
		}
	})
	during := h.pullWhile(stop, pause)
	peers.Wait()
	watch.Wait()
	t.Logf("%d peers that never read, %d pulls each, %d healthy ones: %.1f MiB queued at most, heap %.1f MiB more at most; p99 of the healthy %v before, %v during (x%.1f); refused %v",
		silent, pulls, good, mib(int(queued.Load())), mib(int(held.Load())), quiet.p99(), during.p99(), during.over(quiet), srv.Stats().Refused)
	if most := int64(silent) * (limit + reserve + 2*reply); queued.Load() > most {
		t.Errorf("%d bytes are queued, the limit is %d", queued.Load(), most)
	}
	// Beside the queue: the replies of the handlers that wait for room, each as the
	// handler returned it, encoded, and in its frame.
	if most := int64(silent)*(limit+reserve+handlers*5*reply) + 32<<20; held.Load() > most {
		t.Errorf("%d bytes are held, want at most %d", held.Load(), most)
	}
	refused := srv.Stats().Refused
	if n := refused["slow"] + refused["timeout"]; n != uint64(silent) {
		t.Errorf("%d sessions were closed for not reading, want %d: %v", n, silent, refused)
	}
	if srv.CountSession() != good {
		t.Errorf("%d sessions are left, want the %d healthy ones", srv.CountSession(), good)
	}
}
