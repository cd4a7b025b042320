package prometheus

import (
	"sync/atomic"

	tp "github.com/henrylee2cn/teleport"
	prom "github.com/prometheus/client_golang/prometheus"
)

// statsCollector gives what Peer.Stats says, when it is asked.
type statsCollector struct {
	peer atomic.Pointer[tp.Peer]

	sessions, opening, begun, handlers, queued, refused, packets, bytes *prom.Desc
}

var _ prom.Collector = new(statsCollector)

func newStatsCollector(namespace string, labels prom.Labels) *statsCollector {
	desc := func(name, help string, variable ...string) *prom.Desc {
		return prom.NewDesc(prom.BuildFQName(namespace, "", name), help, variable, labels)
	}
	return &statsCollector{
		sessions: desc("sessions", "Open sessions."),
		opening:  desc("sessions_opening", "Accepted connections that are not let in yet."),
		begun:    desc("sessions_total", "Connections that sessions began or went on with.", "by"),
		handlers: desc("handlers", "Exchanges of other sides that run or wait for their turn."),
		queued:   desc("write_queue_bytes", "Bytes that wait to be written."),
		refused:  desc("refused_total", "What was not done, by reason.", "reason"),
		packets:  desc("packets_total", "Packets of all connections.", "direction"),
		bytes:    desc("bytes_total", "Bytes of all connections, without what TLS adds.", "direction"),
	}
}

// of remembers the peer, the first one.
func (c *statsCollector) of(peer *tp.Peer) {
	if c.peer.Load() == nil {
		c.peer.CompareAndSwap(nil, peer)
	}
}

// Describe implements prometheus.Collector.
func (c *statsCollector) Describe(descs chan<- *prom.Desc) {
	for _, d := range []*prom.Desc{c.sessions, c.opening, c.begun, c.handlers, c.queued, c.refused, c.packets, c.bytes} {
		descs <- d
	}
}

// Collect implements prometheus.Collector. There is nothing before the peer listens,
// dials or handles.
func (c *statsCollector) Collect(metrics chan<- prom.Metric) {
	peer := c.peer.Load()
	if peer == nil {
		return
	}
	stats := peer.Stats()
	gauge := func(d *prom.Desc, v float64) {
		metrics <- prom.MustNewConstMetric(d, prom.GaugeValue, v)
	}
	counter := func(d *prom.Desc, v uint64, label string) {
		metrics <- prom.MustNewConstMetric(d, prom.CounterValue, float64(v), label)
	}
	gauge(c.sessions, float64(stats.Sessions))
	gauge(c.opening, float64(stats.Opening))
	gauge(c.handlers, float64(stats.Handlers))
	gauge(c.queued, float64(stats.QueuedBytes))
	counter(c.begun, stats.Accepted, "accepted")
	counter(c.begun, stats.Dialled, "dialled")
	counter(c.begun, stats.Redialled, "redialled")
	counter(c.packets, stats.Traffic.PacketsIn, "read")
	counter(c.packets, stats.Traffic.PacketsOut, "written")
	counter(c.bytes, stats.Traffic.BytesIn, "read")
	counter(c.bytes, stats.Traffic.BytesOut, "written")
	for reason, n := range stats.Refused {
		counter(c.refused, n, reason)
	}
}
