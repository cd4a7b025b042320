// Command bench compares teleport with the physical limit of a TCP connection
// and with other libraries. Server and client run in processes of their own, of
// the programs in stacks, which lie beside this one, and talk over the loopback.
// The Makefile builds all of them into .bin/bench, and runs:
//
//	bench                              # everything; prints a table and writes ../doc/performance.md
//	bench -scenarios S2,S6 -stacks raw,tp -rounds 5
//	bench -short                       # only proves that all works
//	bench -gate                        # fails when teleport became slow
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/gate"
	"github.com/henrylee2cn/teleport/bench/internal/machine"
	"github.com/henrylee2cn/teleport/bench/internal/plan"
	"github.com/henrylee2cn/teleport/bench/internal/process"
	"github.com/henrylee2cn/teleport/bench/internal/report"
	"github.com/henrylee2cn/teleport/bench/internal/result"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures, prints and writes.
func run() error {
	f, err := parseFlags()
	if err != nil {
		return err
	}
	p, err := f.plan()
	if err != nil {
		return err
	}
	programs, err := programs(p.Stacks)
	if err != nil {
		return err
	}
	r := machine.Describe(programs)
	r.Rounds, r.SecondsPerRun = p.Rounds, p.Length.Seconds()
	runs, failed := p.Run()
	r.Runs = runs
	fmt.Printf("%s, %d cores, %s, %s\n\n", r.CPU, r.Cores, r.OS, r.Go)
	report.Text(os.Stdout, r)
	// What was measured is kept even if a part failed: it took long.
	if err := errors.Join(failed, f.write(r)); err != nil {
		return err
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

// flags are those of the command line.
type flags struct {
	scenarios, stacks string
	rounds            int
	seconds           float64
	short, gate       bool
	within            time.Duration
	json, out         string
}

func parseFlags() (f flags, err error) {
	flag.StringVar(&f.scenarios, "scenarios", "", "which `ids`, with commas (default all)")
	flag.StringVar(&f.stacks, "stacks", "", "which `names`, with commas (default all)")
	flag.IntVar(&f.rounds, "rounds", 5, "how often each is measured")
	flag.Float64Var(&f.seconds, "seconds", 1, "how long each is measured")
	flag.BoolVar(&f.short, "short", false, "one round, too short to measure: it proves that all works")
	flag.BoolVar(&f.gate, "gate", false, "measure "+gate.Scenarios+" of "+gate.Stacks+" and fail below the floors")
	flag.DurationVar(&f.within, "within", 0, "shorten what is measured so that all ends in this `time`")
	flag.StringVar(&f.json, "json", "", "write all results to a `file`")
	flag.StringVar(&f.out, "out", "../doc", "write the report into a `folder`; by default only when everything is measured")
	flag.Parse()
	if flag.NArg() > 0 {
		return f, fmt.Errorf("it takes flags only, not %q: see -help", flag.Args())
	}
	outSet := false
	flag.Visit(func(set *flag.Flag) { outSet = outSet || set.Name == "out" })
	if !outSet && (f.scenarios != "" || f.stacks != "" || f.short || f.gate) {
		f.out = "" // a part of the figures must not replace all of them
	}
	if outSet && (f.short || f.gate) {
		return f, errors.New("-out goes with neither -short nor -gate: they do not measure what a report says")
	}
	if f.out != "" {
		if _, err := os.Stat(f.out); err != nil {
			return f, fmt.Errorf("-out: %w", err) // now, not in a quarter of an hour
		}
	}
	if f.short {
		f.rounds, f.seconds = 1, 0.1
	}
	if f.gate {
		f.scenarios, f.stacks = gate.Scenarios, gate.Stacks
		f.rounds, f.seconds = 8, 0.4
	}
	return f, nil
}

func (f flags) plan() (*plan.Plan, error) {
	scenarios, err := scenario.Pick(f.scenarios)
	if err != nil {
		return nil, err
	}
	stacks, err := scenario.PickStacks(f.stacks)
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
	switch {
	case f.short:
		p.WarmUp = 50 * time.Millisecond
		p.Scenarios = nil
		for _, s := range scenarios {
			p.Scenarios = append(p.Scenarios, s.Short())
		}
	case f.gate:
		p.WarmUp = 100 * time.Millisecond
	}
	if f.within != 0 {
		p.Deadline = time.Now().Add(f.within)
	}
	return p, nil
}

// programs returns those that have the stacks.
func programs(stacks []string) (paths []string, err error) {
	for _, name := range stacks {
		path, err := process.Program(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// write writes the files that are wanted. The short form writes the report too,
// into a folder that it removes, to prove that it can be written.
func (f flags) write(r *result.Report) error {
	if f.json != "" {
		b, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	out := f.out
	if out == "" && f.short {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		out = dir
	}
	if out == "" {
		return nil
	}
	if err := report.Write(out, r); err != nil {
		return err
	}
	if out == f.out {
		fmt.Fprintln(os.Stderr, "the report is", filepath.Join(out, "performance.md"))
	}
	return nil
}
