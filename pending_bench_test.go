package tp

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkPendingPulls adds and removes a pull, one goroutine a processor, while others wait.
func BenchmarkPendingPulls(b *testing.B) {
	for _, waiting := range []int{0, 1_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			var pending pendingPulls
			var seq atomic.Uint64
			add := func(cmd *PullCmd) uint64 {
				n := seq.Add(1)
				cmd.seq = n
				if rerr := pending.add(cmd); rerr != nil {
					b.Error(rerr)
				}
				return n
			}
			for range waiting {
				add(new(PullCmd))
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				cmd := new(PullCmd)
				for pb.Next() {
					if pending.remove(add(cmd)) != cmd {
						b.Error("it was not there")
						return
					}
				}
			})
		})
	}
}
