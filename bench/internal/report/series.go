package report

import (
	"math"
	"slices"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// Series is one figure of one stack in one scenario, by round.
type Series map[int]float64

// PerSec returns the calls a second of a stack in a scenario. Rounds without
// such a run, or in which nothing was called, are not in it.
func PerSec(runs []result.Run, scenario, stack string) Series {
	return seriesOf(runs, scenario, stack, perSec)
}

// seriesOf collects a figure, without what is no number. When a round has the
// same run twice, the later one counts.
func seriesOf(runs []result.Run, scenario, stack string, figure figure) Series {
	s := Series{}
	for i := range runs {
		if r := &runs[i]; r.Scenario == scenario && r.Stack == stack {
			if v := figure(r); !math.IsNaN(v) && !math.IsInf(v, 0) {
				s[r.Round] = v
			}
		}
	}
	return s
}

// Over divides a series by another within each round that both have.
func (s Series) Over(base Series) Series {
	ratios := Series{}
	for round, v := range s {
		if b, ok := base[round]; ok && b != 0 {
			ratios[round] = v / b
		}
	}
	return ratios
}

// Spread is what a series comes to. With N 0 the others mean nothing.
type Spread struct {
	Median, Min, Max float64
	N                int // rounds
}

// Spread returns the median over the rounds, the mean of the middle two when
// they are even in number, and the extremes.
func (s Series) Spread() Spread {
	if len(s) == 0 {
		return Spread{}
	}
	values := make([]float64, 0, len(s))
	for _, v := range s {
		values = append(values, v)
	}
	slices.Sort(values)
	n := len(values)
	return Spread{
		Median: (values[(n-1)/2] + values[n/2]) / 2,
		Min:    values[0],
		Max:    values[n-1],
		N:      n,
	}
}
