package prometheus

import (
	"fmt"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"
)

// What a proxy passes on, strangers have made up: it must take no memory for ever.
func TestKnownSeriesAreBounded(t *testing.T) {
	p, err := New(Config{Registerer: prom.NewRegistry(), MaxRoutes: 3, MaxCodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		p.series(seriesKey{launched: true, path: fmt.Sprint("/", i)})
		p.series(seriesKey{launched: true, path: "/0", failed: true, code: int32(i)})
	}
	known := 0
	p.known.Range(func(any, any) bool { known++; return true })
	if known != 5 || len(p.routes) != 3 || len(p.codes) != 2 {
		t.Errorf("it remembers %d series, %d routes, %d codes", known, len(p.routes), len(p.codes))
	}
}
