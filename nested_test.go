package tp_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// Both peers pull from each other on one connection, from within handlers:
// with replies behind handlers, or a pool that is used up, this would hang.
func TestNestedPulls(t *testing.T) {
	for _, mode := range []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchOrdered} {
		t.Run("pushes "+mode.String(), func(t *testing.T) {
			srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
			pushed := make(chan int, 400)
			for _, p := range []*tp.Peer{srv, cli} {
				tp.RegPull(p.PullRouter, "deeper", func(ctx tp.PullCtx, depth *int) (int, *tp.Rerror) {
					if *depth == 0 {
						return 0, nil
					}
					n, rerr := tp.Pull[int](ctx.Session(), "/deeper", *depth-1)
					return n + 1, rerr
				})
				tp.RegPush(p.PushRouter.Dispatch(mode), "ask", func(ctx tp.PushCtx, depth *int) {
					n, rerr := tp.Pull[int](ctx.Session(), "/deeper", *depth)
					if rerr != nil {
						t.Errorf("a pull in the handler of a push: %v", rerr)
					}
					pushed <- n
				})
			}
			sess := dial(t, cli, serve(t, srv))
			back := only(t, srv)
			const calls, depth = 200, 3
			var wg sync.WaitGroup
			for _, s := range []tp.Session{sess, back} {
				for range calls {
					wg.Add(1)
					go func() {
						defer wg.Done()
						if n, rerr := tp.Pull[int](s, "/deeper", depth); rerr != nil || n != depth {
							t.Errorf("got %d, %v, want %d", n, rerr, depth)
						}
						noted := s.Push("/ask", depth)
						if noted != nil {
							t.Error(noted)
						}
					}()
				}
			}
			wg.Wait()
			for range 2 * calls {
				if n := receive(t, pushed); n != depth {
					t.Fatal(fmt.Sprint("a push's pull got ", n))
				}
			}
		})
	}
}

// When both sides run as many handlers as they may, and each of these pulls back,
// the pulls beyond are refused at once, and nobody waits for ever.
func TestNestedPullsAtTheLimits(t *testing.T) {
	for _, limits := range []tp.PeerConfig{
		{MaxSessionHandlers: 8},
		{MaxHandlers: 8},
		{MaxSessionHandlers: 8, PushQueueLimit: 16 << 10, WriteQueueLimit: 4 << 10},
	} {
		srv, cli := newPeer(t, limits), newPeer(t, limits)
		var deepest atomic.Int32
		for _, p := range []*tp.Peer{srv, cli} {
			tp.RegPull(p.PullRouter, "deeper", func(ctx tp.PullCtx, depth *int) ([]byte, *tp.Rerror) {
				deepest.Store(max(deepest.Load(), int32(*depth)))
				return tp.Pull[[]byte](ctx.Session(), "/deeper", *depth+1)
			})
			tp.RegPull(p.PullRouter.Dispatch(tp.DispatchConcurrent), "wide", func(ctx tp.PullCtx, _ *int) ([]byte, *tp.Rerror) {
				done := make(chan *tp.PullCmd, 20)
				for range cap(done) {
					ctx.Session().GoPull("/deeper", 0, nil, done)
				}
				for range cap(done) {
					<-done
				}
				return make([]byte, 2000), nil
			})
			tp.RegPush(p.PushRouter, "ask", func(ctx tp.PushCtx, _ *int) { ctx.Session().Pull("/wide", 1, nil) })
		}
		sess := dial(t, cli, serve(t, srv))
		back := only(t, srv)
		// Each goes on until it is refused, which the one that is one too many is.
		wantCode(t, sess.Pull("/deeper", 0, nil).Rerror(), tp.CodeServiceUnavailable, "too many handlers")
		if n := deepest.Load(); n < 14 || n > 16 {
			t.Errorf("%d pulls deep, want as many as handlers of both sides", n)
		}
		var callers sync.WaitGroup
		for _, s := range []tp.Session{sess, back} {
			for range 50 {
				callers.Go(func() {
					s.Pull("/wide", 1, nil)
					_ = s.Push("/ask", 1)
					s.Pull("/deeper", 0, nil)
				})
			}
		}
		ended := make(chan struct{})
		go func() { defer close(ended); callers.Wait() }()
		receive(t, ended)
		eventually(t, "no handler runs", func() bool { return srv.Stats().Handlers+cli.Stats().Handlers == 0 })
		if !sess.Health() || !back.Health() {
			t.Error("the session is closed")
		}
	}
}
