package prometheus_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const patience = 30 * time.Second

// scraper is an endpoint for metrics.
type scraper struct {
	t   testing.TB
	reg *prom.Registry
	url string
}

func newScraper(t testing.TB) *scraper {
	t.Helper()
	reg := prom.NewPedanticRegistry() // it checks what is collected against what was described
	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	t.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return &scraper{t, reg, server.URL}
}

// plugin returns a Plugin whose metrics are there.
func (s *scraper) plugin(cfg prometheus.Config) *prometheus.Plugin {
	s.t.Helper()
	cfg.Registerer = s.reg
	p, err := prometheus.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// scrape asks over HTTP and has Prometheus' own parser read the answer.
func (s *scraper) scrape() map[string]*dto.MetricFamily {
	s.t.Helper()
	res, err := http.Get(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		s.t.Fatalf("%s: %s", res.Status, b)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return families
}

// values returns the metrics of a family by their labels, as "a=b c=d". Of a histogram
// it is the count.
func (s *scraper) values(name string) map[string]float64 {
	s.t.Helper()
	all := map[string]float64{}
	for _, m := range s.scrape()[name].GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		slices.Sort(labels)
		v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		all[strings.Join(labels, " ")] = v
	}
	return all
}

// await waits until a family is just that.
func (s *scraper) await(name string, want map[string]float64) {
	s.t.Helper()
	var got map[string]float64
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got = s.values(name); maps.Equal(got, want) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s:\ngot  %v\nwant %v", name, got, want)
		}
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
