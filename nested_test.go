package tp_test

import (
	"fmt"
	"sync"
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
