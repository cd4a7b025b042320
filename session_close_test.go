package tp_test

import (
	"io"
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
