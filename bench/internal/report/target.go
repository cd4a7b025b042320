package report

import (
	"math"
	"strconv"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// target is a figure that is to be reached. Of its bounds those that are 0 do
// not exist.
type target struct {
	what   string
	gate   float64 // under it, `make bench-gate` fails
	must   float64
	goal   float64
	atMost bool // the bounds are upper ones
	whole  bool // a number of bytes; otherwise three decimals count
	figure func([]result.Run) Series
}

// throughput is the target of a ratio of calls a second.
func throughput(scenario, stack, base string, gate, must, goal float64) target {
	return target{
		what: scenario + ": " + stack + " / " + base,
		gate: gate, must: must, goal: goal,
		figure: func(runs []result.Run) Series {
			return PerSec(runs, scenario, stack).Over(PerSec(runs, scenario, base))
		},
	}
}

const idleTarget = "S7: heap and stack of an idle session, bytes, the larger side"

// targets are the figures that the library is judged by.
var targets = []target{
	throughput("S1", "tp", "raw", 0, 0.81, 0.90),
	throughput("S2", "tp", "raw", 0.35, 0.38, 0.45),
	throughput("S3", "tp", "raw", 0, 0.08, 0.18),
	throughput("S4", "tp", "raw", 0.75, 0.75, 0.85),
	throughput("S5", "tp", "raw", 0, 0.77, 0.88),
	throughput("S5b", "tp", "raw", 0, 0.77, 0.88),
	throughput("S6", "tp", "raw", 0.22, 0.26, 0.35),
	throughput("P2-S2", "tp", "raw", 0, 0.53, 0.60),
	throughput("P2-S6", "tp", "raw", 0, 0.62, 0.70),
	throughput("S9", "tp", "raw", 0, 0.51, 0.85),
	throughput("S2", "tp", "grpc", 0, 9, 0),
	throughput("S4", "tp", "grpc", 0, 3.3, 0),
	throughput("S6", "tp", "grpc", 0, 10, 0),
	throughput("S2", "tp-controller", "tp", 0, 0.85, 0),
	throughput("S2", "tp-plugins", "tp", 0, 0.97, 0),
	throughput("S2", "tp-inline", "tp", 0, 1.2, 0),
	throughput("S8", "tp", "nats", 0, 2, 0),
	{
		what: "S2: allocations a call, both sides together", must: 6, atMost: true,
		figure: func(runs []result.Run) Series { return seriesOf(runs, "S2", "tp", bothAllocs) },
	},
	{
		what: idleTarget, must: 3800, atMost: true, whole: true,
		figure: func(runs []result.Run) Series { return seriesOf(runs, "S7", "tp", largerSession) },
	},
}

// reached returns the median, rounded to the worse side: no figure is to pass,
// or to look better, by being written shorter.
func (t *target) reached(runs []result.Run) (float64, bool) {
	sp := t.figure(runs).Spread()
	scale := 1000.0
	if t.whole {
		scale = 1
	}
	const exact = 1e-9 // 0.45 * 1000 may be a little less than 450
	v := math.Floor(sp.Median*scale + exact)
	if t.atMost {
		v = math.Ceil(sp.Median*scale - exact)
	}
	return v / scale, sp.N > 0
}

// verdict says how far a figure gets.
func (t *target) verdict(v float64) string {
	meets := func(bound float64) bool {
		if t.atMost {
			return v <= bound
		}
		return v >= bound
	}
	switch {
	case t.goal != 0 && meets(t.goal):
		return "goal"
	case meets(t.must):
		return "must"
	case t.gate != 0 && !meets(t.gate):
		return "**below the gate**"
	case t.atMost:
		return "**above**"
	}
	return "**below**"
}

// targetTable holds each target that was measured, and names the others.
func targetTable(runs []result.Run) (t *table, missing []string) {
	t = &table{labels: 1, head: []string{"", "gate", "must", "goal", "reached", "", "rounds"}}
	for i := range targets {
		target := &targets[i]
		v, ok := target.reached(runs)
		if !ok {
			missing = append(missing, target.what)
			continue
		}
		t.add(target.what, target.bound(target.gate), target.bound(target.must), target.bound(target.goal),
			target.write(v), target.verdict(v), strconv.Itoa(len(target.figure(runs))))
	}
	return t, missing
}

// bound writes a bound of the target, or nothing when it does not exist.
func (t *target) bound(v float64) string {
	switch {
	case v == 0:
		return ""
	case t.whole:
		return "≤ " + group(v)
	case t.atMost:
		return "≤ " + strconv.FormatFloat(v, 'f', -1, 64)
	case v < 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// write writes what reached returned.
func (t *target) write(v float64) string {
	if t.whole {
		return group(v)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
