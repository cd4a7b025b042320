package tp

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchPeer returns a peer that is closed at the benchmark's end.
func benchPeer(b *testing.B) *Peer {
	p := NewPeer(new(PeerConfig))
	b.Cleanup(func() { _ = p.Close() })
	return p
}

// benchCtx returns the context of an exchange without a connection.
func benchCtx() *handlerCtx { return newHandlerCtx(new(link)) }

// BenchmarkRoute finds the handlers of plain paths, each path in turn, so that none stays in the cache by itself.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			p := benchPeer(b)
			uris := make([]string, n)
			for i := range uris {
				path := fmt.Sprintf("group%d/home/method%d", i%10, i)
				RegPull(p.PullRouter, path, func(PullCtx, *int) (int, *Rerror) { return 0, nil })
				uris[i] = "/" + path
			}
			rand.Shuffle(n, func(i, j int) { uris[i], uris[j] = uris[j], uris[i] })
			c := benchCtx()
			c.input.SetUri(uris[0])
			_, _ = p.PullRouter.route(c, p.PushRouter) // the first one copies the table
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				c.input.SetUri(uris[i])
				if _, rerr := p.PullRouter.route(c, p.PushRouter); rerr != nil {
					b.Fatal(rerr)
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}
