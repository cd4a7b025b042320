package quic_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/transport/quic"
	"golang.org/x/net/nettest"
)

// lossy is a bad network.
var lossy = faults{seed: 1, loss: 0.05, delay: time.Millisecond, jitter: 4 * time.Millisecond}

// The conformance test of package net's authors.
func TestConnIsANetConn(t *testing.T) {
	for name, f := range map[string]faults{"clean": {}, "lossy": lossy} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (client, server net.Conn, stop func(), err error) {
				client, server = pair(t, nil, f)
				return client, server, func() { _, _ = client.Close(), server.Close() }, nil
			})
		})
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(b)
	return b
}

// What was written before Close or CloseWrite arrives as a whole, then io.EOF, in
// either direction, though packets get lost.
func TestCloseLosesNothing(t *testing.T) {
	sent := pattern(200_000) // less than the window: a Write does not wait for a reader
	for _, half := range []bool{false, true} {
		for _, back := range []bool{false, true} {
			from, to := pair(t, nil, lossy)
			if back {
				from, to = to, from
			}
			var writer sync.WaitGroup
			writer.Go(func() {
				if _, err := from.Write(sent); err != nil {
					t.Errorf("Write: %v", err)
				}
				if half {
					if err := from.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Errorf("CloseWrite: %v", err)
					}
				} else if err := from.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			writer.Wait()                      // so nothing of it depends on a conn that is open
			time.Sleep(100 * time.Millisecond) // nor on a reader that is quick
			got, err := io.ReadAll(to)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("half %v, back %v: got %d bytes, %v, want %d", half, back, len(got), err, len(sent))
			}
			if n, err := to.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("a Read after the end: %d, %v", n, err)
			}
			if !half {
				continue
			}
			// The other direction still works, and ends too.
			_, err = to.Write([]byte("answer"))
			if err := errors.Join(err, to.Close()); err != nil {
				t.Error(err)
			}
			if answer, err := io.ReadAll(from); err != nil || string(answer) != "answer" {
				t.Errorf("got %q, %v", answer, err)
			}
		}
	}
}

// Both sides write much, close for writing, read to the end and close, as a drain
// does on both sides at once.
func TestBothClose(t *testing.T) {
	a, b := pair(t, nil, lossy)
	sent := pattern(300_000)
	var sides sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		sides.Go(func() {
			var writer sync.WaitGroup
			writer.Go(func() {
				_, err := c.Write(sent)
				if err := errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite()); err != nil {
					t.Error(err)
				}
			})
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			writer.Wait()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	sides.Wait()
}

func TestErrorsOfAConn(t *testing.T) {
	var opErr *net.OpError
	client, server := pair(t, nil)
	wantIs := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) || !errors.As(err, &opErr) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if want != net.ErrClosed && errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v matches net.ErrClosed", what, err)
		}
	}
	_ = client.SetReadDeadline(time.Now())
	_, err := client.Read(make([]byte, 1))
	wantIs("a Read past its deadline", err, os.ErrDeadlineExceeded)
	if !opErr.Timeout() {
		t.Error("it is no timeout")
	}
	if err := client.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	_, err = client.Write([]byte("late"))
	wantIs("a Write after CloseWrite", err, syscall.EPIPE)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	wantIs("a second Close", client.Close(), net.ErrClosed)
	wantIs("a deadline after Close", client.SetDeadline(time.Now()), net.ErrClosed)
	_, err = client.Write([]byte("late"))
	wantIs("a Write after Close", err, net.ErrClosed)
	_, err = client.Read(make([]byte, 1))
	wantIs("a Read after Close", err, net.ErrClosed)
	// The server is told, and what it writes is of no use.
	if _, err := io.ReadAll(server); err != nil {
		t.Errorf("the other side read %v", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err = server.Write([]byte("anyone?")); err != nil || time.Now().After(end) {
			break
		}
	}
	wantIs("a Write to a conn that was closed", err, syscall.ECONNRESET)
}

// A Write that the other side never reads is ended by Close, and what it wrote does not
// look whole.
func TestCloseEndsAWrite(t *testing.T) {
	client, server := pair(t, &quic.Config{MaxWindow: 64 << 10})
	failed := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, 8<<20))
		failed <- err
	}()
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, failed); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the Write: %v", err)
	}
	if n, err := io.Copy(io.Discard, server); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other side read %d bytes, then %v", n, err)
	}
}

// A Read that waits ends with Close at once, not with the connection.
func TestCloseEndsARead(t *testing.T) {
	client, server := pair(t, &quic.Config{Linger: time.Hour})
	failed := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		failed <- err
	}()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, failed); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the Read: %v", err)
	}
	_ = server.Close() // or the client would linger
}

func TestAddresses(t *testing.T) {
	client, server := pair(t, nil)
	for _, a := range []net.Addr{client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr()} {
		if udp, ok := a.(*net.UDPAddr); !ok || !udp.IP.IsLoopback() || udp.Port == 0 {
			t.Errorf("the address %v (%T)", a, a)
		}
	}
	if client.LocalAddr().String() != server.RemoteAddr().String() || client.RemoteAddr().String() != server.LocalAddr().String() {
		t.Errorf("%v -> %v, but %v <- %v", client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr())
	}
}

// A conn that is silent for longer than IdleTimeout lives, as long as the other side
// does; then both find out.
func TestKeepAlive(t *testing.T) {
	config := &quic.Config{IdleTimeout: 500 * time.Millisecond}
	lis := listen(t, config)
	r := newRelay(t, lis.Addr().String(), faults{})
	client := dial(t, config, r.addr())
	server := accept(t, lis)
	time.Sleep(3 * config.IdleTimeout)
	for _, c := range [][2]net.Conn{{client, server}, {server, client}} {
		if _, err := c[0].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c[1], make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	r.set(faults{loss: 1})
	for name, c := range map[string]net.Conn{"client": client, "server": server} {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, net.ErrClosed) {
			t.Errorf("the %s: %v", name, err)
		}
	}
}

// A client that comes from another address all of a sudden keeps its conn.
func TestClientMoves(t *testing.T) {
	lis := listen(t, nil)
	r := newRelay(t, lis.Addr().String(), faults{})
	client := dial(t, nil, r.addr())
	server := accept(t, lis)
	for i := range 3 {
		sent := pattern(10_000)
		for _, c := range [][2]net.Conn{{client, server}, {server, client}} {
			if _, err := c[0].Write(sent); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(sent))
			_ = c[1].SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c[1], got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("after %d moves: %v", i, err)
			}
		}
		r.moveClients()
	}
}
