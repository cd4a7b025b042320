package summary

import (
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

func TestRatioIsTakenWithinARound(t *testing.T) {
	run := func(stack string, round int, perSec float64) result.Run {
		return result.Run{Scenario: "S1", Stack: stack, Round: round, PerSec: perSec}
	}
	// The second round was disturbed: the medians of each would make 0.75.
	runs := []result.Run{
		run("a", 1, 200), run("b", 1, 100), run("a", 2, 30), run("b", 2, 20),
		run("a", 3, 150), run("b", 3, 200), run("a", 4, 1), // b failed
		{Scenario: "S2", Stack: "b", Round: 1, PerSec: 7},
	}
	if got := Ratio(runs, "S1", "a", "b"); got != 1.5 {
		t.Errorf("the ratio is %v", got)
	}
	if got := Ratio(runs, "S1", "a", "c"); got != 0 {
		t.Errorf("the ratio to nothing is %v", got)
	}
	if got := Median(Of(runs, "S1", "a"), PerSec); got != 90 {
		t.Errorf("the median is %v", got)
	}
}
