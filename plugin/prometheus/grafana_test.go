package prometheus_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	"github.com/henrylee2cn/teleport/tptest"
)

var (
	metricName   = regexp.MustCompile(`\btp_\w+`)
	labelValues  = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	legendLabels = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// question is what a part of the dashboard asks Prometheus, and the labels that the
// answers must have, which its legend names.
type question struct {
	where, expr string
	labels      []string
}

// questionsOf returns what grafana.json asks, as Grafana sends it.
func questionsOf(t *testing.T) (all []question) {
	t.Helper()
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
	chosen := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "2m")
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %s asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			q := question{where: "panel " + p.Title, expr: chosen.Replace(target.Expr)}
			for _, m := range legendLabels.FindAllStringSubmatch(target.LegendFormat, -1) {
				q.labels = append(q.labels, m[1])
			}
			slices.Sort(q.labels)
			all = append(all, q)
		}
	}
	for _, v := range board.Templating.List {
		query, ok := v.Query.(map[string]any)
		if !ok {
			continue // the data source
		}
		m := labelValues.FindStringSubmatch(query["query"].(string))
		if m == nil {
			t.Fatalf("variable %s asks for %v", v.Name, query)
		}
		all = append(all, question{"variable " + v.Name, "group by (" + m[2] + ") (" + chosen.Replace(m[1]) + ")", m[2:]})
	}
	return all
}

// answer is what Prometheus answers, as testdata/promql prints it.
type answer struct {
	Err      string
	Warnings []string
	Series   []struct {
		Labels map[string]string
		Value  string
	}
}

// ask has the questions answered from two scrapes, by the engine of Prometheus.
func ask(t *testing.T, questions []question, first, second []byte) (answers []answer) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "promql.exe")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir, build.Env = filepath.Join("testdata", "promql"), append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	scrapes := []string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	for i, text := range [][]byte{first, second} {
		if err := os.WriteFile(scrapes[i], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var exprs []string
	for _, q := range questions {
		exprs = append(exprs, q.expr)
	}
	in, err := json.Marshal(exprs)
	if err != nil {
		t.Fatal(err)
	}
	var failure bytes.Buffer
	run := exec.Command(program, scrapes...)
	run.Stdin, run.Stderr = bytes.NewReader(in), &failure
	out, err := run.Output()
	if err != nil {
		t.Fatalf("promql: %v\n%s", err, &failure)
	}
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions, %v", len(answers), len(questions), err)
	}
	return answers
}

// twice returns two scrapes of a peer for which all that is counted has happened before
// the first, and again before the second.
func twice(t *testing.T) (s *scraper, first, second []byte) {
	t.Helper()
	s = newScraper(t)
	server, client := quiet(t, tp.PeerConfig{}, s.plugin(prometheus.Config{})), quiet(t, tp.PeerConfig{})
	for _, p := range []*tp.Peer{server, client} {
		tp.RegPull(p.PullRouter, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
		tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *int) {})
	}
	atClient, atServer := tptest.Pair(t, client, server)
	var scrapes [2][]byte
	for i := range scrapes {
		for _, sess := range []tp.Session{atClient, atServer} {
			sess.Pull("/fine", 1, nil)
			sess.Pull("/nowhere", 1, nil)
			_ = sess.Push("/note", 1)
			_ = sess.Push("/nowhere", 1) // which the server refuses
		}
		n := float64(i + 1)
		s.await("tp_exchanges_total", values{
			"code=ok direction=handled kind=pull route=/fine":    n,
			"code=404 direction=handled kind=pull route=unknown": n,
			"code=ok direction=handled kind=push route=/note":    n,
			"code=404 direction=handled kind=push route=unknown": n,
			"code=ok direction=called kind=pull route=/fine":     n,
			"code=404 direction=called kind=pull route=/nowhere": n,
			"code=ok direction=called kind=push route=/note":     n,
			"code=ok direction=called kind=push route=/nowhere":  n,
		})
		s.await("tp_refused_total", values{"reason=pushes": n})
		scrapes[i] = s.get(textFormat)
		tptest.Pair(t, quiet(t, tp.PeerConfig{}), server) // one more session
	}
	return s, scrapes[0], scrapes[1]
}

// Prometheus answers what the dashboard asks, and it asks for all that is exported.
func TestDashboard(t *testing.T) {
	questions := questionsOf(t)
	s, first, second := twice(t)
	used := map[string]bool{}
	for i, a := range ask(t, questions, first, second) {
		q := questions[i]
		for _, name := range metricName.FindAllString(q.expr, -1) {
			for _, of := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, of)
			}
			used[name] = true
		}
		if a.Err != "" || len(a.Warnings) > 0 {
			t.Errorf("%s: %s: %s %q", q.where, q.expr, a.Err, a.Warnings)
			continue
		}
		counts := !strings.Contains(q.expr, "rate(") // else something must have happened
		for _, series := range a.Series {
			if got := slices.Sorted(maps.Keys(series.Labels)); !slices.Equal(got, q.labels) {
				t.Errorf("%s: an answer has the labels %q, the legend names %q", q.where, got, q.labels)
			}
			counts = counts || series.Value != "0"
			if series.Value == "NaN" {
				t.Errorf("%s: %v is no number", q.where, series.Labels)
			}
		}
		if len(a.Series) == 0 || !counts {
			t.Errorf("%s shows nothing: %s: %v", q.where, q.expr, a.Series)
		}
	}
	for name := range s.scrape() {
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
