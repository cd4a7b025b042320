package tp

import (
	"fmt"
	"testing"
)

// permit is a task that gives back what its start took.
type permit chan struct{}

func (p permit) run() { p <- struct{}{} }

// BenchmarkWorkerStart hands a trivial task to a worker, with at most so many under way.
func BenchmarkWorkerStart(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("inflight=%d", n), func(b *testing.B) {
			var pool workerPool
			defer pool.stop()
			permits := make(permit, n)
			for range n {
				permits.run()
			}
			b.ReportAllocs()
			for b.Loop() {
				<-permits
				if !pool.start(permits) {
					b.Fatal("there are too many goroutines")
				}
			}
			for range n {
				<-permits
			}
		})
	}
}
