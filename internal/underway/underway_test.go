package underway_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/internal/underway"
)

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p underway.Pulls
		if !p.Wait(0, 0) {
			t.Error("none is more than 0")
		}
		p.Begin()
		p.Begin()
		begun := time.Now()
		if p.Wait(0, time.Minute) || time.Since(begun) != time.Minute {
			t.Errorf("it waited %v", time.Since(begun))
		}
		go func() {
			time.Sleep(time.Second)
			p.End()
		}()
		if !p.Wait(1, 0) || p.Wait(0, time.Second) {
			t.Error("one of two has ended")
		}
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		for range 2 { // while it waits, and later
			if p.Wait(0, 0) {
				t.Error("one is not 0")
			}
		}
		if !p.Wait(1, 0) {
			t.Error("one is at most 1")
		}
	})
}
