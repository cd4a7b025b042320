package relay_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/tptest/relay"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// listen returns a listener that is closed at the test's end.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis.(*net.TCPListener)
}

// start returns a relay to the backend that is closed at the test's end.
func start(t *testing.T, backend string, seed uint64) *relay.Relay {
	t.Helper()
	r, err := relay.New(backend, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if live := r.Counts().Live; live != 0 {
			t.Errorf("%d connections live after Close", live)
		}
	})
	return r
}

// dial returns a connection through the relay.
func dial(t *testing.T, r *relay.Relay) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return owned(t, c)
}

// owned closes the conn at the test's end, and bounds all that it waits for.
func owned(t *testing.T, c net.Conn) *net.TCPConn {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// accept returns the next connection of a listener.
func accept(t *testing.T, lis *net.TCPListener) *net.TCPConn {
	t.Helper()
	if err := lis.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return owned(t, c)
}

// connect returns a relay, and the two ends of a connection through it.
func connect(t *testing.T, seed uint64) (r *relay.Relay, client, server *net.TCPConn) {
	t.Helper()
	lis := listen(t)
	r = start(t, lis.Addr().String(), seed)
	client = dial(t, r)
	return r, client, accept(t, lis)
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if n, err := c.Write(b); n != len(b) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(b), err)
	}
}

// wantBytes fails unless these are what comes next.
func wantBytes(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %q, want %q", clip(got), clip(want))
	}
}

// wantEnd fails unless the stream ends in good order, with nothing before.
func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes and %v, want the end", n, err)
	}
}

// wantReset fails unless the connection was reset.
func wantReset(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// wantSilence fails if anything comes while the other end waits for its turn.
func wantSilence(t *testing.T, c *net.TCPConn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if nerr, ok := err.(net.Error); n != 0 || !ok || !nerr.Timeout() {
		t.Fatalf("read %d bytes and %v, want nothing", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 64)] }

// pattern returns n bytes that differ from their neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// both runs the test in each direction.
func both(t *testing.T, test func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn)) {
	t.Run("up", func(t *testing.T) {
		r, client, server := connect(t, 1)
		test(t, r, relay.Up, client, server)
	})
	t.Run("down", func(t *testing.T) {
		r, client, server := connect(t, 1)
		test(t, r, relay.Down, server, client)
	})
}
