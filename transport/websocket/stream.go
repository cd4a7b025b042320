package websocket

import (
	"crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
)

// stream is the conn below a WebSocket, to which coder/websocket writes its frames. It
// can end them with a close frame of its own: Close of coder/websocket throws away
// what arrives after it has sent one. And it ends the reading when too much comes that
// is nothing.
type stream struct {
	net.Conn
	overhead overhead
	refused  atomic.Bool // the other side is being told why

	mu    sync.Mutex // protects following, and each Write
	ended bool
}

// Read reads what coder/websocket makes frames of.
func (s *stream) Read(b []byte) (int, error) {
	if s.overhead.flood != nil && !s.overhead.lenient {
		return 0, s.overhead.flood
	}
	n, err := s.Conn.Read(b)
	s.overhead.came(n)
	return n, err
}

// Write swallows what comes after the close frame, such as the answer to a ping or to
// the other side's close frame, since nothing may follow it (RFC 6455, 5.5.1).
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

// Close is what coder/websocket calls. After a close frame that says why the other side is
// refused, it takes what still comes, within the deadline, and drops it: what is unread
// when a conn is closed makes the kernel reset it, and the frame would be lost.
func (s *stream) Close() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok && s.refused.Swap(false) && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, s.Conn)
	}
	return s.Conn.Close()
}

// end writes a close frame with status 1000. The caller sees to it that no data frame
// is under way; a control frame is one Write.
func (s *stream) end(client bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	_, err := s.Conn.Write(closeFrame(client))
	return err
}

// closeFrame returns a close frame with status 1000 (RFC 6455, 5.2). That of a client is
// masked.
func closeFrame(client bool) []byte {
	const fin, opClose, masked = 0x80, 0x08, 0x80
	status := []byte{byte(websocket.StatusNormalClosure >> 8), byte(websocket.StatusNormalClosure & 0xff)}
	if !client {
		return append([]byte{fin | opClose, 2}, status...)
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	frame := append([]byte{fin | opClose, masked | 2}, key[:]...)
	return append(frame, status[0]^key[0], status[1]^key[1])
}
