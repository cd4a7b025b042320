package gate

import (
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

func TestJudge(t *testing.T) {
	runs := func(s2 float64) (all []result.Run) {
		for scenario, perSec := range map[string]float64{"S2": s2, "S4": 80, "S6": 25} {
			for stack, n := range map[string]float64{"raw": 100, "tp": perSec, "grpc": 10} {
				all = append(all, result.Run{Scenario: scenario, Stack: stack, Round: 1, PerSec: n})
			}
		}
		return all
	}
	for _, test := range []struct {
		runs []result.Run
		line string
		ok   bool
	}{
		{runs(46), "bench-gate: S2 0.46 raw, 4.6x grpc; S4 0.80 raw, 8.0x grpc; S6 0.25 raw, 2.5x grpc: ok", true},
		{runs(30), "bench-gate: S2 0.30 raw, 3.0x grpc (below 0.35); S4 0.80 raw, 8.0x grpc; S6 0.25 raw, 2.5x grpc: TOO SLOW", false},
		{nil, "bench-gate: S2 0.00 raw, 0.0x grpc (below 0.35); S4 0.00 raw, 0.0x grpc (below 0.75); S6 0.00 raw, 0.0x grpc (below 0.22): TOO SLOW", false},
	} {
		if line, ok := Judge(test.runs); line != test.line || ok != test.ok {
			t.Errorf("got %v, %s\nwant %v, %s", ok, line, test.ok, test.line)
		}
	}
}
