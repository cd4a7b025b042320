package tptest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/tptest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// full is more than a direction of a Pipe takes.
const full = 1 << 20

// pipe returns both ends of a Pipe, which are closed at the test's end.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, b = tptest.Pipe()
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

func closeWrite(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestPipeBothWriteFirst(t *testing.T) {
	a, b := pipe(t)
	for _, c := range []net.Conn{a, b} {
		if n, err := c.Write(make([]byte, 64<<10)); n != 64<<10 || err != nil {
			t.Fatalf("wrote %d bytes, %v", n, err)
		}
	}
	for _, c := range []net.Conn{a, b} {
		wantRead(t, c, string(make([]byte, 64<<10)))
	}
}

func TestPipeCarriesMoreThanItHolds(t *testing.T) {
	a, b := pipe(t)
	sent := make([]byte, full)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	var writers sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		writers.Go(func() {
			_, _ = c.Write(sent)
			closeWrite(t, c)
		})
	}
	for _, c := range []net.Conn{b, a} {
		writers.Go(func() {
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("read %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
			}
		})
	}
	writers.Wait()
}

// What one Write takes is not mixed with what others do.
func TestPipeWritesAreWhole(t *testing.T) {
	a, b := pipe(t)
	const size = 400_000 // several times what there is room for
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() { _, _ = a.Write(bytes.Repeat([]byte{byte(i)}, size)) })
	}
	got := make([]byte, size)
	for range 4 {
		if _, err := io.ReadFull(b, got); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(got, got[:1]); n != size {
			t.Errorf("only %d of %d bytes are of one write", n, size)
		}
	}
	writers.Wait()
}

func TestPipeHalfClose(t *testing.T) {
	a, b := pipe(t)
	_, _ = a.Write([]byte("the last"))
	closeWrite(t, a)
	_, err := a.Write([]byte("x"))
	wantError(t, err, net.ErrClosed)
	wantRead(t, b, "the last")
	_, err = b.Read(make([]byte, 1))
	wantError(t, err, io.EOF)
	_, _ = b.Write([]byte("the answer"))
	wantRead(t, a, "the answer")
}

func TestPipeClose(t *testing.T) {
	a, b := pipe(t)
	_, _ = a.Write([]byte("the last"))
	var blocked sync.WaitGroup
	blocked.Go(func() {
		_, err := a.Read(make([]byte, 1))
		wantError(t, err, net.ErrClosed)
	})
	time.Sleep(10 * time.Millisecond) // now it waits
	_ = a.Close()
	_ = a.Close()
	blocked.Wait()
	_, err := b.Write([]byte("x"))
	wantError(t, err, io.ErrClosedPipe)
	wantRead(t, b, "the last")
	_, err = b.Read(make([]byte, 1))
	wantError(t, err, io.EOF)
	_, err = a.Write([]byte("x"))
	wantError(t, err, net.ErrClosed)
}

func TestPipeCloseEndsAWrite(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(a, b net.Conn) net.Conn
		want error
	}{
		"its own":       {func(a, _ net.Conn) net.Conn { return a }, net.ErrClosed},
		"the other end": {func(_, b net.Conn) net.Conn { return b }, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			var blocked sync.WaitGroup
			blocked.Go(func() {
				n, err := a.Write(make([]byte, full))
				wantError(t, err, test.want)
				if n < 64<<10 || n == full {
					t.Errorf("wrote %d bytes", n)
				}
			})
			wantRead(t, b, "\x00") // it has begun
			_ = test.end(a, b).Close()
			blocked.Wait()
		})
	}
}

func TestPipeDeadlines(t *testing.T) {
	a, b := pipe(t)
	_ = a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := a.Read(make([]byte, 1))
	wantError(t, err, os.ErrDeadlineExceeded)
	if nerr := net.Error(nil); !errors.As(err, &nerr) || !nerr.Timeout() {
		t.Errorf("%v is no timeout of package net", err)
	}
	_, _ = b.Write([]byte("late"))
	_, err = a.Read(make([]byte, 1))
	wantError(t, err, os.ErrDeadlineExceeded) // until it is set again
	_ = a.SetReadDeadline(time.Time{})
	wantRead(t, a, "late")

	_ = a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	n, err := a.Write(make([]byte, full))
	wantError(t, err, os.ErrDeadlineExceeded)
	if n != 64<<10 {
		t.Errorf("wrote %d bytes, want what there is room for", n)
	}
	_, err = a.Write(nil)
	wantError(t, err, os.ErrDeadlineExceeded)
	wantRead(t, b, string(make([]byte, n)))
	_ = a.SetWriteDeadline(time.Now().Add(patience))
	_, _ = a.Write([]byte("again"))
	wantRead(t, b, "again")
}

// A deadline that is set ends what waits already; one that was replaced does
// not.
func TestPipeDeadlineOfWhatWaits(t *testing.T) {
	a, b := pipe(t)
	var blocked sync.WaitGroup
	blocked.Go(func() {
		_, err := a.Read(make([]byte, 1))
		wantError(t, err, os.ErrDeadlineExceeded)
	})
	time.Sleep(10 * time.Millisecond) // now it waits
	_ = a.SetDeadline(time.Now().Add(-time.Second))
	blocked.Wait()

	_ = a.SetDeadline(time.Now().Add(5 * time.Millisecond))
	_ = a.SetDeadline(time.Now().Add(patience))
	blocked.Go(func() { wantRead(t, a, "there") })
	time.Sleep(10 * time.Millisecond)
	_, _ = b.Write([]byte("there"))
	blocked.Wait()
}
