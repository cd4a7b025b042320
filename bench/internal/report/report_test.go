package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/report"
	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// madeUp returns a small report whose figures nobody measured: three rounds,
// the second of which was on a machine half as fast.
func madeUp() *result.Report {
	r := &result.Report{
		Date: "2026-01-02T03:04:05Z", CPU: "A | B <C>", Cores: 4, OS: "linux/amd64", Go: "go1.26.8",
		Versions: map[string]string{"storj.io/drpc": "v0.0.2", "google.golang.org/grpc": "v1.2.3"},
		Rounds:   3, SecondsPerRun: 1.5,
	}
	perSec := map[string]map[string]float64{
		"S1":              {"raw": 20000, "tp": 18000, "grpc": 5000},
		"S2":              {"raw": 1000000, "tp": 440000, "tp-controller": 400000, "tp-inline": 572000, "tp-plugins": 420000, "grpc": 50000},
		"S4":              {"raw": 100000, "tp": 70000, "grpc": 20000},
		"S6":              {"tp": 700000},
		"P2-S2":           {"raw": 400000, "tp": 200000},
		"S8":              {"tp": 1500000, "nats": 500000},
		"S2-idle-0":       {"tp": 440000},
		"S2-idle-10000":   {"tp": 396000},
		"S2-procs-1":      {"raw": 500000, "tp": 250000},
		"S2-procs-2":      {"raw": 1000000, "tp": 440000},
		"another & newer": {"<other>": 12},
	}
	for round, speed := range []float64{1, 0.5, 1} {
		for id, stacks := range perSec {
			for stack, v := range stacks {
				r.Runs = append(r.Runs, result.Run{
					Scenario: id, Stack: stack, Round: round + 1, Seconds: 1.5,
					Calls: int64(v), PerSec: v * speed, P50: 1e6 / v, P99: 4e6 / v, P999: 1e7 / v,
					CPU: 2e6 / v, ClientAllocs: 3, ServerAllocs: 2.5, ClientRSS: 10 << 20, ServerRSS: 20 << 20,
				})
			}
		}
		r.Runs = append(r.Runs,
			result.Run{Scenario: "S7", Stack: "tp", Round: round + 1, ClientSession: 3799.2, ServerSession: 3500, ServerSessionRSS: 5000},
			result.Run{Scenario: "S7", Stack: "grpc", Round: round + 1, ClientSession: 30000, ServerSession: 33000},
		)
	}
	return r
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, dir string, r *result.Report) (page string) {
	t.Helper()
	if err := report.Write(dir, r); err != nil {
		t.Fatal(err)
	}
	return read(t, dir, "performance.md")
}

// wantLines fails for each line that the text does not have.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	all := strings.Split(text, "\n")
	for _, line := range lines {
		if !slices.Contains(all, line) {
			t.Errorf("there is no line %q", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestPage(t *testing.T) {
	page := write(t, t.TempDir(), madeUp())
	wantLines(t, page,
		"# Performance",
		"| processor | A \\| B &lt;C> |",
		"| date | 2026-01-02 |",
		"| google.golang.org/grpc | v1.2.3 |",
		"| rounds | 3, fewer where connections are made by the thousand |",
		"| S4 | 100 connections, 1 caller each |",

		"## Goals",
		"| S1: tp / raw |  | 0.81 | 0.90 | 0.900 | goal | 3 |",
		"| S2: tp / raw | 0.35 | 0.38 | 0.45 | 0.440 | must | 3 |",
		"| S4: tp / raw | 0.75 | 0.75 | 0.85 | 0.700 | **below the gate** | 3 |",
		"| P2-S2: tp / raw |  | 0.53 | 0.60 | 0.500 | **below** | 3 |",
		"| S2: tp / grpc |  | 9 |  | 8.800 | **below** | 3 |",
		"| S2: tp-controller / tp |  | 0.85 |  | 0.909 | must | 3 |",
		"| S2: tp-plugins / tp |  | 0.97 |  | 0.954 | **below** | 3 |",
		"| S2: tp-inline / tp |  | 1.2 |  | 1.300 | must | 3 |",
		"| S2: allocations a call, both sides together |  | ≤ 6 |  | 5.500 | must | 3 |",
		"| S7: heap and stack of an idle session, bytes, the larger side |  | ≤ 3,800 |  | 3,800 | must | 3 |",
		"| S8: tp / nats |  | 2 |  | 3.000 | must | 3 |",
		"Not measured in this run: S3: tp / raw; S5: tp / raw; S5b: tp / raw; S6: tp / raw; P2-S6: tp / raw; S9: tp / raw; S6: tp / grpc.",

		"![Throughput](performance/throughput.svg)",
		"|  | raw | tp | grpc | &lt;other> |",
		"| S1 | 20.0 (10.0..20.0) | 18.0 (9.00..18.0) | 5.00 (2.50..5.00) | - |",
		"| S6 | - | 700 (350..700) | - | - |",
		"### As a multiple of raw",
		"| S1 | 1.00 | 0.90 | 0.25 |",
		"### As a multiple of grpc",
		"| S2 | 20.0 | 8.80 | 1.00 |",
		"| S2 | 400 (0.91) | 572 (1.30) | 420 (0.95) |",
		"| S4 | 10.0 / 40.0 / 100 | 14.3 / 57.1 / 143 | 50.0 / 200 / 500 | - |",
		"| S4 | 3.00 + 2.50 | 3.00 + 2.50 | 3.00 + 2.50 | - |",
		"| S4 | 10.0 + 20.0 | 10.0 + 20.0 | 10.0 + 20.0 | - |",

		"| tp | 3,500 | 3,799 | 5,000 |",
		"| grpc | 33,000 | 30,000 | - |",
		"| tp | 1,500 | 750..1,500 | 3.00 | 1.33 |",
		"| tp | 0 | 440 | 220..440 | 1.00 | 9.09 |",
		"|  | 10,000 | 396 | 198..396 | 0.90 | 10.1 |",
		"|  | 2 | 440 | 220..440 | 1.76 | 0.44 | 9.09 |",
	)
	for _, no := range []string{"NaN", "Inf", "S3 |", "netrpc |", "### Routes"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestChartsAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	page := write(t, dir, madeUp())
	for _, name := range []string{"throughput", "protobuf", "latency", "memory", "broadcast"} {
		if !strings.Contains(page, "(performance/"+name+".svg)") {
			t.Errorf("the page does not show %s.svg", name)
		}
		svg := read(t, dir, "performance", name+".svg")
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s.svg has a place that is no number", name)
		}
		title := ""
		for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s.svg: %v", name, err)
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "title" {
				if err := dec.DecodeElement(&title, &start); err != nil {
					t.Fatal(err)
				}
			}
		}
		if title == "" {
			t.Errorf("%s.svg has no title", name)
		}
	}
	svg := read(t, dir, "performance", "throughput.svg")
	for _, want := range []string{">440k<", ">0.44 × raw<", "&lt;other&gt;", "another &amp; newer"} {
		if !strings.Contains(svg, want) {
			t.Errorf("throughput.svg does not have %s", want)
		}
	}
}

func TestDataHaveAStableOrder(t *testing.T) {
	dir := t.TempDir()
	r := madeUp()
	write(t, dir, r)
	data := read(t, dir, "performance", "data.json")
	page := read(t, dir, "performance.md")

	slices.Reverse(r.Runs)
	given := slices.Clone(r.Runs)
	write(t, dir, r)
	if !reflect.DeepEqual(r.Runs, given) {
		t.Error("Write changed the report")
	}
	if read(t, dir, "performance", "data.json") != data || read(t, dir, "performance.md") != page {
		t.Error("the order of the runs changes the files")
	}
	var back result.Report
	if err := json.Unmarshal([]byte(data), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Runs) != len(r.Runs) || back.CPU != r.CPU || !strings.HasPrefix(data, "{\n  \"date\"") {
		t.Errorf("data.json is not the report:\n%.200s", data)
	}
	if first, last := back.Runs[0], back.Runs[len(back.Runs)-1]; first.Scenario != "S1" || first.Stack != "raw" || last.Stack != "<other>" {
		t.Errorf("the first run is %+v, the last %+v", first, last)
	}
}

func TestHandWrittenTextStays(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "performance.md")
	before := "# How fast\n\nBy hand, `$1 $0`.\r\n\n<!-- bench: begin -->"
	after := "<!-- bench: end -->\n\n## Profile it\n\nBy hand too."
	if err := os.WriteFile(name, []byte(before+"\nold figures\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
	first := write(t, dir, madeUp())
	if !strings.HasPrefix(first, before) || !strings.HasSuffix(first, after) {
		t.Errorf("what was written by hand is not kept:\n%s", first)
	}
	if strings.Contains(first, "old figures") {
		t.Error("the old figures are still there")
	}
	if write(t, dir, madeUp()) != first {
		t.Error("the same report makes another page the second time")
	}
}

func TestPageWithoutMarks(t *testing.T) {
	const begin, end = "<!-- bench: begin -->", "<!-- bench: end -->"
	for _, text := range []string{"", "by hand", begin, end, end + begin, begin + begin + end, begin + end + end} {
		dir := t.TempDir()
		name := filepath.Join(dir, "performance.md")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		err := report.Write(dir, madeUp())
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "mark") {
			t.Errorf("%q: got error %v", text, err)
		}
		if got := read(t, name); got != text {
			t.Errorf("%q became %q", text, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "performance")); err == nil {
			t.Errorf("%q: charts were written", text)
		}
	}
}

func TestNothingMeasured(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, madeUp())
	for _, r := range []*result.Report{
		{},
		{Runs: []result.Run{{Scenario: "S2", Stack: "tp"}, {Scenario: "S7", Stack: "tp"}, {Scenario: "S8", Stack: "raw"}}},
	} {
		page := write(t, dir, r)
		if strings.Contains(page, "NaN") || strings.Contains(page, ".svg") || strings.Contains(page, "## Goals") {
			t.Errorf("the page shows what is not there:\n%s", page)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "performance", "*.svg")); len(left) > 0 {
			t.Errorf("charts of an earlier report are left: %v", left)
		}
		var b bytes.Buffer
		if report.Text(&b, r); b.Len() > 0 {
			t.Errorf("the text is %q", b.String())
		}
	}
}

// Equal, single and tiny values leave a chart without a scale of its own.
func TestChartsOfOneRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, &result.Report{Runs: []result.Run{
		{Scenario: "S2", Stack: "tp", PerSec: 1e-3, P50: 100, P99: 100},
		{Scenario: "S7", Stack: "tp", ServerSession: 1},
		{Scenario: "S8", Stack: "tp", PerSec: 1},
	}})
	charts, _ := filepath.Glob(filepath.Join(dir, "performance", "*.svg"))
	if len(charts) != 4 {
		t.Errorf("the charts are %v, want 4", charts)
	}
	for _, name := range charts {
		if svg := read(t, name); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s has a place that is no number:\n%s", name, svg)
		}
	}
}
