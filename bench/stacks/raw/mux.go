package main

import (
	"fmt"
	"net"
	"runtime"
	"sync"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
)

// mux is a connection that callers share. The number of a frame is that of
// its caller.
type mux struct {
	conn    net.Conn
	waiting []waiter
	taken   int // of those

	mu       sync.Mutex // protects following
	out      []byte
	spare    []byte
	flushing bool
}

// waiter is where the reply to a caller comes.
type waiter struct {
	ready chan struct{}
	reply []byte
}

// newMux reads the connection from now on.
func newMux(conn net.Conn, callers int, m *meter.Meter) *mux {
	x := &mux{conn: conn, waiting: make([]waiter, callers)}
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
func (x *mux) call(n int, payload []byte) ([]byte, error) {
	x.mu.Lock()
	x.out = appendFrame(x.out, uint64(n), payload)
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

func (x *mux) flush() error {
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

func (x *mux) read() error {
	in := reader{conn: x.conn, buf: make([]byte, bufferSize)}
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
