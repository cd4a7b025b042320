package report_test

import (
	"maps"
	"math"
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/report"
	"github.com/henrylee2cn/teleport/bench/internal/result"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		series report.Series
		want   report.Spread
	}{
		{nil, report.Spread{}},
		{report.Series{3: 7}, report.Spread{Median: 7, Min: 7, Max: 7, N: 1}},
		{report.Series{1: 4, 2: 1}, report.Spread{Median: 2.5, Min: 1, Max: 4, N: 2}},
		{report.Series{1: 9, 2: 1, 3: 2}, report.Spread{Median: 2, Min: 1, Max: 9, N: 3}},
		{report.Series{1: 9, 2: 1, 3: 2, 5: 4}, report.Spread{Median: 3, Min: 1, Max: 9, N: 4}},
	} {
		if got := c.series.Spread(); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.series, got, c.want)
		}
	}
}

func TestRatiosAreOfOneRound(t *testing.T) {
	// The machine is half as fast in round 2: the ratio of the medians would be 1.
	a := report.Series{1: 60, 2: 30, 3: 60, 4: 10}
	b := report.Series{1: 120, 2: 60, 3: 60, 5: 10, 6: 0}
	want := report.Series{1: 0.5, 2: 0.5, 3: 1}
	if got := a.Over(b); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := a.Over(b).Spread().Median; got != 0.5 {
		t.Errorf("the median is %v, want 0.5", got)
	}
	if got := (report.Series{1: 1}).Over(report.Series{1: 0}); len(got) != 0 {
		t.Errorf("divided by 0: %v", got)
	}
}

func TestPerSec(t *testing.T) {
	runs := []result.Run{
		{Scenario: "S2", Stack: "tp", Round: 1, PerSec: 10},
		{Scenario: "S2", Stack: "raw", Round: 1, PerSec: 20},
		{Scenario: "S4", Stack: "tp", Round: 1, PerSec: 30},
		{Scenario: "S2", Stack: "tp", Round: 2, PerSec: 0},
		{Scenario: "S2", Stack: "tp", Round: 3, PerSec: math.NaN()},
		{Scenario: "S2", Stack: "tp", Round: 4, PerSec: math.Inf(1)},
		{Scenario: "S2", Stack: "tp", Round: 5, PerSec: 40},
		{Scenario: "S2", Stack: "tp", Round: 5, PerSec: 50},
	}
	want := report.Series{1: 10, 5: 50}
	if got := report.PerSec(runs, "S2", "tp"); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
