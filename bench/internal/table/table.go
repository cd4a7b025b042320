// Package table prints results as plain text.
package table

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/summary"
)

// Write prints the medians over the rounds of a report.
func Write(out io.Writer, r *result.Report) error {
	fmt.Fprintf(out, "%s, %d cores, %s, %s; %d rounds of %.2f s\n\n", r.CPU, r.Cores, r.OS, r.Go, r.Rounds, r.SecondsPerRun)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var stacks []string
	for _, run := range r.Runs {
		if !slices.Contains(stacks, run.Stack) {
			stacks = append(stacks, run.Stack)
		}
	}
	for _, s := range scenario.All() {
		header := false
		for _, stack := range stacks {
			runs := summary.Of(r.Runs, s.ID, stack)
			if len(runs) == 0 {
				continue
			}
			if !header {
				header = true
				if err := w.Flush(); err != nil {
					return err
				}
				fmt.Fprintf(out, "\n%s: %s\n", s.ID, s.Title)
				fmt.Fprintln(w, "stack\tcalls/s\tmin..max\tx raw\tx grpc\tp50 µs\tp99 µs\tp999 µs\tCPU s/M\tallocs c\ts\tbytes c\ts\tRSS MB c\ts\t")
			}
			row(w, r.Runs, runs)
		}
	}
	return w.Flush()
}

// row prints a line of runs, which are those of all that one stack did in one
// scenario.
func row(w io.Writer, all, runs []result.Run) {
	scenario, stack := runs[0].Scenario, runs[0].Stack
	of := func(figure func(result.Run) float64) float64 { return summary.Median(runs, figure) }
	least, most := runs[0].PerSec, runs[0].PerSec
	for _, r := range runs {
		least, most = min(least, r.PerSec), max(most, r.PerSec)
	}
	fmt.Fprintf(w, "%s\t%.0f\t%.0f..%.0f\t%.2f\t%.2f\t", stack, of(summary.PerSec), least, most,
		summary.Ratio(all, scenario, stack, "raw"), summary.Ratio(all, scenario, stack, "grpc"))
	fmt.Fprintf(w, "%.1f\t%.1f\t%.1f\t%.2f\t",
		of(func(r result.Run) float64 { return r.P50 }),
		of(func(r result.Run) float64 { return r.P99 }),
		of(func(r result.Run) float64 { return r.P999 }),
		of(func(r result.Run) float64 { return r.CPU }))
	fmt.Fprintf(w, "%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t\n",
		of(func(r result.Run) float64 { return r.ClientAllocs }),
		of(func(r result.Run) float64 { return r.ServerAllocs }),
		of(func(r result.Run) float64 { return r.ClientBytes }),
		of(func(r result.Run) float64 { return r.ServerBytes }),
		of(func(r result.Run) float64 { return float64(r.ClientRSS) / (1 << 20) }),
		of(func(r result.Run) float64 { return float64(r.ServerRSS) / (1 << 20) }))
}
