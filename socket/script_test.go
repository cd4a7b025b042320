package socket_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// script is a net.Conn whose every Read gives one segment, then io.EOF, and
// which keeps what is written to it and the deadlines that are set.
type script struct {
	net.Conn // a closed pipe, for what is not scripted

	mu        sync.Mutex // protects following
	segments  [][]byte
	written   []byte
	deadlines []time.Time // of reads

	closed atomic.Bool

	onWrite func(b []byte) (int, error) // replaces Write
}

func newScript(segments ...[]byte) *script {
	a, b := net.Pipe()
	a.Close()
	b.Close()
	return &script{Conn: a, segments: segments}
}

func (s *script) conn(opt socket.Options, protoFunc ...socket.ProtoFunc) *socket.Conn {
	return socket.NewConn(s, opt, protoFunc...)
}

func (s *script) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.segments) > 0 && len(s.segments[0]) == 0 {
		s.segments = s.segments[1:]
	}
	if len(s.segments) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.segments[0])
	s.segments[0] = s.segments[0][n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	if s.onWrite != nil {
		return s.onWrite(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = append(s.written, b...)
	return len(b), nil
}

func (s *script) output() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

func (s *script) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *script) SetWriteDeadline(time.Time) error { return nil }

func (s *script) Close() error {
	s.closed.Store(true)
	return nil
}
