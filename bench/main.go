// Command bench compares teleport with the physical limit of a TCP connection
// and with other libraries. Server and client run in processes of their own,
// which are this program started again, and talk over the loopback.
//
//	go run .                           # everything; prints a table
//	go run . -scenarios S2,S6 -stacks raw,tp -rounds 5
//	go run . -short                    # only proves that all works
//	go run . -gate                     # fails when teleport became slow
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/gate"
	"github.com/henrylee2cn/teleport/bench/internal/machine"
	"github.com/henrylee2cn/teleport/bench/internal/plan"
	"github.com/henrylee2cn/teleport/bench/internal/process"
	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
	"github.com/henrylee2cn/teleport/bench/internal/table"
)

func main() {
	run := parent
	if len(os.Args) == 2 && process.IsRole(os.Args[1]) {
		run = process.Child
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// flags are those of the command line.
type flags struct {
	scenarios, stacks string
	rounds            int
	seconds           float64
	short, gate       bool
	within            time.Duration
	json              string
}

func parseFlags() flags {
	var f flags
	flag.StringVar(&f.scenarios, "scenarios", "", "which `ids`, with commas (default all)")
	flag.StringVar(&f.stacks, "stacks", "", "which `names`, with commas (default all)")
	flag.IntVar(&f.rounds, "rounds", 5, "how often each is measured")
	flag.Float64Var(&f.seconds, "seconds", 2, "how long each is measured")
	flag.BoolVar(&f.short, "short", false, "one round, too short to measure: it proves that all works")
	flag.BoolVar(&f.gate, "gate", false, "measure "+gate.Scenarios+" of "+gate.Stacks+" and fail below the floors")
	flag.DurationVar(&f.within, "within", 0, "shorten what is measured so that all ends in this `time`")
	flag.StringVar(&f.json, "json", "", "write all results to a `file`")
	flag.Parse()
	if f.short {
		f.rounds, f.seconds = 1, 0.1
	}
	if f.gate {
		f.scenarios, f.stacks = gate.Scenarios, gate.Stacks
		f.rounds, f.seconds = 5, 0.4
	}
	return f
}

// parent measures and prints.
func parent() error {
	f := parseFlags()
	if flag.NArg() > 0 {
		return fmt.Errorf("it takes flags only, not %q: see -help", flag.Args())
	}
	p, err := f.plan()
	if err != nil {
		return err
	}
	report := machine.Describe()
	report.Rounds, report.SecondsPerRun = p.Rounds, p.Length.Seconds()
	runs, failed := p.Run()
	report.Runs = runs
	if err := table.Write(os.Stdout, report); err != nil {
		return err
	}
	if f.json != "" {
		if err := writeJSON(f.json, report); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	if f.gate {
		line, ok := gate.Judge(runs)
		fmt.Println(line)
		if !ok {
			os.Exit(1) // the line says why
		}
	}
	return nil
}

func (f flags) plan() (*plan.Plan, error) {
	scenarios, err := scenario.Pick(f.scenarios)
	if err != nil {
		return nil, err
	}
	stacks, err := stack.Pick(f.stacks)
	if err != nil {
		return nil, err
	}
	p := &plan.Plan{
		Scenarios: scenarios,
		Stacks:    stacks,
		Rounds:    f.rounds,
		WarmUp:    300 * time.Millisecond,
		Length:    time.Duration(f.seconds * float64(time.Second)),
		Progress:  os.Stderr,
	}
	if f.short {
		p.WarmUp = 50 * time.Millisecond
	}
	if f.within != 0 {
		p.Deadline = time.Now().Add(f.within)
	}
	return p, nil
}

func writeJSON(name string, r *result.Report) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}
