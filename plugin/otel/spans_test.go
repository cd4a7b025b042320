package otel_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const patience = 30 * time.Second

// traces is where spans go.
type traces struct {
	t        testing.TB
	exporter *tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

func newTraces(t testing.TB, options ...sdktrace.TracerProviderOption) *traces {
	t.Helper()
	e := tracetest.NewInMemoryExporter()
	return &traces{t, e, sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(e))...)}
}

// plugin returns a Plugin whose spans come here.
func (s *traces) plugin(cfg otel.Config) *otel.Plugin {
	cfg.TracerProvider = s.provider
	return otel.New(cfg)
}

// await returns the span of a kind and name, when it is over. There must be one.
func (s *traces) await(kind trace.SpanKind, name string) (found tracetest.SpanStub) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n := 0
		var all []string
		for _, span := range s.exporter.GetSpans() {
			all = append(all, fmt.Sprint(span.SpanKind, " ", span.Name))
			if span.SpanKind == kind && span.Name == name {
				found = span
				n++
			}
		}
		if n == 1 {
			return found
		}
		if n > 1 || time.Now().After(end) {
			s.t.Fatalf("%d spans %v %s, among %q", n, kind, name, all)
		}
	}
}

// attr returns an attribute of a span as text.
func attr(span tracetest.SpanStub, key string) string {
	for _, a := range span.Attributes {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

func isChild(t testing.TB, child, parent tracetest.SpanStub) {
	t.Helper()
	if child.SpanContext.TraceID() != parent.SpanContext.TraceID() || child.Parent.SpanID() != parent.SpanContext.SpanID() {
		t.Errorf("%v %s is no child of %v %s", child.SpanKind, child.Name, parent.SpanKind, parent.Name)
	}
}

// quiet returns a peer that logs to nowhere.
func quiet(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	logger, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = logger
	return tp.NewPeer(&cfg, plugins...)
}
