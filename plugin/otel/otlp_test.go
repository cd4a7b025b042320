package otel_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	"github.com/henrylee2cn/teleport/tptest"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	metricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spanpb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives OTLP over HTTP.
type collector struct {
	t testing.TB

	mu      sync.Mutex
	spans   map[string]*spanpb.Span // by kind and name
	metrics map[string]string       // units, by name
	scopes  map[string]bool
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var answer proto.Message
	switch r.URL.Path {
	case "/v1/traces":
		var request tracepb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.scopes[scope.GetScope().GetName()+" "+scope.GetSchemaUrl()] = true
				for _, s := range scope.GetSpans() {
					c.spans[s.GetKind().String()+" "+s.GetName()] = s
				}
			}
		}
		answer = new(tracepb.ExportTraceServiceResponse)
	case "/v1/metrics":
		var request metricpb.ExportMetricsServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		for _, resource := range request.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					c.metrics[m.GetName()] = m.GetUnit()
				}
			}
		}
		answer = new(metricpb.ExportMetricsServiceResponse)
	default:
		c.t.Errorf("a request for %s", r.URL.Path)
	}
	if err != nil {
		c.t.Errorf("%s: %v", r.URL.Path, err)
	}
	b, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

// Spans and metrics of two processes' worth of peers meet at a collector.
func TestOTLP(t *testing.T) {
	c := &collector{t: t, spans: map[string]*spanpb.Span{}, metrics: map[string]string{}, scopes: map[string]bool{}}
	web := httptest.NewServer(c)
	defer web.Close()
	ctx := context.Background()
	var ends []func(context.Context) error
	plugin := func() *otel.Plugin {
		traces, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(web.URL+"/v1/traces"))
		if err != nil {
			t.Fatal(err)
		}
		metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(web.URL+"/v1/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		tracer := sdktrace.NewTracerProvider(sdktrace.WithBatcher(traces))
		meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
		ends = append(ends, tracer.Shutdown, meter.Shutdown)
		return otel.New(otel.Config{TracerProvider: tracer, MeterProvider: meter})
	}
	t.Run("peers", func(t *testing.T) { // they are closed at its end
		server := quiet(t, tp.PeerConfig{}, plugin())
		tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
			return "", tp.NewRerror(1234, "not today, \xff", *name)
		})
		sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}, plugin()), server)
		sess.Pull("/greet", "Ann", nil)
	})
	for _, end := range ends {
		if err := end(ctx); err != nil {
			t.Error(err)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	c.mu.Lock()
	defer c.mu.Unlock()
	called, handled := c.spans["SPAN_KIND_CLIENT /greet"], c.spans["SPAN_KIND_SERVER /greet"]
	if called == nil || handled == nil {
		t.Fatalf("the collector has %v", c.spans)
	}
	if hex.EncodeToString(called.GetTraceId()) != hex.EncodeToString(handled.GetTraceId()) || hex.EncodeToString(called.GetSpanId()) != hex.EncodeToString(handled.GetParentSpanId()) {
		t.Error("the spans of the two sides are not one trace")
	}
	for _, s := range []*spanpb.Span{called, handled} {
		attrs := map[string]string{}
		for _, a := range s.GetAttributes() {
			attrs[a.GetKey()] = a.GetValue().GetStringValue()
		}
		if attrs["rpc.system.name"] != "teleport" || attrs["rpc.method"] != "/greet" || attrs["rpc.response.status_code"] != "1234" {
			t.Errorf("%v has %v", s.GetKind(), attrs)
		}
		if s.GetStatus().GetCode() != spanpb.Status_STATUS_CODE_ERROR || s.GetStatus().GetMessage() != "not today, \uFFFD" {
			t.Errorf("%v has status %v", s.GetKind(), s.GetStatus())
		}
	}
	for name, unit := range map[string]string{
		"rpc.client.call.duration": "s", "rpc.server.call.duration": "s",
		"teleport.sessions": "{session}", "teleport.sessions.opening": "{session}", "teleport.handlers": "{exchange}", "teleport.write_queue": "By",
	} {
		if c.metrics[name] != unit {
			t.Errorf("%s has unit %q, want %q", name, c.metrics[name], unit)
		}
	}
	if !c.scopes["github.com/henrylee2cn/teleport/plugin/otel https://opentelemetry.io/schemas/1.43.0"] {
		t.Errorf("scopes %v", c.scopes)
	}
}
