package tp_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// benchBody is of the size of a common request.
var benchBody = bytes.Repeat([]byte("0123456789"), 58)

// BenchmarkPull echoes a body on one connection, both sides in this process.
func BenchmarkPull(b *testing.B) {
	modes := []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchInline}
	for _, mode := range modes {
		for _, callers := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%v/callers=%d", mode, callers), func(b *testing.B) {
				srv := newPeer(b, tp.PeerConfig{})
				tp.RegPull(srv.PullRouter.Dispatch(mode), "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
					return *args, nil
				})
				sess := dial(b, newPeer(b, tp.PeerConfig{}), serve(b, srv))
				b.ReportAllocs()
				b.ResetTimer()
				pullMany(b, sess, callers)
			})
		}
	}
}

// BenchmarkPullController is BenchmarkPull by reflection.
func BenchmarkPullController(b *testing.B) {
	srv := newPeer(b, tp.PeerConfig{})
	srv.PullRouter.Reg(new(Bench))
	sess := dial(b, newPeer(b, tp.PeerConfig{}), serve(b, srv))
	b.ReportAllocs()
	b.ResetTimer()
	pullMany(b, sess, 100)
}

// Bench is a controller.
type Bench struct{ tp.PullCtx }

// Echo returns what it is given.
func (*Bench) Echo(args *[]byte) ([]byte, *tp.Rerror) { return *args, nil }

func pullMany(b *testing.B, sess tp.Session, callers int) {
	uri := "/echo"
	if _, rerr := tp.Pull[[]byte](sess, uri, benchBody); rerr != nil {
		uri = "/bench/echo"
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left.Add(-1) >= 0 {
				var reply []byte
				if rerr := sess.Pull(uri, benchBody, &reply).Rerror(); rerr != nil || len(reply) != len(benchBody) {
					b.Errorf("%v", rerr)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// BenchmarkPush sends small pushes, which the other side handles in order.
func BenchmarkPush(b *testing.B) {
	srv := newPeer(b, tp.PeerConfig{})
	done := make(chan struct{})
	var n atomic.Int64
	tp.RegPush(srv.PushRouter, "count", func(_ tp.PushCtx, _ *[]byte) {
		if n.Add(1) == int64(b.N) {
			close(done)
		}
	})
	sess := dial(b, newPeer(b, tp.PeerConfig{}), serve(b, srv))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if rerr := sess.Push("/count", benchBody[:128]); rerr != nil {
			b.Fatal(rerr)
		}
	}
	<-done
}
