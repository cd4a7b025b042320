package otel

import (
	"context"
	"sync"

	tp "github.com/henrylee2cn/teleport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
)

// metrics are the instruments.
type metrics struct {
	meter  metric.Meter
	client rpcconv.ClientCallDuration
	server rpcconv.ServerCallDuration

	sessions, opening, handlers, queued metric.Int64ObservableUpDownCounter
	refused                             metric.Int64ObservableCounter

	once         sync.Once
	mu           sync.Mutex // protects following
	registration metric.Registration
}

func newMetrics(meter metric.Meter) *metrics {
	m := &metrics{meter: meter}
	var errs [7]error
	m.client, errs[0] = rpcconv.NewClientCallDuration(meter)
	m.server, errs[1] = rpcconv.NewServerCallDuration(meter)
	m.sessions, errs[2] = meter.Int64ObservableUpDownCounter("teleport.sessions", metric.WithUnit("{session}"),
		metric.WithDescription("Open sessions."))
	m.opening, errs[3] = meter.Int64ObservableUpDownCounter("teleport.sessions.opening", metric.WithUnit("{session}"),
		metric.WithDescription("Accepted connections that are not let in yet."))
	m.handlers, errs[4] = meter.Int64ObservableUpDownCounter("teleport.handlers", metric.WithUnit("{exchange}"),
		metric.WithDescription("Exchanges of other sides that run or wait for their turn."))
	m.queued, errs[5] = meter.Int64ObservableUpDownCounter("teleport.write_queue", metric.WithUnit("By"),
		metric.WithDescription("Bytes that wait to be written."))
	m.refused, errs[6] = meter.Int64ObservableCounter("teleport.refused", metric.WithUnit("{event}"),
		metric.WithDescription("What was not done, by reason."))
	for _, err := range errs {
		if err != nil {
			otel.Handle(err)
		}
	}
	return m
}

// record records how long an exchange took. What the side that handles it was asked for
// is bounded by what is registered; of what this side calls, the program decides, and
// beyond it the limit of cardinality of the SDK.
func (m *metrics) record(ctx context.Context, c tp.ExchangeCtx, method string) {
	if c.IsLaunched() && !m.client.Enabled(ctx) || !c.IsLaunched() && !m.server.Enabled(ctx) {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	attrs = append(attrs, semconv.RPCMethod(method), kindPush)
	if c.IsPull() {
		attrs[1] = kindPull
	}
	if rerr := c.Rerror(); rerr != nil {
		code := codeOf(rerr)
		attrs = append(attrs, semconv.RPCResponseStatusCode(code), semconv.ErrorTypeKey.String(code))
	}
	if c.IsLaunched() {
		m.client.Record(ctx, c.CostTime().Seconds(), systemName, attrs...)
		return
	}
	m.server.Record(ctx, c.CostTime().Seconds(), systemName, attrs...)
}

// of begins to observe the peer, the first time.
func (m *metrics) of(peer *tp.Peer) {
	m.once.Do(func() {
		reg, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			s := peer.Stats()
			o.ObserveInt64(m.sessions, int64(s.Sessions))
			o.ObserveInt64(m.opening, int64(s.Opening))
			o.ObserveInt64(m.handlers, int64(s.Handlers))
			o.ObserveInt64(m.queued, s.QueuedBytes)
			for reason, n := range s.Refused {
				o.ObserveInt64(m.refused, int64(n), metric.WithAttributes(attribute.String("reason", reason)))
			}
			return nil
		}, m.sessions, m.opening, m.handlers, m.queued, m.refused)
		if err != nil {
			otel.Handle(err)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.registration = reg
	})
}

func (m *metrics) unregister() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.registration == nil {
		return nil
	}
	reg := m.registration
	m.registration = nil
	return reg.Unregister()
}
