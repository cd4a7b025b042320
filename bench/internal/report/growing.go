package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// writeGrowing writes a table for each kind of growth.
func writeGrowing(b *strings.Builder, runs []result.Run) {
	var tables strings.Builder
	for _, g := range growing {
		section(&tables, "### "+strings.ToUpper(g.what[:1])+g.what[1:], "", nil, growingTable(runs, g))
	}
	if tables.Len() > 0 {
		fmt.Fprint(b, `## What must not grow

S2 with more and more of something that its calls do not use, and on more
processors. "x first" is the multiple of the first line of the stack.

`, tables.String())
	}
}

// growingTable holds one kind of growth: for each stack a line for each count.
func growingTable(runs []result.Run, g entry) *table {
	t := &table{labels: 1, head: []string{"stack", g.what, "thousand calls/s", "min..max", "x first", "x raw", "p99 µs"}}
	number := func(id string) float64 {
		n, _ := strconv.ParseFloat(strings.TrimPrefix(id, g.id), 64)
		return n
	}
	ids := scenariosIn(runs, func(id string) bool { return strings.HasPrefix(id, g.id) })
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	for _, stack := range stacksIn(runs, ids, perSec) {
		label := stack
		var first Series
		for _, id := range ids {
			calls := PerSec(runs, id, stack)
			if len(calls) == 0 {
				continue
			}
			if first == nil {
				first = calls
			}
			t.add(label, group(number(id)), median(calls, thousands), spread(calls, thousands),
				median(calls.Over(first), times), median(calls.Over(PerSec(runs, id, "raw")), times),
				median(seriesOf(runs, id, stack, p99), digits))
			label = ""
		}
	}
	return t
}
