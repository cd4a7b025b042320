// Package summary makes one figure of those of several rounds.
package summary

import (
	"slices"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// Of returns the runs of a stack in a scenario.
func Of(runs []result.Run, scenario, stack string) []result.Run {
	var of []result.Run
	for _, r := range runs {
		if r.Scenario == scenario && r.Stack == stack {
			of = append(of, r)
		}
	}
	return of
}

// Median returns the median of a figure of the runs, and 0 without runs.
func Median(runs []result.Run, figure func(result.Run) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = figure(r)
	}
	return median(values)
}

// PerSec is the figure that is compared.
func PerSec(r result.Run) float64 { return r.PerSec }

// Ratio returns how many times as many calls a stack makes in a second as
// another does: the median of the ratios within each round, for what disturbs
// the machine disturbs a round. It is 0 when they share no round.
func Ratio(runs []result.Run, scenario, stack, to string) float64 {
	var ratios []float64
	for _, r := range Of(runs, scenario, stack) {
		for _, other := range Of(runs, scenario, to) {
			if other.Round == r.Round && other.PerSec > 0 {
				ratios = append(ratios, r.PerSec/other.PerSec)
			}
		}
	}
	return median(ratios)
}

func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
