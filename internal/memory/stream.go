package memory

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// streamSize is how many bytes wait in a stream before a write waits.
const streamSize = 64 << 10

// stream is one direction of a Pipe.
type stream struct {
	writing sync.Mutex // held by the write whose turn it is

	mu            sync.Mutex // protects following
	changed       sync.Cond  // of mu
	buf           bytes.Buffer
	ended         bool // the end that writes is closed, or only for writes
	gone          bool // the end that reads is closed
	readDeadline  deadline
	writeDeadline deadline
}

// deadline is one that is set, and whether it has passed.
type deadline struct {
	timer  *time.Timer // nil: none, or it has passed
	passed bool
}

func newStream() *stream {
	s := new(stream)
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case s.readDeadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case s.buf.Len() > 0:
			s.changed.Broadcast()
			return s.buf.Read(b)
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(b []byte) (n int, err error) {
	s.writing.Lock() // all of b, then all of the next
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.gone:
			return n, io.ErrClosedPipe
		case s.writeDeadline.passed:
			return n, os.ErrDeadlineExceeded
		}
		if room := min(len(b)-n, streamSize-s.buf.Len()); room > 0 {
			s.buf.Write(b[n : n+room])
			n += room
			s.changed.Broadcast()
		}
		if n == len(b) {
			return n, nil
		}
		s.changed.Wait()
	}
}

// endWrite is the close of the end that writes.
func (s *stream) endWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
	s.stop(&s.writeDeadline)
}

// endRead is the close of the end that reads.
func (s *stream) endRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.buf = bytes.Buffer{} // nobody reads it
	s.changed.Broadcast()
	s.stop(&s.readDeadline)
}

// setDeadline sets one of the deadlines of s.
func (s *stream) setDeadline(d *deadline, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(d)
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		s.changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.timer == timer { // it was not replaced meanwhile
			d.passed = true
			s.changed.Broadcast()
		}
	})
	d.timer = timer
}

// stop ends the timer of a deadline. mu is held.
func (s *stream) stop(d *deadline) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
