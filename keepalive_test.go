package tp_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// A live side that has nothing to say is asked, answers, and stays. One that does
// not answer is given up in time.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := new(logBook)
		p := newPeer(t, tp.PeerConfig{Logger: logged})
		echo(p)
		near, far := net.Pipe()
		sess := p.ServeConn(near)
		w := newWire(t, far)
		first := jsonPull(0, "/echo", "1")
		first.meta = saysCaps
		w.send(first)
		w.next() // PING: it has announced nothing yet
		w.next() // the reply
		for range 10 {
			begin := time.Now()
			f := w.nextWithin(time.Hour)
			if d := time.Since(begin); f.ptype != tp.TypePing || d < 25*time.Second || d > 30*time.Second {
				t.Fatalf("after %v came %+v, want a PING between 25 and 30 s", d, f)
			}
			time.Sleep(10 * time.Second)
			w.send(frame{ptype: tp.TypePong, seq: f.seq})
		}
		begin := time.Now()
		w.nextWithin(time.Hour)
		select {
		case <-sess.CloseNotify():
		case <-time.After(time.Hour):
			t.Fatal("a side that does not answer is kept")
		}
		if d := time.Since(begin); d < 45*time.Second || d > 51*time.Second {
			t.Errorf("given up after %v, want 50 s", d)
		}
		if !logged.contains("KeepAlive") {
			t.Errorf("the log has no reason:\n%s", logged)
		}
	})
}

// Two peers of this library keep an idle session for ever; one that knows no PING
// is left alone; without keep-alive nobody asks.
func TestKeepAliveKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{KeepAliveInterval: 10 * time.Second, KeepAliveTimeout: time.Second})
		echo(srv)
		sess := pipe(t, srv, cli)
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())

		near, far := net.Pipe()
		old := srv.ServeConn(near)
		w := newWire(t, far)
		w.send(jsonPull(0, "/echo", "1"))
		w.next()

		off := newPeer(t, tp.PeerConfig{KeepAliveInterval: -1})
		near, far = net.Pipe()
		silent := off.ServeConn(near)
		w = newWire(t, far)
		w.send(frame{ptype: tp.TypePing})
		w.next()
		w.next()

		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if !sess.Health() || !old.Health() || !silent.Health() {
			t.Errorf("after a day: both know PING %v, one does not %v, keep-alive off %v", sess.Health(), old.Health(), silent.Health())
		}
	})
}

// A reader that its own handlers hold back cannot hear the other side, which must not
// think it dead either.
func TestKeepAliveSparesWhoIsHeldBack(t *testing.T) {
	for _, cfg := range []tp.PeerConfig{
		{},
		{KeepAliveInterval: 5 * time.Second, KeepAliveTimeout: time.Second},
		{KeepAliveInterval: -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			logged := new(logBook)
			srv := newPeer(t, tp.PeerConfig{PushQueueLimit: 1, Logger: logged})
			var handled atomic.Int32
			tp.RegPush(srv.PushRouter, "slow", func(tp.PushCtx, *int) {
				time.Sleep(10 * time.Minute)
				handled.Add(1)
			})
			echo(srv)
			cfg.Logger, cfg.DefaultWriteTimeout = logged, -1
			sess := pipe(t, srv, newPeer(t, cfg))
			noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
			for range 5 {
				noRerror(t, sess.Push("/slow", 1))
			}
			time.Sleep(2 * time.Hour)
			if handled.Load() != 5 || !sess.Health() {
				t.Errorf("%d of 5 pushes were handled, healthy %v\n%s", handled.Load(), sess.Health(), logged)
			}
		})
	}
}

// slowReader reads at most some 200 KB/s.
type slowReader struct{ net.Conn }

func (c slowReader) Read(b []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return c.Conn.Read(b[:min(len(b), 4<<10)])
}

// Who reads all the time, and says nothing, is asked also when the queue is full at
// each look, as it is when more is pushed than the connection carries.
func TestKeepAliveWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := new(logBook)
		srv := newPeer(t, tp.PeerConfig{Logger: logged, WriteQueueLimit: 64 << 10})
		echo(srv)
		cli := newPeer(t, tp.PeerConfig{})
		tp.RegPush(cli.PushRouter, "data", func(tp.PushCtx, *[]byte) {})
		near, far := net.Pipe()
		s, c := srv.ServeConn(near), cli.ServeConn(slowReader{far})
		noRerror(t, c.Pull("/echo", nil, nil).Rerror())
		data, end := make([]byte, 30<<10), time.Now().Add(3*time.Minute)
		var pushers sync.WaitGroup
		for range 60 {
			pushers.Go(func() {
				for s.Health() && time.Now().Before(end) {
					_ = s.Push("/data", data) // one of many may find no room in time
				}
			})
		}
		pushers.Wait()
		if !s.Health() {
			t.Errorf("closed, though it reads:\n%s", logged)
		}
		_ = c.Close()
	})
}
