package prometheus_test

import (
	"bytes"
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

// get scrapes over HTTP, in a format.
func (s *scraper) get(format expfmt.Format) []byte {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", string(format))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", res.Status, b, err)
	}
	return b
}

// textFormat is what Prometheus reads without native histograms.
var textFormat = expfmt.NewFormat(expfmt.TypeTextPlain)

// scrape has Prometheus' own parser read what is scraped.
func (s *scraper) scrape() map[string]*dto.MetricFamily {
	s.t.Helper()
	return s.scrapeAs(textFormat)
}

func (s *scraper) scrapeAs(format expfmt.Format) map[string]*dto.MetricFamily {
	s.t.Helper()
	decoder := expfmt.NewDecoder(bytes.NewReader(s.get(format)), format)
	families := map[string]*dto.MetricFamily{}
	for {
		family := new(dto.MetricFamily)
		switch err := decoder.Decode(family); err {
		case nil:
			families[family.GetName()] = family
		case io.EOF:
			return families
		default:
			s.t.Fatal(err)
		}
	}
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
