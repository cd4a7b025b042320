// Package plan decides what runs when.
package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/process"
	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/usage"
)

// Plan is what is measured: in each round, in each scenario, all stacks one
// after the other, so that what disturbs the machine disturbs all of them. A
// scenario is measured with those of Stacks that it is meant for.
type Plan struct {
	Scenarios []scenario.Scenario
	Stacks    []string
	Rounds    int
	WarmUp    time.Duration
	Length    time.Duration // of the window
	// Deadline, if set, shortens the windows so that the last one ends before,
	// and leaves out rounds beyond the third that would not fit.
	Deadline time.Time
	Progress io.Writer
}

// job is one run.
type job struct {
	scenario scenario.Scenario
	stack    string
}

func (j job) name() string { return j.scenario.ID + " " + j.stack }

// jobs returns those of a round.
func (p *Plan) jobs(round int) (jobs []job) {
	for _, s := range p.Scenarios {
		if s.Rounds != 0 && round > s.Rounds {
			continue
		}
		for _, st := range p.Stacks {
			if slices.Contains(s.Stacks, st) {
				jobs = append(jobs, job{s, st})
			}
		}
	}
	return jobs
}

// Run measures. A run that fails is told to Progress and left out; the error
// says how many did. A scenario for which the system allows too few files is
// left out, and that is no failure.
func (p *Plan) Run() ([]result.Run, error) {
	p.leaveOutLarge()
	var all []job
	for round := 1; round <= p.Rounds; round++ {
		all = append(all, p.jobs(round)...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing to measure: %s", p.meant())
	}
	var runs []result.Run
	var failures []string
	clock := newClock(p.WarmUp)
	done := 0
	for round := 1; round <= p.Rounds; round++ {
		// One length for a whole round, since ratios are taken within it.
		length := p.length(all[done:], clock)
		jobs := p.jobs(round)
		if round > fewest && p.late(clock.all(jobs, length)) {
			fmt.Fprintf(p.Progress, "no time is left for round %d\n", round)
			break
		}
		for _, j := range jobs {
			fmt.Fprintf(p.Progress, "round %d: %s: %d of %d, takes %.1f s, %.0f s left\n", round, j.name(), done+1, len(all),
				clock.of(j, length).Seconds(), clock.all(all[done:], length).Seconds())
			done++
			begun := time.Now()
			run, err := process.Measure(j.stack, j.scenario, p.WarmUp, length)
			clock.took(j, length, time.Since(begun))
			if err != nil {
				failures = append(failures, j.name())
				fmt.Fprintf(p.Progress, "round %d: %s FAILED: %v\n", round, j.name(), err)
				continue
			}
			run.Round = round
			runs = append(runs, run)
		}
	}
	if len(failures) > 0 {
		return runs, fmt.Errorf("%d of %d runs failed: %s", len(failures), done, strings.Join(failures, ", "))
	}
	return runs, nil
}

// leaveOutLarge removes the scenarios that need more files than a process may
// open.
func (p *Plan) leaveOutLarge() {
	limit := usage.Files()
	if limit == 0 {
		return
	}
	p.Scenarios = slices.DeleteFunc(slices.Clone(p.Scenarios), func(s scenario.Scenario) bool {
		if s.Files() <= limit {
			return false
		}
		fmt.Fprintf(p.Progress, "%s is left out: it opens %d files in a process, and %d are allowed: see ulimit -n\n", s.ID, s.Files(), limit)
		return true
	})
}

// meant says which stacks the scenarios are for.
func (p *Plan) meant() string {
	var meant []string
	for _, s := range p.Scenarios {
		meant = append(meant, s.ID+" is for "+strings.Join(s.Stacks, ","))
	}
	return strings.Join(meant, "; ")
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

// length returns that of the windows when so much is left.
func (p *Plan) length(left []job, c *clock) time.Duration {
	if p.Deadline.IsZero() || len(left) == 0 {
		return p.Length
	}
	share := (time.Until(p.Deadline) - c.all(left, 0)) / time.Duration(len(left))
	return max(shortest, min(p.Length, share))
}
