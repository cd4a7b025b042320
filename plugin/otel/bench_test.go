package otel_test

import (
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	"github.com/henrylee2cn/teleport/tptest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BenchmarkPull tells what the plugin costs, on both sides together, without an
// exporter: with the API only, with spans of which none is sampled, and with all.
func BenchmarkPull(b *testing.B) {
	for _, c := range []struct {
		name    string
		plugins func() []tp.Plugin
	}{
		{"nothing", func() []tp.Plugin { return nil }},
		{"api", func() []tp.Plugin { return []tp.Plugin{otel.New(otel.Config{})} }},
		{"unsampled", func() []tp.Plugin {
			return []tp.Plugin{otel.New(otel.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))})}
		}},
		{"sampled", func() []tp.Plugin {
			return []tp.Plugin{otel.New(otel.Config{TracerProvider: sdktrace.NewTracerProvider()})}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := quiet(b, tp.PeerConfig{}, c.plugins()...)
			tp.RegPull(server.PullRouter, "echo", func(_ tp.PullCtx, n *int) (int, *tp.Rerror) { return *n, nil })
			sess, _ := tptest.Pair(b, quiet(b, tp.PeerConfig{}, c.plugins()...), server)
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
