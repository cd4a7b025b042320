package report

import (
	"math"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// figure is what is read off a run; NaN when the run did not measure it.
type figure func(*result.Run) float64

// measured makes NaN of a zero, for figures that cannot be zero.
func measured(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

func perSec(r *result.Run) float64 { return measured(r.PerSec) }
func p50(r *result.Run) float64    { return measured(r.P50) }
func p99(r *result.Run) float64    { return measured(r.P99) }
func p999(r *result.Run) float64   { return measured(r.P999) }
func cpu(r *result.Run) float64    { return measured(r.CPU) }

func clientRSS(r *result.Run) float64 { return measured(float64(r.ClientRSS)) }
func serverRSS(r *result.Run) float64 { return measured(float64(r.ServerRSS)) }

// No allocations are a figure too, of runs that called at all.

func clientAllocs(r *result.Run) float64 { return ofCalls(r, r.ClientAllocs) }
func serverAllocs(r *result.Run) float64 { return ofCalls(r, r.ServerAllocs) }
func clientBytes(r *result.Run) float64  { return ofCalls(r, r.ClientBytes) }
func serverBytes(r *result.Run) float64  { return ofCalls(r, r.ServerBytes) }
func bothAllocs(r *result.Run) float64   { return ofCalls(r, r.ClientAllocs+r.ServerAllocs) }

func ofCalls(r *result.Run, v float64) float64 {
	if r.PerSec <= 0 {
		return math.NaN()
	}
	return v
}

func clientSession(r *result.Run) float64    { return measured(r.ClientSession) }
func serverSession(r *result.Run) float64    { return measured(r.ServerSession) }
func serverSessionRSS(r *result.Run) float64 { return measured(r.ServerSessionRSS) }

// largerSession needs both sides: one alone could be the smaller one.
func largerSession(r *result.Run) float64 {
	return max(clientSession(r), serverSession(r))
}
