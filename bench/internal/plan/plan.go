// Package plan decides what runs when.
package plan

import (
	"fmt"
	"io"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/process"
	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// startUp is about what a run takes beside its warm-up and its window: two
// processes start, connect and end.
const startUp = 150 * time.Millisecond

// Plan is what is measured: in each round, in each scenario, all stacks one
// after the other, so that what disturbs the machine disturbs all of them.
type Plan struct {
	Scenarios []scenario.Scenario
	Stacks    []stack.Stack
	Rounds    int
	WarmUp    time.Duration
	Length    time.Duration // of the window
	// Deadline, if set, shortens the windows so that the last one ends before,
	// and leaves out rounds beyond the third that would not fit.
	Deadline time.Time
	Progress io.Writer
}

// Run measures. A run that fails is told to Progress and left out; the error
// says how many did.
func (p *Plan) Run() ([]result.Run, error) {
	var runs []result.Run
	total := p.Rounds * len(p.Scenarios) * len(p.Stacks)
	done, failed := 0, 0
	for round := 1; round <= p.Rounds; round++ {
		// One length for a whole round, since ratios are taken within it.
		length := p.length(total - done)
		if round > fewest && p.late(time.Duration(total/p.Rounds)*(p.WarmUp+length+startUp)) {
			fmt.Fprintf(p.Progress, "no time is left for round %d\n", round)
			break
		}
		for _, s := range p.Scenarios {
			for _, st := range p.Stacks {
				done++
				took := p.WarmUp + length + startUp
				left := time.Duration(total-done+1) * took
				fmt.Fprintf(p.Progress, "round %d: %s %s: %d of %d, takes %.1f s, %.0f s left\n",
					round, s.ID, st.Name(), done, total, took.Seconds(), left.Seconds())
				run, err := process.Measure(st.Name(), s, p.WarmUp, length)
				if err != nil {
					failed++
					fmt.Fprintf(p.Progress, "round %d: %s %s FAILED: %v\n", round, s.ID, st.Name(), err)
					continue
				}
				run.Round = round
				runs = append(runs, run)
			}
		}
	}
	if failed > 0 {
		return runs, fmt.Errorf("%d of %d runs failed", failed, total)
	}
	return runs, nil
}

// fewest rounds make a median that one disturbed round does not move.
const fewest = 3

// late says whether what takes so long would end after the deadline.
func (p *Plan) late(takes time.Duration) bool {
	return !p.Deadline.IsZero() && time.Now().Add(takes).After(p.Deadline)
}

// shortest is the length below which a window says nothing, whatever the
// deadline.
const shortest = 100 * time.Millisecond

// length returns that of the windows when so many runs are left.
func (p *Plan) length(runs int) time.Duration {
	if p.Deadline.IsZero() {
		return p.Length
	}
	share := time.Until(p.Deadline)/time.Duration(runs) - p.WarmUp - startUp
	return max(shortest, min(p.Length, share))
}
