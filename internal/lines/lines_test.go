package lines_test

import (
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/internal/lines"
)

func TestPace(t *testing.T) {
	var p lines.Pace
	begin := time.Now()
	logged, leftOut := 0, uint64(0)
	const all = 100_000
	for range all {
		ok, before := p.Next()
		if ok {
			logged++
		}
		leftOut += before
	}
	if seconds := int(time.Since(begin)/time.Second) + 2; logged < lines.Most || logged > seconds*lines.Most {
		t.Errorf("%d lines in less than %d s", logged, seconds)
	}
	for { // until the next second
		ok, before := p.Next()
		leftOut += before
		if ok {
			logged++
			break
		}
		leftOut-- // this one was, beside the others
		time.Sleep(10 * time.Millisecond)
	}
	if uint64(logged)+leftOut != all+1 {
		t.Errorf("%d were logged and %d left out, of %d", logged, leftOut, all+1)
	}
}
