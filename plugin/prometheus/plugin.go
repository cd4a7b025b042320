package prometheus

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	tp "github.com/henrylee2cn/teleport"
	prom "github.com/prometheus/client_golang/prometheus"
)

// Config is the configuration of a Plugin.
type Config struct {
	// Registerer is where the metrics are registered. Default:
	// prometheus.DefaultRegisterer.
	Registerer prom.Registerer
	// Namespace is what the names begin with, before '_'. Default: "tp".
	Namespace string
	// ConstLabels are labels of all metrics. Several peers of one process, each with
	// a Plugin, need them to be told apart, such as {"peer": "gateway"}. Not "le",
	// which is the histogram's, and none of the labels that the metrics have.
	ConstLabels prom.Labels
	// Buckets are the upper bounds of the histogram in seconds, increasing. Default:
	// 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30.
	Buckets []float64
	// NativeFactor, if it is more than 1, makes the histogram a native one too, for
	// servers that take those: its buckets grow by at most this factor, such as 1.1.
	// A series has 160 of them at most: when it needs more, they become wider.
	// Default: 0, only Buckets.
	NativeFactor float64
	// MaxRoutes is how many paths that this side calls are told apart. Default: 1000.
	MaxRoutes int
	// MaxCodes is how many codes of errors are told apart, besides those of package tp,
	// which always are. Default: 100.
	MaxCodes int
}

var defaultBuckets = []float64{.0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5, 30}

const (
	defaultNamespace = "tp"
	defaultMaxRoutes = 1000
	defaultMaxCodes  = 100
	// maxNative bounds the native buckets of a series: without it, how much memory
	// one takes would be for other sides to choose, by how long they let calls take.
	maxNative = 160
)

// Values of labels.
const (
	routeUnknown = "unknown"
	other        = "other"
	codeOK       = "ok"
)

// Plugin is the plugin of one peer. It is safe for concurrent use, and has no
// goroutine.
type Plugin struct {
	cfg       Config
	exchanges *prom.CounterVec
	durations *prom.HistogramVec
	stats     *statsCollector
	known     sync.Map // seriesKey -> *series

	mu     sync.Mutex // protects following
	routes map[string]bool
	codes  map[int32]bool
}

var (
	_ tp.PostListenPlugin   = new(Plugin)
	_ tp.PostDialPlugin     = new(Plugin)
	_ tp.PostExchangePlugin = new(Plugin)
)

// seriesKey is what the labels of an exchange are made of.
type seriesKey struct {
	launched, pull, failed bool
	code                   int32
	handler                *tp.Handler // of what was handled
	path                   string      // of what was called
}

// series is where an exchange is counted.
type series struct {
	count    prom.Counter
	duration prom.Observer
}

// New returns a Plugin, for tp.NewPeer, and registers its metrics. It copies cfg. A
// second Plugin with the same names and labels is an error, and so are buckets that
// do not increase, a factor that is not more than 1, and labels that the metrics cannot
// have.
func New(cfg Config) (*Plugin, error) {
	if cfg.Registerer == nil {
		cfg.Registerer = prom.DefaultRegisterer
	}
	if cfg.Namespace == "" {
		cfg.Namespace = defaultNamespace
	}
	if len(cfg.Buckets) == 0 {
		cfg.Buckets = defaultBuckets
	}
	for i := range len(cfg.Buckets) - 1 {
		if !(cfg.Buckets[i] < cfg.Buckets[i+1]) { // NaN is not
			return nil, fmt.Errorf("prometheus: Config.Buckets = %v: they must increase", cfg.Buckets)
		}
	}
	if cfg.NativeFactor != 0 && !(cfg.NativeFactor > 1) {
		return nil, fmt.Errorf("prometheus: Config.NativeFactor = %v: it must be more than 1, or 0 for no native histogram", cfg.NativeFactor)
	}
	if _, ok := cfg.ConstLabels["le"]; ok { // the client panics, and not before the first exchange
		return nil, fmt.Errorf("prometheus: Config.ConstLabels = %v: \"le\" is the label of buckets", cfg.ConstLabels)
	}
	cfg.Buckets = slices.Clone(cfg.Buckets)
	if cfg.MaxRoutes <= 0 {
		cfg.MaxRoutes = defaultMaxRoutes
	}
	if cfg.MaxCodes <= 0 {
		cfg.MaxCodes = defaultMaxCodes
	}
	labels := []string{"direction", "kind", "route", "code"}
	p := &Plugin{
		cfg: cfg,
		exchanges: prom.NewCounterVec(prom.CounterOpts{
			Namespace: cfg.Namespace, Name: "exchanges_total", ConstLabels: cfg.ConstLabels,
			Help: "Pulls and pushes that are over.",
		}, labels),
		durations: prom.NewHistogramVec(prom.HistogramOpts{
			Namespace: cfg.Namespace, Name: "exchange_duration_seconds", ConstLabels: cfg.ConstLabels,
			Help: "How long pulls and pushes took.", Buckets: cfg.Buckets,
			NativeHistogramBucketFactor: cfg.NativeFactor, NativeHistogramMaxBucketNumber: maxNative,
		}, labels),
		stats:  newStatsCollector(cfg.Namespace, cfg.ConstLabels),
		routes: make(map[string]bool),
		codes:  make(map[int32]bool),
	}
	for _, c := range p.collectors() {
		if err := cfg.Registerer.Register(c); err != nil {
			p.Unregister()
			if errors.As(err, new(prom.AlreadyRegisteredError)) {
				err = fmt.Errorf("%w: of several peers each needs its Config.ConstLabels", err)
			}
			return nil, fmt.Errorf("prometheus: %w", err)
		}
	}
	return p, nil
}

func (p *Plugin) collectors() []prom.Collector {
	return []prom.Collector{p.exchanges, p.durations, p.stats}
}

// Unregister takes the metrics back, when the peer is closed and the process goes on.
func (p *Plugin) Unregister() {
	for _, c := range p.collectors() {
		p.cfg.Registerer.Unregister(c)
	}
}

// Name returns "prometheus".
func (p *Plugin) Name() string { return "prometheus" }

// PostListen learns whose plugin it is.
func (p *Plugin) PostListen(ctx tp.PeerCtx) *tp.Rerror {
	p.stats.of(ctx.Peer())
	return nil
}

// PostDial learns whose plugin it is.
func (p *Plugin) PostDial(sess tp.PreSession) *tp.Rerror {
	p.stats.of(sess.Peer())
	return nil
}

// PostExchange counts the exchange.
func (p *Plugin) PostExchange(ctx tp.ExchangeCtx) *tp.Rerror {
	p.stats.of(ctx.Peer())
	key := seriesKey{launched: ctx.IsLaunched(), pull: ctx.IsPull(), handler: ctx.Handler()}
	if key.launched {
		key.path = ctx.Path()
	}
	if rerr := ctx.Rerror(); rerr != nil {
		key.failed, key.code = true, rerr.Code
	}
	s, ok := p.known.Load(key)
	if !ok {
		s = p.series(key)
	}
	s.(*series).count.Inc()
	s.(*series).duration.Observe(ctx.CostTime().Seconds())
	return nil
}

// series returns where exchanges of a key are counted.
func (p *Plugin) series(key seriesKey) *series {
	direction, kind, code := "handled", "push", codeOK
	if key.pull {
		kind = "pull"
	}
	route, whole := routeUnknown, true
	switch {
	case key.launched:
		direction = "called"
		route, whole = p.route(key.path)
	case key.handler != nil && key.handler.IsUnknown():
		route = joinAny(key.handler.Name())
	case key.handler != nil:
		route = key.handler.Name()
	}
	if key.failed {
		known := p.isCode(key.code)
		whole = whole && known
		code = other
		if known {
			code = strconv.Itoa(int(key.code))
		}
	}
	s := &series{
		count:    p.exchanges.WithLabelValues(direction, kind, route, code),
		duration: p.durations.WithLabelValues(direction, kind, route, code),
	}
	if whole { // otherwise there is no end of keys
		p.known.Store(key, s)
	}
	return s
}

// joinAny returns the route of a handler of unknown paths.
func joinAny(group string) string {
	if group == "/" {
		return "/*"
	}
	return group + "/*"
}

// route returns the label of a path that is called, and whether that is the path.
func (p *Plugin) route(path string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.routes[path] {
		if len(p.routes) >= p.cfg.MaxRoutes {
			return other, false
		}
		p.routes[path] = true
	}
	return strings.ToValidUTF8(path, "\uFFFD"), true // a label takes nothing else
}

// isCode reports whether a code has a label of its own. The codes of package tp have,
// or another side could hide a 503 by making codes up.
func (p *Plugin) isCode(code int32) bool {
	if tp.CodeText(code) != "" {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.codes[code] {
		if len(p.codes) >= p.cfg.MaxCodes {
			return false
		}
		p.codes[code] = true
	}
	return true
}
