package tptest_test

import (
	"context"
	"net"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest"
)

func TestListener(t *testing.T) {
	lis := tptest.NewListener()
	defer lis.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := lis.Accept()
		accepted <- conn
	}()
	near, err := lis.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	far := <-accepted
	_, _ = near.Write([]byte("up"))
	wantRead(t, far, "up")
	_, _ = far.Write([]byte("down"))
	wantRead(t, near, "down")
	if near.LocalAddr() != far.RemoteAddr() || near.RemoteAddr() != far.LocalAddr() || far.LocalAddr() != lis.Addr() {
		t.Errorf("the addresses are %v, %v and %v, %v at %v",
			near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr(), lis.Addr())
	}
	if near.LocalAddr() == near.RemoteAddr() || lis.Addr().Network() != "memory" {
		t.Errorf("the addresses are %v and %v of network %s", near.LocalAddr(), near.RemoteAddr(), lis.Addr().Network())
	}

	_ = lis.Close() // connections live on
	_, _ = near.Write([]byte("after"))
	wantRead(t, far, "after")
	_, _ = near.Close(), far.Close()
}

func TestListenerClose(t *testing.T) {
	lis := tptest.NewListener()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := lis.Dial(ctx)
	wantError(t, err, context.Canceled) // nobody accepts
	var blocked sync.WaitGroup
	blocked.Go(func() {
		_, err := lis.Accept()
		wantError(t, err, net.ErrClosed)
	})
	_, _ = lis.Close(), lis.Close()
	blocked.Wait()
	_, err = lis.Dial(t.Context())
	wantError(t, err, net.ErrClosed)
}

// Sessions in memory pull in both directions, and closing the peers drains
// them: nothing is cut off.
func TestSessionsInMemory(t *testing.T) {
	server, client := quiet(), quiet()
	for _, p := range []*tp.Peer{server, client} {
		tp.RegPull(p.PullRouter, "greet", greet)
	}
	back := make(chan tp.Session, 100)
	tp.RegPush(server.PushRouter, "here", func(ctx tp.PushCtx, _ *int) { back <- ctx.Session() })
	lis := tptest.NewListener()
	ended := make(chan error)
	go func() { ended <- server.ServeListener(lis) }()
	ids := map[string]bool{}
	for range 100 {
		conn, err := lis.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sess := client.ServeConn(conn)
		if rerr := sess.Push("/here", 1); rerr != nil {
			t.Fatal(rerr)
		}
		other := <-back
		ids[other.Id()] = true
		for _, s := range []tp.Session{sess, other} {
			if got, rerr := tp.Pull[string](s, "/greet", "Ann"); rerr != nil || got != "Hello, Ann!" {
				t.Fatalf("got %q, %v", got, rerr)
			}
		}
	}
	if len(ids) != 100 {
		t.Errorf("100 sessions have %d ids", len(ids))
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, <-ended, tp.ErrListenClosed)
}
