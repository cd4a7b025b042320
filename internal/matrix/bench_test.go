package matrix

import (
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkPull is a pull of 581 characters by each of 100 callers of one session, whose
// two ends are in one process, with one thing other than the plainest at a time.
//
//	go test -run xxx -bench Pull -benchmem ./internal/matrix
func BenchmarkPull(b *testing.B) {
	plain := setting{transports[0], protos[0], codecs[0], filters[0]}
	for _, x := range transports {
		s := plain
		s.transport = x
		b.Run("transport="+x.name, s.bench)
	}
	for _, x := range protos[1:] {
		s := plain
		s.proto = x
		b.Run("format="+x.name, s.bench)
	}
	for _, x := range codecs[1:] {
		s := plain
		s.codec = x
		b.Run("codec="+x.name, s.bench)
	}
	for _, x := range filters[1:] {
		s := plain
		s.filter = x
		b.Run("filter="+strings.ReplaceAll(x.name, " ", "-"), s.bench)
	}
}

func (s setting) bench(b *testing.B) {
	c := newConversation(s)
	c.open(b)
	text := strings.Repeat("teleport ", 65)[:581]
	if err := c.echo(text); err != nil {
		b.Fatal(err)
	}
	var failed atomic.Pointer[error]
	b.ReportAllocs()
	b.SetParallelism(50)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := c.echo(text); err != nil {
				failed.Store(&err)
				return
			}
		}
	})
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
}
