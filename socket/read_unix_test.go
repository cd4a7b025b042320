//go:build unix

package socket_test

import (
	"sync"
	"testing"
)

// An idle conn costs no buffer: a server may have a million of them.
func TestReadIdleHoldsNoBuffer(t *testing.T) {
	for _, kind := range connKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			c, peer := kind.conns(t)
			type attempt struct{ ready, buffered bool }
			attempts := make(chan attempt, 100)
			c.OnReadAttempt(func(ready, buffered bool) { attempts <- attempt{ready, buffered} })
			packets := make(chan error)
			var readers sync.WaitGroup
			readers.Go(func() {
				for range 3 {
					packets <- c.ReadPacket(rawPacket())
				}
			})
			for range 3 {
				equal(t, "idle", <-attempts, attempt{false, false})
				_, err := peer.Write(frame)
				noError(t, err)
				equal(t, "busy", <-attempts, attempt{true, true})
				noError(t, <-packets)
			}
			readers.Wait()
		})
	}
}
