package quic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// serve makes a peer serve a listener until the test's end.
func serve(t testing.TB, peer *tp.Peer, lis net.Listener) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- peer.ServeListener(lis) }()
	t.Cleanup(func() {
		closePeer(t, peer)
		if err := receive(t, ended); !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("ServeListener: %v", err)
		}
	})
}

// closePeer fails the test if that has to cut anything off.
func closePeer(t testing.TB, peer *tp.Peer) {
	t.Helper()
	if err := peer.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// heard is what the handlers of a conversation have to tell.
type heard struct {
	pushed chan string
	waits  chan bool
	ended  chan error
}

// talker is a peer with the handlers of the conversation.
func talker(h *heard) *tp.Peer { return talkerWith(&tp.PeerConfig{}, h) }

func talkerWith(config *tp.PeerConfig, h *heard) *tp.Peer {
	peer := tp.NewPeer(config)
	tp.RegPull(peer.PullRouter, "echo", func(_ tp.PullCtx, body *[]byte) ([]byte, *tp.Rerror) { return *body, nil })
	tp.RegPull(peer.PullRouter, "fail", func(tp.PullCtx, *string) (string, *tp.Rerror) {
		return "", tp.NewRerror(1234, "no", "because")
	})
	tp.RegPull(peer.PullRouter, "wait", func(ctx tp.PullCtx, _ *string) (string, *tp.Rerror) {
		h.waits <- true
		<-ctx.Context().Done()
		h.ended <- ctx.Context().Err()
		return "", nil
	})
	tp.RegPush(peer.PushRouter, "note", func(_ tp.PushCtx, text *string) { h.pushed <- *text })
	return peer
}

// converse does with a session all that one is for.
func converse(t *testing.T, sess tp.Session, h *heard) {
	t.Helper()
	small, large := []byte("small"), pattern(1<<20)
	for _, body := range [][]byte{small, large} {
		if got, rerr := tp.Pull[[]byte](sess, "/echo", body); rerr != nil || !bytes.Equal(got, body) {
			t.Errorf("a pull of %d bytes: %d bytes, %v", len(body), len(got), rerr)
		}
	}
	if _, rerr := tp.Pull[string](sess, "/fail", "x"); rerr == nil || rerr.Code != 1234 || rerr.Detail != "because" {
		t.Errorf("the error: %v", rerr)
	}
	if rerr := sess.Push("/note", "hello"); rerr != nil {
		t.Errorf("Push: %v", rerr)
	}
	if text := receive(t, h.pushed); text != "hello" {
		t.Errorf("pushed %q", text)
	}
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			body := fmt.Sprint("caller ", i)
			if got, rerr := tp.Pull[[]byte](sess, "/echo", []byte(body)); rerr != nil || string(got) != body {
				t.Errorf("caller %d: %q, %v", i, got, rerr)
			}
		})
	}
	callers.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", "", nil, done, tp.WithContext(ctx))
	receive(t, h.waits)
	cancel()
	if rerr := receive(t, done).Rerror(); rerr == nil {
		t.Error("a pull that was canceled has no error")
	}
	if err := receive(t, h.ended); !errors.Is(err, context.Canceled) {
		t.Errorf("its handler's context: %v", err)
	}
}

func TestConversation(t *testing.T) {
	for name, f := range map[string]faults{"clean": {}, "lossy": lossy} {
		t.Run(name, func(t *testing.T) {
			lis := listen(t, nil)
			r := newRelay(t, lis.Addr().String(), f)
			h := &heard{make(chan string, 1), make(chan bool, 1), make(chan error, 1)}
			server, client := talker(h), talker(h)
			serve(t, server, lis)
			sess := client.ServeConn(dial(t, nil, r.addr()))
			t.Cleanup(func() { closePeer(t, client) })
			if sess == nil || !sess.Health() {
				t.Fatal("no session")
			}
			// The server has the first word, before the client has said any.
			var back tp.Session
			eventually(t, "the server has a session", func() bool {
				server.RangeSession(func(sess tp.Session) bool { back = sess; return false })
				return back != nil
			})
			converse(t, back, h)
			converse(t, sess, h)
			if f.loss > 0 && r.countLost() == 0 {
				t.Error("nothing was lost")
			}
		})
	}
}

// A session is closed in the midst of pulls, by either side: each is answered.
func TestDrainLosesNoReply(t *testing.T) {
	for _, byServer := range []bool{false, true} {
		lis := listen(t, nil)
		r := newRelay(t, lis.Addr().String(), lossy)
		server := tp.NewPeer(&tp.PeerConfig{})
		arrived, release := make(chan bool, 50), make(chan struct{})
		tp.RegPull(server.PullRouter, "late", func(_ tp.PullCtx, body *[]byte) ([]byte, *tp.Rerror) {
			arrived <- true
			<-release
			return *body, nil
		})
		tp.RegPush(server.PushRouter, "note", func(tp.PushCtx, *string) {})
		serve(t, server, lis)
		client := tp.NewPeer(&tp.PeerConfig{})
		sess := client.ServeConn(dial(t, nil, r.addr()))
		body := pattern(20_000)
		done := make(chan *tp.PullCmd, 50)
		for range cap(done) {
			sess.GoPull("/late", body, new([]byte), done)
		}
		for range cap(done) {
			receive(t, arrived)
		}
		closed := make(chan error, 1)
		closing := client
		if byServer {
			closing = server
		}
		go func() { closed <- closing.Close() }()
		eventually(t, "the session is draining", func() bool {
			return sess.Push("/note", nil) != nil || byServer
		})
		close(release)
		for range cap(done) {
			cmd := receive(t, done)
			if got, rerr := cmd.Result(); rerr != nil || !bytes.Equal(*got.(*[]byte), body) {
				t.Errorf("closed by the server %v: %v", byServer, rerr)
			}
		}
		if err := receive(t, closed); err != nil {
			t.Error(err)
		}
		closePeer(t, client)
	}
}
