package sniff_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/proto/sniff"
	"github.com/henrylee2cn/teleport/socket"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// opener is what a peer finds at the conns of a Listener.
type opener interface {
	net.Conn
	OpenConn(ctx context.Context, config *tls.Config) (net.Conn, socket.ProtoFunc, error)
}

// accepted returns both ends of a connection, the first as a Listener accepts it.
func accepted(t *testing.T, cfg sniff.Config) (opener, *net.TCPConn) {
	t.Helper()
	below, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	lis, err := sniff.New(below, &cfg)
	noError(t, err)
	defer lis.Close()
	far, err := net.Dial("tcp", lis.Addr().String())
	noError(t, err)
	near, err := lis.Accept()
	noError(t, err)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	for _, c := range []net.Conn{far, near} {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	return near.(opener), far.(*net.TCPConn)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("got %v, want %q in it", err, text)
		}
	}
}

// What comes byte by byte is not looked at again for each byte.
func TestByteByByte(t *testing.T) {
	asked := 0
	near, far := accepted(t, sniff.Config{Rules: []sniff.Rule{{Match: func(b []byte) sniff.Verdict {
		if asked++; b[len(b)-1] == '.' {
			return sniff.Yes
		}
		return sniff.More
	}}}})
	go func() {
		for range 8 << 10 {
			_, _ = far.Write([]byte{' '})
		}
		_, _ = far.Write([]byte{'.'})
	}()
	begun := time.Now()
	conn, _, err := near.OpenConn(context.Background(), nil)
	noError(t, err)
	defer conn.Close()
	if most := 100 + int(time.Since(begun)/(5*time.Millisecond)); asked > most {
		t.Errorf("the rule was asked %d times, more than %d", asked, most)
	}
}

// protos of rules, which are told apart by their addresses.
func protoA(rw io.ReadWriter) socket.Proto { return socket.NewFastProto(rw) }
func protoB(rw io.ReadWriter) socket.Proto { return socket.NewFastProto(rw) }
func protoC(rw io.ReadWriter) socket.Proto { return socket.NewFastProto(rw) }

func same(a, b socket.ProtoFunc) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Wherever what is sent is cut in two, the same rule matches, and all of it is read.
func TestOpenConnAtEachByte(t *testing.T) {
	cfg := sniff.Config{Rules: []sniff.Rule{
		{Match: sniff.WebSocket, Proto: protoA},
		{Match: sniff.HTTP, Proto: protoB},
		{Match: sniff.Fast, Proto: protoC},
		{Match: sniff.Any},
	}}
	for _, c := range []struct {
		text string
		want socket.ProtoFunc
	}{
		{"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", protoA},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", protoB},
		{"\x00\x00\x00\x1cf\x00", protoC},
		{"GET / HTTP/1.1\r\nHo", protoB}, // it ends there
		{"\x00\x00", nil},
		{"?", nil},
	} {
		for cut := range c.text {
			near, far := accepted(t, cfg)
			_, err := io.WriteString(far, c.text[:cut])
			noError(t, err)
			var writer sync.WaitGroup
			writer.Go(func() {
				time.Sleep(time.Millisecond) // so that it comes in two parts, mostly
				_, _ = io.WriteString(far, c.text[cut:])
				_ = far.CloseWrite()
			})
			open, proto, err := near.OpenConn(t.Context(), nil)
			noError(t, err)
			if !same(proto, c.want) {
				t.Errorf("%q, cut at %d, is taken for something else", c.text, cut)
			}
			all, err := io.ReadAll(open)
			noError(t, err)
			if string(all) != c.text {
				t.Errorf("read %q of %q, cut at %d", all, c.text, cut)
			}
			writer.Wait()
			_ = far.Close()
			_ = open.Close()
		}
	}
}

// OpenConn ends with its context and when the connection is closed on either side, and
// leaves no deadline behind.
func TestOpenConnEnds(t *testing.T) {
	cfg := sniff.Config{Rules: []sniff.Rule{{Match: sniff.Fast}}}
	for name, end := range map[string]struct {
		by   func(near opener, far *net.TCPConn, cancel func())
		want error
	}{
		"cancel":   {func(_ opener, _ *net.TCPConn, cancel func()) { cancel() }, context.Canceled},
		"near end": {func(near opener, _ *net.TCPConn, _ func()) { _ = near.Close() }, net.ErrClosed},
		"far end":  {func(_ opener, far *net.TCPConn, _ func()) { _ = far.Close() }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := accepted(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			opened := make(chan error, 1)
			go func() {
				_, _, err := near.OpenConn(ctx, nil)
				opened <- err
			}()
			end.by(near, far, cancel)
			if err := <-opened; !errors.Is(err, end.want) {
				t.Errorf("got %v, want %v", err, end.want)
			}
		})
	}
	// Nor does the one for silence bound what has begun.
	cfg.Silent, cfg.SilentAfter = new(sniff.Rule), 50*time.Millisecond
	near, far := accepted(t, cfg)
	go func() {
		for i := range 5 {
			_, _ = far.Write([]byte{0, 0, 0, 9, 'f'}[i : i+1])
			time.Sleep(30 * time.Millisecond)
		}
	}()
	_, _, err := near.OpenConn(t.Context(), nil)
	noError(t, err)
	cfg.SilentAfter = time.Millisecond
	near, far = accepted(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	open, _, err := near.OpenConn(ctx, nil)
	noError(t, err)
	cancel()
	time.Sleep(10 * time.Millisecond)
	_, err = io.WriteString(far, "x")
	noError(t, err)
	_, err = io.ReadFull(open, make([]byte, 1))
	noError(t, err)
}

// A connection that was handed on is not the peer's to close any more; one that was not
// taken is.
func TestHandle(t *testing.T) {
	branch := sniff.NewBranch(&net.TCPAddr{Port: 80})
	cfg := sniff.Config{Rules: []sniff.Rule{{Match: sniff.Any, Handle: branch.Hand}}}
	near, far := accepted(t, cfg)
	_, err := io.WriteString(far, "text")
	noError(t, err)
	got := make(chan net.Conn, 1)
	go func() {
		conn, _ := branch.Accept()
		got <- conn
	}()
	open, proto, err := near.OpenConn(t.Context(), nil)
	if open != nil || proto != nil || err != nil {
		t.Fatalf("got %v, %v, %v", open, proto != nil, err)
	}
	_ = near.Close()
	conn := <-got
	defer conn.Close()
	_, err = io.WriteString(far, "more")
	noError(t, err)
	b := make([]byte, 8)
	_, err = io.ReadFull(conn, b)
	noError(t, err)
	if string(b) != "textmore" {
		t.Errorf("read %q", b)
	}

	near, far = accepted(t, cfg) // nobody accepts
	_, err = io.WriteString(far, "text")
	noError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err = near.OpenConn(ctx, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_, _ = branch.Close(), branch.Close()
	_, err = branch.Accept()
	if !errors.Is(err, net.ErrClosed) || branch.Addr().String() != ":80" {
		t.Errorf("at %v, Accept returned %v", branch.Addr(), err)
	}
	if err := branch.Hand(t.Context(), near); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Hand returned %v", err)
	}
	_ = near.Close()
	_, err = far.Read(b)
	if err == nil {
		t.Error("it is still open")
	}
}

func TestConfigErrors(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	defer lis.Close()
	rules := []sniff.Rule{{Match: sniff.Fast}}
	handle := sniff.NewBranch(lis.Addr()).Hand
	for want, cfg := range map[string]*sniff.Config{
		"Config.Rules is empty":              nil,
		"Config.Rules[1].Match is nil":       {Rules: []sniff.Rule{{Match: sniff.Any}, {}}},
		"Config.Rules[0] has Proto and":      {Rules: []sniff.Rule{{Match: sniff.Any, Proto: protoA, Handle: handle}}},
		"Config.Silent has Proto and Handle": {Rules: rules, Silent: &sniff.Rule{Proto: protoA, Handle: handle}},
		"Config.SilentAfter = -1ns":          {Rules: rules, SilentAfter: -1},
		"Config.MaxPeek = -1":                {Rules: rules, MaxPeek: -1},
		"Config.MaxPeek = 65537":             {Rules: rules, MaxPeek: 65537},
	} {
		_, err := sniff.New(lis, cfg)
		wantError(t, err, want)
	}
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "listener is nil") {
			t.Errorf("panic %q", r)
		}
	}()
	_, _ = sniff.New(nil, nil)
}
