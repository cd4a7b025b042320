package report

import (
	"io"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// Text writes medians and ratios for the terminal. It does not report an error
// of w.
func Text(w io.Writer, r *result.Report) {
	t := &table{labels: 2, head: []string{
		"scenario", "stack", "k/s", "min..max", "x raw", "x grpc",
		"p50 us", "p99 us", "p999 us", "cpu s/M", "allocs c", "allocs s", "MiB c", "MiB s",
	}}
	ids := scenariosIn(r.Runs, func(string) bool { return true })
	for _, id := range ids {
		label := id // once, at its first stack
		for _, stack := range stacksIn(r.Runs, []string{id}, perSec) {
			of := func(f figure) Series { return seriesOf(r.Runs, id, stack, f) }
			calls := of(perSec)
			t.add(
				label, stack,
				median(calls, thousands), spread(calls, thousands),
				median(calls.Over(PerSec(r.Runs, id, "raw")), times),
				median(calls.Over(PerSec(r.Runs, id, "grpc")), times),
				median(of(p50), digits), median(of(p99), digits), median(of(p999), digits),
				median(of(cpu), digits),
				median(of(clientAllocs), few), median(of(serverAllocs), few),
				median(of(clientRSS), mebibytes), median(of(serverRSS), mebibytes),
			)
			label = ""
		}
	}
	if len(t.rows) > 0 {
		t.tidy().text(w)
	}
	if idle := idleTable(r.Runs); len(idle.rows) > 0 {
		if len(t.rows) > 0 {
			io.WriteString(w, "\n")
		}
		io.WriteString(w, "S7, bytes an idle session\n")
		idle.text(w)
	}
}
