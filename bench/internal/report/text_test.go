package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/bench/internal/report"
	"github.com/henrylee2cn/teleport/bench/internal/result"
)

func TestText(t *testing.T) {
	r := &result.Report{}
	for round, v := range []float64{1000, 500, 1250} {
		r.Runs = append(r.Runs,
			result.Run{Scenario: "S6", Stack: "tp", Round: round, PerSec: v * 500, ServerAllocs: 2},
			result.Run{Scenario: "S2", Stack: "tp", Round: round, PerSec: v * 440, P50: 210.4, P99: 1234.5, ClientAllocs: 0.004},
			result.Run{Scenario: "S2", Stack: "raw", Round: round, PerSec: v * 1000, P50: 90},
		)
	}
	r.Runs = append(r.Runs, result.Run{Scenario: "S7", Stack: "tp", ClientSession: 3700, ServerSession: 3600.4})
	var b bytes.Buffer
	report.Text(&b, r)
	want := `
scenario  stack    k/s    min..max  x raw  p50 us  p99 us  allocs c  allocs s
S2        raw    1,000  500..1,250   1.00    90.0       -      0.00      0.00
          tp       440    220..550   0.44     210   1,235      0.00      0.00
S6        tp       500    250..625      -       -       -      0.00      2.00

S7, bytes an idle session
stack  server heap+stack  client heap+stack
tp                 3,600              3,700
`
	if got := b.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}
