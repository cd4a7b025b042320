package stack

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
)

// TestBroadcastRounds lets the last of three clients hear late.
func TestBroadcastRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, size = 3, 128
		m := meter.New()
		var a *Audience
		var mu sync.Mutex
		sent, whole := 0, 0
		c := StartCaster(size, func(msg []byte) error {
			mu.Lock()
			sent++
			if sent > whole+roundsUnderWay {
				t.Errorf("round %d began when %d had arrived", sent, whole)
			}
			mu.Unlock()
			for i := range clients {
				own := append([]byte(nil), msg...)
				time.AfterFunc(time.Duration(i+1)*time.Millisecond, func() { a.Receive(own) })
			}
			return nil
		}, m.Fail)
		acks := 0
		a = NewAudience(clients, size, m, func() error {
			mu.Lock()
			if acks++; acks > roundsUnderWay { // those before say that all listen
				whole++
			}
			mu.Unlock()
			c.Acknowledge()
			return nil
		})
		m.Begin()
		a.Run()
		time.Sleep(301*time.Millisecond + time.Microsecond)
		hist, _ := m.End()
		// Each round takes 3 ms, and so many are under way at any time.
		if n := hist.Count(); n != 100*roundsUnderWay*clients+roundsUnderWay {
			t.Errorf("%d messages were counted", n)
		}
		if p50 := hist.Quantile(0.5); p50 < 1.9e6 || p50 > 2.1e6 {
			t.Errorf("half of them took %.0f ns", p50)
		}
		if err := m.Err(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // what is under way arrives
		synctest.Wait()
		close(c.allowed)
		close(a.whole)
	})
}
