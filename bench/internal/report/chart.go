package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// chart is a file in doc/performance. Without anything to show its svg is empty.
type chart struct {
	file, title, svg string
}

// write writes the chart into dir. One that has nothing to show is removed:
// nothing there is to be older than the page.
func (c *chart) write(dir string) error {
	name := filepath.Join(dir, c.file)
	if c.svg != "" {
		return os.WriteFile(name, []byte(c.svg), 0o644)
	}
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// named returns the charts of the names, in their order.
func named(charts []chart, names ...string) (found []chart) {
	for _, name := range names {
		if i := slices.IndexFunc(charts, func(c chart) bool { return c.file == name+".svg" }); i >= 0 {
			found = append(found, charts[i])
		}
	}
	return found
}

// drawCharts draws all charts.
func drawCharts(r *result.Report) []chart {
	isProtobuf := func(id string) bool { return strings.HasPrefix(id, "P2-") }
	rounds := ""
	if r.Rounds > 1 {
		rounds = fmt.Sprintf("median of %d rounds, the line from the slowest to the fastest; ", r.Rounds)
	}
	calls := barChart{
		title:  "Throughput",
		legend: "Calls a second; " + rounds + "longer is better. Each group has its own scale.",
		panels: callPanels(r.Runs, func(id string) bool { return isCalls(id) && !isProtobuf(id) && id != "S10" }),
	}
	protobuf := barChart{
		title:  "Throughput with protobuf",
		legend: calls.legend,
		panels: callPanels(r.Runs, isProtobuf),
	}
	latency := dotChart{
		title:  "Latency",
		legend: "From call to reply, on a logarithmic scale: hollow is the median, full the 99th percentile. Further left is better.",
		panels: latencyPanels(r.Runs, "S2", "S4"),
	}
	memory := barChart{
		title:  "Memory of an idle session",
		legend: "Bytes a session, of 10,000 which each did one exchange. Shorter is better.",
		panels: idlePanels(r.Runs), oneScale: true,
	}
	broadcast := barChart{
		title:  "Broadcast",
		legend: "Messages that arrive in a second. Longer is better.",
		panels: broadcastPanels(r.Runs),
	}
	return []chart{
		{"throughput.svg", calls.title, calls.svg()},
		{"protobuf.svg", protobuf.title, protobuf.svg()},
		{"latency.svg", latency.title, latency.svg()},
		{"memory.svg", memory.title, memory.svg()},
		{"broadcast.svg", broadcast.title, broadcast.svg()},
	}
}

// callPanels makes a panel of each scenario, with the bars of the stacks that
// are set against each other.
func callPanels(runs []result.Run, wanted func(id string) bool) (panels []panel) {
	for _, id := range scenariosIn(runs, wanted) {
		p := panel{name: id, what: what(scenarios, id)}
		for _, stack := range stacksIn(runs, []string{id}, perSec) {
			if isVariant(stack) {
				continue
			}
			calls := PerSec(runs, id, stack)
			b := bar{stack: stack, value: calls.Spread(), label: median(calls, short)}
			if ratio := calls.Over(PerSec(runs, id, "raw")); stack != "raw" && len(ratio) > 0 {
				b.note = median(ratio, times) + " × raw"
			}
			p.bars = append(p.bars, b)
		}
		if len(p.bars) > 0 {
			panels = append(panels, p)
		}
	}
	return panels
}

func latencyPanels(runs []result.Run, ids ...string) (panels []dotPanel) {
	for _, id := range ids {
		p := dotPanel{name: id, what: what(scenarios, id)}
		for _, stack := range stacksIn(runs, []string{id}, p50) {
			half := seriesOf(runs, id, stack, p50).Spread()
			most := seriesOf(runs, id, stack, p99).Spread()
			if most.N > 0 && !isVariant(stack) {
				p.reaches = append(p.reaches, reach{stack, half.Median, most.Median})
			}
		}
		if len(p.reaches) > 0 {
			panels = append(panels, p)
		}
	}
	return panels
}

func idlePanels(runs []result.Run) (panels []panel) {
	for _, side := range []struct {
		name, what string
		figure     figure
		atMost     string // the target whose bound is marked
	}{
		{"Server", "heap and stack", serverSession, idleTarget},
		{"Client", "heap and stack", clientSession, idleTarget},
		{"Server, RSS", "as the system sees it", serverSessionRSS, ""},
	} {
		p := panel{name: side.name, what: side.what}
		for _, stack := range stacksIn(runs, []string{"S7"}, side.figure) {
			s := seriesOf(runs, "S7", stack, side.figure)
			p.bars = append(p.bars, bar{stack: stack, value: s.Spread(), label: median(s, group)})
		}
		if i := slices.IndexFunc(targets, func(t target) bool { return t.what == side.atMost }); i >= 0 {
			p.mark = targets[i].must
			p.markLabel = "tp: at most " + group(p.mark)
		}
		if len(p.bars) > 0 {
			panels = append(panels, p)
		}
	}
	return panels
}

func broadcastPanels(runs []result.Run) []panel {
	p := panel{name: "S8", what: what(scenarios, "S8")}
	for _, stack := range stacksIn(runs, []string{"S8"}, perSec) {
		sent := PerSec(runs, "S8", stack)
		b := bar{stack: stack, value: sent.Spread(), label: median(sent, short)}
		if ratio := sent.Over(PerSec(runs, "S8", "nats")); stack != "nats" && len(ratio) > 0 {
			b.note = median(ratio, times) + " × nats"
		}
		p.bars = append(p.bars, b)
	}
	if len(p.bars) == 0 {
		return nil
	}
	return []panel{p}
}
