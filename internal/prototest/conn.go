// Package prototest is what the tests of all Protos have in common.
package prototest

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// conn is a net.Conn whose every Read gives one segment, then io.EOF, and which keeps
// what is written to it.
type conn struct {
	net.Conn // a closed pipe, for what is not scripted

	mu       sync.Mutex // protects following
	segments [][]byte
	written  []byte
}

// NewConn returns a Conn that reads the segments, each by itself, then io.EOF.
func NewConn(opt socket.Options, protoFunc socket.ProtoFunc, segments ...[]byte) *socket.Conn {
	return socket.NewConn(newConn(segments), opt, protoFunc)
}

func newConn(segments [][]byte) *conn {
	a, b := net.Pipe()
	a.Close()
	b.Close()
	return &conn{Conn: a, segments: segments}
}

func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.segments) > 0 && len(c.segments[0]) == 0 {
		c.segments = c.segments[1:]
	}
	if len(c.segments) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.segments[0])
	c.segments[0] = c.segments[0][n:]
	return n, nil
}

func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = append(c.written, b...)
	return len(b), nil
}

// Packet returns a packet whose body is to be read as it comes.
func Packet() *socket.Packet { return socket.NewPacket(socket.WithBody(new([]byte))) }

// Body returns the body of such a packet.
func Body(p *socket.Packet) string { return string(*p.Body().(*[]byte)) }

// Pack returns the frames of the packets, in a row.
func Pack(t testing.TB, protoFunc socket.ProtoFunc, packets ...*socket.Packet) []byte {
	t.Helper()
	c := newConn(nil)
	s := socket.NewConn(c, socket.Options{}, protoFunc)
	for _, p := range packets {
		if err := s.WritePacket(p); err != nil {
			t.Fatalf("pack %v: %v", p, err)
		}
	}
	return c.written
}

// PackError returns why a packet cannot be packed on a Conn with the limits, and
// fails the test if anything of it was written or the Conn takes no packet after it.
func PackError(t testing.TB, opt socket.Options, protoFunc socket.ProtoFunc, p, good *socket.Packet) error {
	t.Helper()
	c := newConn(nil)
	s := socket.NewConn(c, opt, protoFunc)
	err := s.WritePacket(p)
	if err == nil {
		t.Fatalf("packed: %q", c.written)
	}
	if len(c.written) > 0 {
		t.Errorf("after %v, %q was written", err, c.written)
	}
	if err := s.WritePacket(good); err != nil {
		t.Errorf("the packet after it: %v", err)
	}
	return err
}

// Unpack returns the packet of a frame.
func Unpack(t testing.TB, protoFunc socket.ProtoFunc, frame []byte) *socket.Packet {
	t.Helper()
	p := Packet()
	if err := NewConn(socket.Options{}, protoFunc, frame).ReadPacket(p); err != nil {
		t.Fatalf("unpack %.200q: %v", frame, err)
	}
	return p
}
