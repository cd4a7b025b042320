package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// writeSetting says what was measured, where, and how to do it again.
func writeSetting(b *strings.Builder, r *result.Report) {
	fmt.Fprint(b, "## The run\n\n")
	t := &table{labels: 2, head: []string{"", ""}}
	row := func(name, value string) {
		if value != "" {
			t.add(name, value)
		}
	}
	date := r.Date
	if at, err := time.Parse(time.RFC3339, date); err == nil {
		date = at.Format(time.DateOnly)
	}
	row("date", date)
	row("processor", r.CPU)
	if r.Cores > 0 {
		row("cores", strconv.Itoa(r.Cores))
	}
	row("system", r.OS)
	row("Go", r.Go)
	if r.Rounds > 0 {
		row("rounds", strconv.Itoa(r.Rounds)+", fewer where connections are made by the thousand")
	}
	if r.SecondsPerRun > 0 {
		row("seconds a run", strconv.FormatFloat(r.SecondsPerRun, 'g', 3, 64))
	}
	for _, module := range slices.Sorted(maps.Keys(r.Versions)) {
		row(module, r.Versions[module])
	}
	t.markdown(b)
	fmt.Fprint(b, `To measure again: `+"`make bench-table`"+`, which rewrites this part of the page, the
charts and [the figures of each run](performance/data.json).

Server and client are two processes on one machine, which talk TCP over
loopback. In each round every scenario visits all stacks one after the other,
each with processes of its own. What is shown is the median of the rounds; ratios
are taken within a round, and of them the median. Expect absolute figures to
differ from machine to machine, and ratios less so.

`)
	used := scenariosIn(r.Runs, func(id string) bool { return isCalls(id) })
	known := &table{labels: 2, head: []string{"scenario", ""}}
	for _, id := range used {
		if w := what(scenarios, id); w != "" {
			known.add(id, w)
		}
	}
	if len(known.rows) > 0 {
		fmt.Fprint(b, `A caller calls, waits for the reply and calls again. Where nothing else is said,
581 bytes travel each way; the protobuf message has about 30 fields and encodes
to 581 bytes too.

`)
		known.markdown(b)
	}
	known = &table{labels: 2, head: []string{"stack", ""}}
	for _, id := range stacksIn(r.Runs, scenariosIn(r.Runs, func(string) bool { return true }), anyFigure) {
		if w := what(stacks, id); w != "" {
			known.add(id, w)
		}
	}
	if len(known.rows) > 0 {
		known.markdown(b)
	}
}

func anyFigure(*result.Run) float64 { return 1 }
