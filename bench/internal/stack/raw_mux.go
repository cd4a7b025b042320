package stack

import (
	"fmt"
	"net"
	"runtime"
	"sync"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
)

// rawMux is a connection that callers share. The number of a frame is that of
// its caller.
type rawMux struct {
	conn    net.Conn
	waiting []rawWaiting
	taken   int // of those

	mu       sync.Mutex // protects following
	out      []byte
	spare    []byte
	flushing bool
}

// rawWaiting is where the reply to a caller comes.
type rawWaiting struct {
	ready chan struct{}
	reply []byte
}

// newRawMux reads the connection from now on.
func newRawMux(conn net.Conn, callers int, m *meter.Meter) *rawMux {
	x := &rawMux{conn: conn, waiting: make([]rawWaiting, callers)}
	for n := range x.waiting {
		x.waiting[n].ready = make(chan struct{}, 1)
	}
	go func() {
		if err := x.read(); err != nil {
			m.Fail(err)
		}
	}()
	return x
}

// call waits for the reply, which is valid until the caller's next call. The
// first of those who want to write writes for all.
func (x *rawMux) call(n int, payload []byte) ([]byte, error) {
	x.mu.Lock()
	x.out = rawAppend(x.out, uint64(n), payload)
	first := !x.flushing
	x.flushing = true
	x.mu.Unlock()
	if first {
		runtime.Gosched()
		if err := x.flush(); err != nil {
			return nil, err
		}
	}
	w := &x.waiting[n]
	<-w.ready
	return w.reply, nil
}

func (x *rawMux) flush() error {
	for {
		x.mu.Lock()
		out := x.out
		if len(out) == 0 {
			x.flushing = false
			x.mu.Unlock()
			return nil
		}
		x.out = x.spare[:0]
		x.mu.Unlock()
		if _, err := x.conn.Write(out); err != nil {
			return err
		}
		x.mu.Lock()
		x.spare = out
		x.mu.Unlock()
	}
}

func (x *rawMux) read() error {
	in := rawReader{conn: x.conn, buf: make([]byte, rawBuffer)}
	for {
		if err := in.fill(); err != nil {
			return err
		}
		for {
			seq, payload, ok := in.next()
			if !ok {
				break
			}
			if seq >= uint64(len(x.waiting)) {
				return fmt.Errorf("a reply for caller %d", seq)
			}
			w := &x.waiting[seq]
			w.reply = append(w.reply[:0], payload...)
			w.ready <- struct{}{}
		}
	}
}
