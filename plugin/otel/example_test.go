package otel_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// A pull whose two sides are one trace. Elsewhere the spans go to a collector, by
// go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp.
func Example() {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	config := otel.Config{TracerProvider: provider} // or none, for the global one

	server := tp.NewPeer(&tp.PeerConfig{}, otel.New(config))
	tp.RegPull(server.PullRouter, "greet", func(ctx tp.PullCtx, name *string) (string, *tp.Rerror) {
		trace.SpanFromContext(ctx.Context()).AddEvent("greeting " + *name)
		return "Hello, " + *name + "!", nil
	})
	client := tp.NewPeer(&tp.PeerConfig{}, otel.New(config))
	here, there := net.Pipe()
	served := make(chan tp.Session, 1)
	go func() { served <- server.ServeConn(there) }()
	fmt.Println(tp.Pull[string](client.ServeConn(here), "/greet", "Ann"))
	<-served
	_ = client.Close()
	_ = server.Close()

	traces := map[trace.TraceID]bool{}
	spans := exporter.GetSpans()
	for _, s := range spans {
		traces[s.SpanContext.TraceID()] = true
	}
	fmt.Println(len(spans), "spans,", len(traces), "trace")
	// Output:
	// Hello, Ann! <nil>
	// 2 spans, 1 trace
}
