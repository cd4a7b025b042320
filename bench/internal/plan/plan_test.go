package plan

import (
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

func TestJobs(t *testing.T) {
	p := &Plan{
		Scenarios: []scenario.Scenario{{ID: "A", Stacks: []string{"tp", "raw", "grpc"}}, {ID: "B", Stacks: []string{"tp"}, Rounds: 1}},
		Stacks:    []string{"raw", "tp"},
	}
	for round, want := range map[int]string{1: "A raw A tp B tp ", 2: "A raw A tp "} {
		got := ""
		for _, j := range p.jobs(round) {
			got += j.name() + " "
		}
		if got != want {
			t.Errorf("round %d: got %q, want %q", round, got, want)
		}
	}
}

func TestClockLearns(t *testing.T) {
	c := newClock(300 * time.Millisecond)
	j := job{scenario.Scenario{ID: "A", Conns: 1000}, "tp"}
	if got, want := c.of(j, time.Second), 1600*time.Millisecond; got != want {
		t.Errorf("first: got %v, want %v", got, want)
	}
	c.took(j, time.Second, 3*time.Second)
	if got, want := c.all([]job{j, j}, time.Second/2), 5*time.Second; got != want {
		t.Errorf("then: got %v, want %v", got, want)
	}
}

func TestEachScenarioHasItsStacks(t *testing.T) {
	for _, s := range scenario.All() {
		if len(s.Stacks) == 0 {
			t.Errorf("%s is for no stack", s.ID)
		}
		for _, name := range s.Stacks {
			if _, err := scenario.PickStacks(name); err != nil {
				t.Errorf("%s: %v", s.ID, err)
			}
		}
	}
}
