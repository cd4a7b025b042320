package tp_test

import (
	"io"
	"net"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// After its CloseWrite a closing side still serves what arrives, also when it
// is something that it would answer.
func TestCloseServesWhatStillArrives(t *testing.T) {
	for name, last := range map[string]frame{
		"announcement": {ptype: tp.TypePush, uri: "/note", meta: tp.MetaCapsKey + "=1", codec: 'j', body: "1"},
		"PING":         {ptype: tp.TypePing},
		"refused pull": {ptype: tp.TypePull, uri: "/hold"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{})
			notes := make(chan int, 2)
			tp.RegPush(p.PushRouter, "note", func(_ tp.PushCtx, n *int) { notes <- *n })
			client := dialWire(t, serve(t, p))
			if err := only(t, p).Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := client.nextBytes(); err != io.EOF { // nothing to tell a client that never spoke
				t.Fatalf("got %v, want io.EOF", err)
			}
			client.send(last)
			time.Sleep(50 * time.Millisecond) // a reset would come now
			client.send(frame{ptype: tp.TypePush, uri: "/note", codec: 'j', body: "2"})
			for receive(t, notes) != 2 {
			}
		})
	}
}

// A push is lost only with an error, also while the session closes.
func TestPushWhileClosing(t *testing.T) {
	for range 100 {
		p := newPeer(t, tp.PeerConfig{})
		sess, other := dialedWire(t, p)
		sent := make(chan int)
		go func() {
			n := 0
			for sess.Push("/note", 1) == nil {
				n++
			}
			sent <- n
		}()
		time.Sleep(time.Millisecond)
		_ = sess.Close()
		got := 0
		for {
			if _, err := other.read(); err != nil {
				if err != io.EOF {
					t.Fatalf("got %v, want io.EOF", err)
				}
				break
			}
			got++
		}
		_ = other.Close()
		if n := receive(t, sent); n != got {
			t.Fatalf("%d pushes arrived of %d that were sent", got, n)
		}
	}
}

// The reader that is held back by a long line of pushes is woken by Close,
// with and without a drain.
func TestCloseWhileTheReaderIsHeldBack(t *testing.T) {
	for name, conns := range map[string]func(t testing.TB) (a, b net.Conn){"tcp": tcpPair, "pipe": pipePair} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{PushQueueLimit: 1, CloseTimeout: -1})
			begun := make(chan bool, 1)
			tp.RegPush(p.PushRouter, "wait", func(ctx tp.PushCtx, _ *int) {
				select {
				case begun <- true:
				default:
				}
				<-ctx.Context().Done()
			})
			a, b := conns(t)
			sess := p.ServeConn(a)
			w := newWire(t, b)
			push := frame{ptype: tp.TypePush, uri: "/wait"}
			w.send(push, push, push)
			receive(t, begun)
			time.Sleep(20 * time.Millisecond) // the reader is held back
			_ = sess.Close()
			receive(t, sess.CloseNotify())
		})
	}
}

func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	addr, accept := wireServer(t)
	a, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a, accept().Conn
}

func pipePair(testing.TB) (a, b net.Conn) { return net.Pipe() }
