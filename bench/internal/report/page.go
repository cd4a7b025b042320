package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// generatedPart returns what is between the marks of doc/performance.md.
func generatedPart(r *result.Report, charts []chart) string {
	var b strings.Builder
	b.WriteString("<!-- `make bench-table` writes from here to the end mark: do not edit. -->\n\n")
	writeSetting(&b, r)
	writeTargets(&b, r.Runs)
	writeThroughput(&b, r.Runs, charts)
	writeVariants(&b, r.Runs)
	writeLatency(&b, r.Runs, charts)
	writeCost(&b, r.Runs)
	writeIdle(&b, r.Runs, charts)
	writeBroadcast(&b, r.Runs, charts)
	writeGrowing(&b, r.Runs)
	return b.String()
}

// section writes a heading with what is below it, or nothing when there is
// nothing to say.
func section(b *strings.Builder, heading, intro string, charts []chart, t *table) {
	t = t.tidy()
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n\n", heading)
	if intro != "" {
		fmt.Fprintf(b, "%s\n\n", intro)
	}
	for _, c := range charts {
		if c.svg != "" {
			fmt.Fprintf(b, "![%s](performance/%s)\n\n", c.title, c.file)
		}
	}
	t.markdown(b)
}

func writeTargets(b *strings.Builder, runs []result.Run) {
	t, missing := targetTable(runs)
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprint(b, "## Goals\n\n"+`What is to be reached, and what is. "goal" and "must": so much is reached; where no
goal is set, "must" is all. "below" and "above": it is not. Under the gate,
`+"`make bench-gate`"+` fails. Figures are rounded to the worse side.

`)
	t.markdown(b)
	if len(missing) > 0 {
		fmt.Fprintf(b, "Not measured in this run: %s.\n\n", strings.Join(missing, "; "))
	}
}

// matrix has a row for each scenario and a column for each stack that has the
// figure there.
func matrix(runs []result.Run, ids, stacks []string, cell func(id, stack string) string) *table {
	t := &table{labels: 1, head: append([]string{""}, stacks...)}
	for _, id := range ids {
		row := []string{id}
		for _, stack := range stacks {
			row = append(row, cell(id, stack))
		}
		t.add(row...)
	}
	return t
}

// compared returns the scenarios and stacks that are set against each other.
func compared(runs []result.Run) (ids, stacks []string) {
	ids = scenariosIn(runs, isCalls)
	return ids, slices.DeleteFunc(stacksIn(runs, ids, perSec), isVariant)
}

func writeThroughput(b *strings.Builder, runs []result.Run, charts []chart) {
	ids, stacks := compared(runs)
	section(b, "## Throughput", "Thousand calls a second: median (slowest..fastest round).", named(charts, "throughput", "protobuf"),
		matrix(runs, ids, stacks, func(id, stack string) string {
			return medianSpread(PerSec(runs, id, stack), thousands)
		}))
	for _, base := range []string{"raw", "grpc"} {
		section(b, "### As a multiple of "+base, "", nil, matrix(runs, ids, stacks, func(id, stack string) string {
			return median(PerSec(runs, id, stack).Over(PerSec(runs, id, base)), times)
		}))
	}
}

func writeVariants(b *strings.Builder, runs []result.Run) {
	ids := scenariosIn(runs, isCalls)
	section(b, "### Variants of tp", "Thousand calls a second (as a multiple of tp).", nil,
		matrix(runs, ids, variants, func(id, stack string) string {
			calls := PerSec(runs, id, stack)
			if ratio := calls.Over(PerSec(runs, id, "tp")); len(ratio) > 0 {
				return median(calls, thousands) + " (" + median(ratio, times) + ")"
			}
			return median(calls, thousands)
		}))
}

func writeLatency(b *strings.Builder, runs []result.Run, charts []chart) {
	ids, stacks := compared(runs)
	section(b, "## Latency", "Microseconds from call to reply: half of the calls / 99 % / 99.9 % took no longer.", named(charts, "latency"),
		matrix(runs, ids, stacks, several(runs, " / ", digits, p50, p99, p999)))
}

func writeCost(b *strings.Builder, runs []result.Run) {
	ids, stacks := compared(runs)
	section(b, "## Cost of a call", "CPU seconds of both processes for a million calls.", nil,
		matrix(runs, ids, stacks, several(runs, "", digits, cpu)))
	section(b, "### Allocations", "A call: client + server.", nil,
		matrix(runs, ids, stacks, several(runs, " + ", few, clientAllocs, serverAllocs)))
	section(b, "### Bytes allocated", "A call: client + server.", nil,
		matrix(runs, ids, stacks, several(runs, " + ", group, clientBytes, serverBytes)))
	section(b, "### Memory", "RSS at the end of the run, MiB: client + server.", nil,
		matrix(runs, ids, stacks, several(runs, " + ", mebibytes, clientRSS, serverRSS)))
}

// several returns what writes the medians of some figures into a cell.
func several(runs []result.Run, between string, write func(float64) string, figures ...figure) func(id, stack string) string {
	return func(id, stack string) string {
		var parts []string
		found := false
		for _, f := range figures {
			part := median(seriesOf(runs, id, stack, f), write)
			found = found || part != none
			parts = append(parts, part)
		}
		if !found {
			return none
		}
		return strings.Join(parts, between)
	}
}

// idleTable holds the bytes of an idle session by stack, without the stacks
// that did not measure them.
func idleTable(runs []result.Run) *table {
	t := &table{labels: 1, head: []string{"stack", "server heap+stack", "client heap+stack", "server RSS"}}
	for _, stack := range stacksIn(runs, []string{"S7"}, anyFigure) {
		of := func(f figure) string { return median(seriesOf(runs, "S7", stack, f), group) }
		t.add(stack, of(serverSession), of(clientSession), of(serverSessionRSS))
	}
	return t.tidy()
}

func writeIdle(b *strings.Builder, runs []result.Run, charts []chart) {
	section(b, "## Idle sessions", "S7, "+what(scenarios, "S7")+" of which each did one exchange: bytes a session.",
		named(charts, "memory"), idleTable(runs))
}

func writeBroadcast(b *strings.Builder, runs []result.Run, charts []chart) {
	t := &table{labels: 1, head: []string{"stack", "thousand messages/s", "min..max", "x nats", "CPU s a million"}}
	for _, stack := range stacksIn(runs, []string{"S8"}, perSec) {
		sent := PerSec(runs, "S8", stack)
		t.add(stack, median(sent, thousands), spread(sent, thousands),
			median(sent.Over(PerSec(runs, "S8", "nats")), times), median(seriesOf(runs, "S8", stack, cpu), digits))
	}
	section(b, "## Broadcast", "S8, "+what(scenarios, "S8")+": messages that arrived.", named(charts, "broadcast"), t)
}
