package plan

import (
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// clock tells how long runs take: beside the window as long as they took the
// last time, and before that as long as connections usually take.
type clock struct {
	warmUp time.Duration
	beside map[string]time.Duration
}

func newClock(warmUp time.Duration) *clock {
	return &clock{warmUp, map[string]time.Duration{}}
}

const (
	// startUp is about what two processes take to start and to end.
	startUp = 100 * time.Millisecond
	// perConn is about what a connection takes to be made.
	perConn = 200 * time.Microsecond
)

// of returns how long a job takes with such a window.
func (c *clock) of(j job, window time.Duration) time.Duration {
	if j.scenario.Kind == scenario.Idle {
		window = 0
	}
	beside, ok := c.beside[j.name()]
	if !ok {
		beside = c.warmUp + startUp + time.Duration(j.scenario.Conns+j.scenario.Idle)*perConn
	}
	return beside + window
}

// all returns how long jobs take.
func (c *clock) all(jobs []job, window time.Duration) (sum time.Duration) {
	for _, j := range jobs {
		sum += c.of(j, window)
	}
	return sum
}

// took keeps how long a job with such a window took.
func (c *clock) took(j job, window, all time.Duration) {
	if j.scenario.Kind == scenario.Idle {
		window = 0
	}
	c.beside[j.name()] = max(all-window, 0)
}
