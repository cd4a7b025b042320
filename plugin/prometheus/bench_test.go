package prometheus_test

import (
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	"github.com/henrylee2cn/teleport/tptest"
)

// BenchmarkPull tells what the plugin costs, on both sides together.
func BenchmarkPull(b *testing.B) {
	for _, with := range []string{"nothing", "plugin"} {
		b.Run(with, func(b *testing.B) {
			var plugins [2][]tp.Plugin
			if with == "plugin" {
				for i := range plugins {
					plugins[i] = []tp.Plugin{newScraper(b).plugin(prometheus.Config{})}
				}
			}
			server := quiet(b, tp.PeerConfig{}, plugins[0]...)
			tp.RegPull(server.PullRouter, "echo", func(_ tp.PullCtx, n *int) (int, *tp.Rerror) { return *n, nil })
			sess, _ := tptest.Pair(b, quiet(b, tp.PeerConfig{}, plugins[1]...), server)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, rerr := tp.Pull[int](sess, "/echo", 1); rerr != nil {
						b.Fatal(rerr)
					}
				}
			})
		})
	}
}
