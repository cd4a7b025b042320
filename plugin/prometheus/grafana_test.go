package prometheus_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	"github.com/henrylee2cn/teleport/tptest"
)

var (
	metricName   = regexp.MustCompile(`\btp_\w+`)
	labelsOf     = regexp.MustCompile(`\b(tp_\w+)\{([^}]*)\}`)
	labelMatch   = regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)`)
	groupBy      = regexp.MustCompile(`by \(([^)]*)\)`)
	legendLabels = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// The dashboard asks for nothing that is not exported, and for all that is.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || len(board.Panels) < 10 || len(board.Templating.List) != 3 {
		t.Fatalf("the dashboard %q has %d panels", board.Title, len(board.Panels))
	}

	// All metrics, with their labels, of a peer where all has happened.
	s := newScraper(t)
	server := quiet(t, tp.PeerConfig{MaxSessionHandlers: 1}, s.plugin(prometheus.Config{}))
	tp.RegPush(server.PushRouter, "note", func(tp.PushCtx, *int) {})
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
	_ = sess.Push("/nowhere", 1) // refused
	s.await("tp_refused_total", values{"reason=pushes": 1})
	exported := map[string]map[string]bool{}
	for name, family := range s.scrape() {
		labels := map[string]bool{"job": true, "instance": true} // of the scrape
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = true
		}
		exported[name] = labels
		if family.GetType().String() == "HISTOGRAM" {
			delete(exported, name)
			exported[name+"_count"], exported[name+"_sum"] = labels, labels
			exported[name+"_bucket"] = map[string]bool{"le": true}
			for l := range labels {
				exported[name+"_bucket"][l] = true
			}
		}
	}
	used := map[string]bool{}
	check := func(where, expr, legend string) {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for no metric: %s", where, expr)
		}
		for _, name := range names {
			used[name] = true
			if exported[name] == nil {
				t.Errorf("%s asks for %s, which is not exported", where, name)
			}
			for _, m := range labelsOf.FindAllStringSubmatch(expr, -1) {
				for _, l := range labelMatch.FindAllStringSubmatch(m[2], -1) {
					if !exported[m[1]][l[1]] {
						t.Errorf("%s: %s has no label %s", where, m[1], l[1])
					}
				}
			}
			by := map[string]bool{}
			for _, m := range groupBy.FindAllStringSubmatch(expr, -1) {
				for _, l := range strings.Split(m[1], ",") {
					l = strings.TrimSpace(l)
					by[l] = true
					if !exported[name][l] {
						t.Errorf("%s: %s has no label %s", where, name, l)
					}
				}
			}
			for _, m := range legendLabels.FindAllStringSubmatch(legend, -1) {
				if !by[m[1]] {
					t.Errorf("%s: the legend names %s, which the expression does not keep", where, m[1])
				}
			}
		}
		for _, pair := range []string{"()", "{}", "[]"} {
			if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
				t.Errorf("%s: %s are not balanced: %s", where, pair, expr)
			}
		}
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			check("panel "+p.Title, target.Expr, target.LegendFormat)
		}
	}
	for _, v := range board.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			check("variable "+v.Name, q["query"].(string), "")
		}
	}
	for name := range exported {
		if !used[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// The names in the package's documentation are those that are exported.
func TestDocNamesMetrics(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	s := newScraper(t)
	server := quiet(t, tp.PeerConfig{}, s.plugin(prometheus.Config{}))
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
	_ = sess.Push("/nowhere", 1)
	s.await("tp_refused_total", values{"reason=pushes": 1})
	documented := map[string]bool{}
	for _, name := range metricName.FindAllString(string(b), -1) {
		documented[name] = true
	}
	all := s.scrape()
	for name := range all {
		if !documented[name] {
			t.Errorf("%s is not documented", name)
		}
	}
	for name := range documented {
		if all[name] == nil {
			t.Errorf("%s is documented and not exported", name)
		}
	}
}
