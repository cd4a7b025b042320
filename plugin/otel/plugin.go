package otel

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of what makes the spans and metrics.
const scope = "github.com/henrylee2cn/teleport/plugin/otel"

// Config is the configuration of a Plugin.
type Config struct {
	// TracerProvider makes the spans. Default: otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics. Default: otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
	// Propagator writes the context of a trace into meta data, and reads it. Default:
	// propagation.TraceContext{}. Baggage that comes from strangers is theirs to
	// choose; who wants it adds propagation.Baggage{}.
	Propagator propagation.TextMapPropagator
	// Public begins another trace for each exchange that is handled, with a link to
	// that of the caller, for peers to which strangers connect: theirs would decide
	// what is sampled. Default: the trace goes on.
	Public bool
	// Filter says which paths have spans, in both directions; the others pass the
	// context on as it is. A broadcast has a span for each session. Metrics are made
	// of all. It is called by many goroutines, and must not block. Default: all have.
	// With Public, what is handled of the others belongs to no trace.
	Filter func(path string) bool
}

// Plugin is the plugin of one peer. It is safe for concurrent use, and has no
// goroutine. Give it before other plugins, whose hooks see its spans then.
type Plugin struct {
	cfg     Config
	tracer  trace.Tracer
	metrics *metrics
}

var (
	_ tp.PreWritePullPlugin       = new(Plugin)
	_ tp.PreWritePushPlugin       = new(Plugin)
	_ tp.PostReadPullHeaderPlugin = new(Plugin)
	_ tp.PostReadPushHeaderPlugin = new(Plugin)
	_ tp.PostExchangePlugin       = new(Plugin)
	_ tp.PostListenPlugin         = new(Plugin)
	_ tp.PostDialPlugin           = new(Plugin)
)

// New returns a Plugin, for tp.NewPeer. It copies cfg. Errors of the MeterProvider go to
// otel.Handle.
func New(cfg Config) *Plugin {
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	return &Plugin{
		cfg:     cfg,
		tracer:  cfg.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		metrics: newMetrics(cfg.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))),
	}
}

// Unregister ends the metrics of Peer.Stats, when the peer is closed and the process
// goes on.
func (p *Plugin) Unregister() error { return p.metrics.unregister() }

// Name returns "otel".
func (p *Plugin) Name() string { return "otel" }

// PostListen learns whose plugin it is.
func (p *Plugin) PostListen(ctx tp.PeerCtx) *tp.Rerror {
	p.metrics.of(ctx.Peer())
	return nil
}

// PostDial learns whose plugin it is.
func (p *Plugin) PostDial(sess tp.PreSession) *tp.Rerror {
	p.metrics.of(sess.Peer())
	return nil
}

// PreWritePull begins the span of a pull.
func (p *Plugin) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	p.launch(ctx, trace.SpanKindClient)
	return nil
}

// PreWritePush begins the span of a push.
func (p *Plugin) PreWritePush(ctx tp.WriteCtx) *tp.Rerror {
	p.launch(ctx, trace.SpanKindProducer)
	return nil
}

// PostReadPullHeader begins the span of a pull that is handled.
func (p *Plugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	p.arrive(ctx, trace.SpanKindServer)
	return nil
}

// PostReadPushHeader begins the span of a push that is handled.
func (p *Plugin) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror {
	p.arrive(ctx, trace.SpanKindConsumer)
	return nil
}

// ours is the key of the context's value that is the span of its exchange: that of
// trace.SpanFromContext may be one that the program has begun in it.
type ours struct{ plugin *Plugin }

// spanOf returns the span of an exchange, or nil. It is not that of the exchange in
// whose handler another one was launched.
func (p *Plugin) spanOf(ctx context.Context, packet *socket.Packet) trace.Span {
	if o, ok := ctx.Value(ours{p}).(*span); ok && o.packet == packet {
		return o.Span
	}
	return nil
}

// span is the span of the exchange that a packet began.
type span struct {
	trace.Span
	packet *socket.Packet
}

// begin begins the span of an exchange. The addresses, which take long to find out, are
// only for one that is recorded.
func (p *Plugin) begin(ctx context.Context, packet *socket.Packet, path string, sess tp.Session, kind trace.SpanKind, options ...trace.SpanStartOption) context.Context {
	options = append(options, trace.WithSpanKind(kind), trace.WithAttributes(identity(path, kind)...))
	ctx, s := p.tracer.Start(ctx, path, options...)
	if s.IsRecording() {
		s.SetAttributes(addresses(sess, kind)...)
	}
	return context.WithValue(ctx, ours{p}, &span{s, packet})
}

func (p *Plugin) traces(path string) bool { return p.cfg.Filter == nil || p.cfg.Filter(path) }

// launch begins the span of what this side sends, and writes it into the meta data.
func (p *Plugin) launch(c tp.WriteCtx, kind trace.SpanKind) {
	ctx, out := c.Context(), c.Output()
	path := pathOf(out.Uri())
	switch s := p.spanOf(ctx, out); {
	case s != nil: // the meta data has it: the pull is sent again on another connection
		s.AddEvent("sent again")
	case p.traces(path):
		ctx = p.begin(ctx, out, path, c.Session(), kind)
		c.SetContext(ctx)
	}
	carrier := metaCarrier{out.Meta()}
	if trace.SpanContextFromContext(ctx).IsValid() { // what is passed on may bring that of another trace
		carrier.remove("traceparent", "tracestate")
	}
	p.cfg.Propagator.Inject(ctx, carrier)
}

// arrive begins the span of what this side handles, from the meta data.
func (p *Plugin) arrive(c tp.ReadCtx, kind trace.SpanKind) {
	ctx, in := c.Context(), c.Input()
	if in.HasMeta() {
		ctx = p.cfg.Propagator.Extract(ctx, metaCarrier{in.Meta()})
	}
	path := pathOf(in.Uri())
	remote := trace.SpanContextFromContext(ctx)
	if !p.traces(path) {
		if p.cfg.Public { // or theirs would go on with what the handler calls
			ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
		}
		c.SetContext(ctx)
		return
	}
	var options []trace.SpanStartOption
	if p.cfg.Public {
		options = append(options, trace.WithNewRoot())
		if remote.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: remote}))
		}
	}
	c.SetContext(p.begin(ctx, in, path, c.Session(), kind, options...))
}

// PostExchange ends the span. What failed before it had one gets one that is over, and
// is part of the trace of its caller where that is known.
func (p *Plugin) PostExchange(c tp.ExchangeCtx) *tp.Rerror {
	p.metrics.of(c.Peer())
	ctx, packet := c.Context(), c.Input()
	if c.IsLaunched() {
		packet = c.Output()
	}
	method, original := methodOf(c)
	p.metrics.record(ctx, c, method)
	s := p.spanOf(ctx, packet)
	if s == nil {
		if !p.traces(c.Path()) {
			return nil
		}
		s = p.belated(ctx, c, packet)
	}
	defer s.End()
	if !s.IsRecording() {
		return nil
	}
	s.SetName(nameOf(method))
	s.SetAttributes(semconv.RPCMethod(method))
	if original != "" {
		s.SetAttributes(semconv.RPCMethodOriginal(original))
	}
	rerr := c.Rerror()
	if rerr == nil {
		return nil
	}
	code := codeOf(rerr)
	s.SetAttributes(semconv.RPCResponseStatusCode(code), semconv.ErrorTypeKey.String(code))
	if c.IsLaunched() || rerr.Code < 400 || rerr.Code > 499 {
		s.SetStatus(codes.Error, text(rerr.Message))
	}
	return nil
}

// belated returns a span for an exchange that had none: a pull that found no connection,
// or one that the reader refused.
func (p *Plugin) belated(ctx context.Context, c tp.ExchangeCtx, packet *socket.Packet) trace.Span {
	if !c.IsLaunched() && packet.HasMeta() && !p.cfg.Public {
		ctx = p.cfg.Propagator.Extract(ctx, metaCarrier{packet.Meta()})
	}
	ctx = p.begin(ctx, packet, pathOf(c.Path()), c.Session(), kindOf(c), trace.WithTimestamp(time.Now().Add(-c.CostTime())))
	return p.spanOf(ctx, packet)
}

func kindOf(c tp.ExchangeCtx) trace.SpanKind {
	switch {
	case c.IsLaunched() && c.IsPull():
		return trace.SpanKindClient
	case c.IsLaunched():
		return trace.SpanKindProducer
	case c.IsPull():
		return trace.SpanKindServer
	}
	return trace.SpanKindConsumer
}

const (
	systemName  = "teleport"
	otherMethod = "_OTHER" // of the semantic conventions
)

var (
	system   = semconv.RPCSystemNameKey.String(systemName)
	kindKey  = attribute.Key("teleport.kind")
	kindPull = kindKey.String("pull")
	kindPush = kindKey.String("push")
)

// identity returns the attributes of a span that a sampler may look at.
func identity(path string, kind trace.SpanKind) []attribute.KeyValue {
	tpKind := kindPush
	if kind == trace.SpanKindClient || kind == trace.SpanKindServer {
		tpKind = kindPull
	}
	return []attribute.KeyValue{system, semconv.RPCMethod(path), tpKind}
}

// methodOf returns rpc.method, and rpc.method_original if that says more.
func methodOf(c tp.ExchangeCtx) (method, original string) {
	path := text(c.Path())
	h := c.Handler()
	switch {
	case c.IsLaunched():
		return path, ""
	case h == nil:
		return otherMethod, path
	case h.IsUnknown():
		return strings.TrimSuffix(h.Name(), "/") + "/*", path
	}
	return h.Name(), ""
}

// nameOf returns the name of a span.
func nameOf(method string) string {
	if method == otherMethod || method == "" {
		return systemName
	}
	return method
}

func codeOf(rerr *tp.Rerror) string { return strconv.Itoa(int(rerr.Code)) }

// pathOf returns the path of a URI, for a span's first name: PostExchange knows it.
func pathOf(uri string) string {
	path, _, _ := strings.Cut(uri, "?")
	return text(path)
}

// text returns what may be a stranger's as UTF-8: with one string that is not, an
// exporter of OTLP loses all spans that it has gathered.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// addresses tell who calls and who is called.
func addresses(sess tp.Session, kind trace.SpanKind) []attribute.KeyValue {
	if kind == trace.SpanKindClient || kind == trace.SpanKindProducer {
		return serverAttributes(sess)
	}
	return clientAttributes(sess)
}

// serverAttributes tell who is called.
func serverAttributes(sess tp.Session) []attribute.KeyValue {
	host, port, ok := splitAddr(sess.RemoteIp())
	if !ok {
		return nil
	}
	return []attribute.KeyValue{
		semconv.ServerAddress(host), semconv.ServerPort(port),
		semconv.NetworkPeerAddress(host), semconv.NetworkPeerPort(port),
	}
}

// clientAttributes tell who calls, and what was called.
func clientAttributes(sess tp.Session) (all []attribute.KeyValue) {
	if host, port, ok := splitAddr(sess.RemoteIp()); ok {
		all = append(all,
			semconv.ClientAddress(host), semconv.ClientPort(port),
			semconv.NetworkPeerAddress(host), semconv.NetworkPeerPort(port))
	}
	if host, port, ok := splitAddr(sess.LocalIp()); ok {
		all = append(all, semconv.ServerAddress(host), semconv.ServerPort(port))
	}
	return all
}

func splitAddr(addr string) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, false // a unix socket, or a pipe
	}
	port, err = strconv.Atoi(text)
	return host, port, err == nil
}
