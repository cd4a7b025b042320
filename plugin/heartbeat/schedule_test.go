package heartbeat

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Entries that are put, moved and removed in any order are due in their time, and
// there is no timer without entries.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type call struct {
			e  *entry
			at time.Duration
		}
		var calls []call
		s := newSchedule(func(e *entry, now time.Duration) time.Duration {
			calls = append(calls, call{e, now})
			return 0
		})
		want := map[*entry]time.Duration{}
		var all []*entry
		for range 300 {
			e := &entry{index: -1}
			all = append(all, e)
			want[e] = rand.N(time.Hour) + minPause
			s.put(e, func() time.Duration { return want[e] })
		}
		for i, e := range all {
			switch i % 3 {
			case 0:
				want[e] = rand.N(time.Hour) + minPause
				s.put(e, func() time.Duration { return want[e] })
			case 1:
				delete(want, e)
				s.remove(e)
				s.remove(e)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(calls) != len(want) {
			t.Errorf("%d entries were due, want %d", len(calls), len(want))
		}
		for _, c := range calls {
			if late := c.at - want[c.e]; late < 0 || late > minPause {
				t.Errorf("due at %v, want %v", c.at, want[c.e])
			}
		}
		if s.timer != nil {
			t.Error("there is a timer without entries")
		}
	})
}
