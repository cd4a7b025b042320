package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// entry is a scenario or a stack, and what it is.
type entry struct{ id, what string }

// scenarios are those of the bench, in the order of the tables. One that is not
// here is shown after them, by its id.
var scenarios = []entry{
	{"S1", "1 connection, 1 caller"},
	{"S2", "1 connection, 100 callers"},
	{"S3", "1 connection, 1,000 callers"},
	{"S4", "100 connections, 1 caller each"},
	{"S5", "1,000 connections, 1 caller each"},
	{"S5b", "5,000 connections, 1 caller each"},
	{"S6", "16 connections, 64 callers each"},
	{"P2-S1", "S1 with a protobuf message"},
	{"P2-S2", "S2 with a protobuf message"},
	{"P2-S4", "S4 with a protobuf message"},
	{"P2-S6", "S6 with a protobuf message"},
	{"S9", "1 MiB each way, 1 connection, 8 callers"},
	{"S10", "S2 with a JSON object of about 1 KB; raw with encoding/json"},
	{"S7", "10,000 idle sessions"},
	{"S8", "one push of 128 bytes to 5,000 clients, over and over"},
	{"S2-idle-0", "S2, no other session"},
	{"S2-idle-1000", "S2 beside 1,000 idle sessions"},
	{"S2-idle-10000", "S2 beside 10,000 idle sessions"},
	{"S2-routes-10", "S2 with 10 routes"},
	{"S2-routes-1000", "S2 with 1,000 routes"},
	{"S2-routes-10000", "S2 with 10,000 routes"},
	{"S2-procs-1", "S2 with GOMAXPROCS 1"},
	{"S2-procs-2", "S2 with GOMAXPROCS 2"},
	{"S2-procs-4", "S2 with GOMAXPROCS 4"},
}

// stacks are those of the bench, in the order of the tables.
var stacks = []entry{
	{"raw", "what the machine can do: frames of length, number and payload, read and written in batches; no codec and no goroutine a call (with protobuf, its fastest use)"},
	{"raw-worker", "raw, whose server hands each frame to another goroutine, which sends the reply: what is left of raw when a handler may block"},
	{"tp", "this library, typed handlers (`RegPull`)"},
	{"tp-controller", "the same with the method of a controller, called by reflection"},
	{"tp-inline", "typed, in the goroutine that reads (`DispatchInline`)"},
	{"tp-plugins", "typed, with three plugins of four hooks each on either side"},
	{"grpc", "google.golang.org/grpc, unary, without TLS"},
	{"drpc", "storj.io/drpc; a connection carries one call at a time, so that callers side by side use more connections"},
	{"netrpc", "net/rpc of the standard library, with gob"},
	{"nats", "nats.go, request and reply through an embedded nats-server"},
}

// variants are the stacks that are measured against tp, not against others.
var variants = []string{"raw-worker", "tp-controller", "tp-inline", "tp-plugins"}

// growing are the beginnings of the ids of scenarios that repeat S2 with more
// and more of something, the number of which follows.
var growing = []entry{
	{"S2-idle-", "idle sessions beside"},
	{"S2-routes-", "routes"},
	{"S2-procs-", "GOMAXPROCS"},
}

// what returns what a scenario or stack is, or nothing when it is not known.
func what(list []entry, id string) string {
	if i := slices.IndexFunc(list, func(e entry) bool { return e.id == id }); i >= 0 {
		return list[i].what
	}
	return ""
}

// order compares ids by their place in a list; those that are not in it come
// last, by name.
func order(list []entry) func(a, b string) int {
	rank := func(id string) int {
		if i := slices.IndexFunc(list, func(e entry) bool { return e.id == id }); i >= 0 {
			return i
		}
		return len(list)
	}
	return func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }
}

// inOrder returns the runs by scenario, stack and round.
func inOrder(runs []result.Run) []result.Run {
	byScenario, byStack := order(scenarios), order(stacks)
	return slices.SortedStableFunc(slices.Values(runs), func(a, b result.Run) int {
		return cmp.Or(byScenario(a.Scenario, b.Scenario), byStack(a.Stack, b.Stack), cmp.Compare(a.Round, b.Round))
	})
}

// scenariosIn returns the ids of the scenarios that have runs and are wanted.
func scenariosIn(runs []result.Run, wanted func(id string) bool) []string {
	var ids []string
	for i := range runs {
		if id := runs[i].Scenario; wanted(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, order(scenarios))
	return ids
}

// stacksIn returns the stacks that have the figure in one of the scenarios.
func stacksIn(runs []result.Run, ids []string, figure figure) []string {
	var names []string
	for i := range runs {
		name := runs[i].Stack
		if slices.Contains(ids, runs[i].Scenario) && !slices.Contains(names, name) &&
			len(seriesOf(runs[i:i+1], runs[i].Scenario, name, figure)) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, order(stacks))
	return names
}

// isGrowing tells the scenarios of growing.
func isGrowing(id string) bool {
	return slices.ContainsFunc(growing, func(g entry) bool { return strings.HasPrefix(id, g.id) })
}

// isCalls tells the scenarios that compare calls between stacks.
func isCalls(id string) bool { return id != "S7" && id != "S8" && !isGrowing(id) }

// isVariant tells the stacks of variants.
func isVariant(stack string) bool { return slices.Contains(variants, stack) }
