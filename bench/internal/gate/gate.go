// Package gate says whether teleport is still fast enough, as seen from the
// physical limit on the same machine in the same minute.
package gate

import (
	"fmt"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/report"
	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// Scenarios and Stacks are those that the gate needs, as for the flags.
const (
	Scenarios = "S2,S4,S6"
	Stacks    = "raw,tp,grpc"
)

// floors are the least shares of raw's calls per second.
var floors = []struct {
	scenario string
	least    float64
}{
	{"S2", 0.35},
	{"S4", 0.75},
	{"S6", 0.22},
}

// Judge returns the gate's line, and whether it is passed. A figure that is
// missing does not pass.
func Judge(runs []result.Run) (line string, ok bool) {
	var parts []string
	ok = true
	for _, f := range floors {
		tp := report.PerSec(runs, f.scenario, "tp")
		raw := tp.Over(report.PerSec(runs, f.scenario, "raw")).Spread().Median
		grpc := tp.Over(report.PerSec(runs, f.scenario, "grpc")).Spread().Median
		part := fmt.Sprintf("%s %.2f raw, %.1fx grpc", f.scenario, raw, grpc)
		if raw < f.least {
			part += fmt.Sprintf(" (below %.2f)", f.least)
			ok = false
		}
		parts = append(parts, part)
	}
	verdict := "ok"
	if !ok {
		verdict = "TOO SLOW"
	}
	return "bench-gate: " + strings.Join(parts, "; ") + ": " + verdict, ok
}
