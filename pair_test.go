package tp_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// newPeer returns a peer that is closed, and must drain, at the test's end.
// It logs to nowhere unless cfg has a Logger.
func newPeer(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = new(logBook)
	}
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// serve makes the peer listen on loopback and returns the address.
func serve(t testing.TB, p *tp.Peer, protoFunc ...socket.ProtoFunc) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.ServeListener(lis, protoFunc...)
	}()
	t.Cleanup(func() {
		_ = p.Close()
		<-ended
	})
	return lis.Addr().String()
}

// dial returns a session of p with addr.
func dial(t testing.TB, p *tp.Peer, addr string, protoFunc ...socket.ProtoFunc) tp.Session {
	t.Helper()
	sess, rerr := p.Dial(addr, protoFunc...)
	if rerr != nil {
		t.Fatalf("Dial: %v", rerr)
	}
	return sess
}

// pipe returns a session of cli with srv in memory, for tests in a bubble of
// testing/synctest, which cannot wait for sockets.
func pipe(t testing.TB, srv, cli *tp.Peer) tp.Session {
	t.Helper()
	near, far := net.Pipe()
	srv.ServeConn(near)
	return cli.ServeConn(far)
}

// only returns the one session of p, when it is there.
func only(t testing.TB, p *tp.Peer) (sess tp.Session) {
	t.Helper()
	eventually(t, "the peer has one session", func() bool {
		n := 0
		p.RangeSession(func(s tp.Session) bool { sess, n = s, n+1; return true })
		return n == 1
	})
	return sess
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// receive returns the next value of ch, or fails.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing came in %v", patience)
		panic("unreachable")
	}
}

// noError fails unless err is nil.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noRerror fails unless rerr is nil.
func noRerror(t testing.TB, rerr *tp.Rerror) {
	t.Helper()
	if rerr != nil {
		t.Fatalf("got %v, want no Rerror", rerr)
	}
}

// wantCode fails unless rerr has the code and mentions text.
func wantCode(t testing.TB, rerr *tp.Rerror, code int32, text string) {
	t.Helper()
	if rerr == nil || rerr.Code != code || !strings.Contains(rerr.Message+" "+rerr.Detail, text) {
		t.Fatalf("got %v, want code %d with %q", rerr, code, text)
	}
}

// wantPanic runs fn and fails unless it panics with all of the texts.
func wantPanic(t testing.TB, fn func(), texts ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		r := recover()
		if r == nil {
			t.Fatalf("no panic, want one with %q", texts)
		}
		for _, text := range texts {
			if !strings.Contains(fmt.Sprint(r), text) {
				t.Fatalf("panic %v\nwant %q in it", r, text)
			}
		}
	}()
	fn()
}

// logBook is a Logger that keeps its lines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) add(level, format string, args []interface{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&b.buf, level+" "+strings.TrimSuffix(format, "\n")+"\n", args...)
}

// String returns all lines.
func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// contains reports whether one of the lines has all texts.
func (b *logBook) contains(texts ...string) bool {
	for line := range strings.Lines(b.String()) {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			return true
		}
	}
	return false
}

func (b *logBook) Printf(format string, args ...interface{})    { b.add("PRINT", format, args) }
func (b *logBook) Fatalf(format string, args ...interface{})    { b.add("FATAL", format, args) }
func (b *logBook) Panicf(format string, args ...interface{})    { b.add("PANIC", format, args) }
func (b *logBook) Criticalf(format string, args ...interface{}) { b.add("CRITICAL", format, args) }
func (b *logBook) Errorf(format string, args ...interface{})    { b.add("ERROR", format, args) }
func (b *logBook) Warnf(format string, args ...interface{})     { b.add("WARN", format, args) }
func (b *logBook) Noticef(format string, args ...interface{})   { b.add("NOTICE", format, args) }
func (b *logBook) Infof(format string, args ...interface{})     { b.add("INFO", format, args) }
func (b *logBook) Debugf(format string, args ...interface{})    { b.add("DEBUG", format, args) }
func (b *logBook) Tracef(format string, args ...interface{})    { b.add("TRACE", format, args) }

// echo registers "/echo" on p, which returns the bytes that it is given.
func echo(p *tp.Peer) {
	tp.RegPull(p.PullRouter, "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		return *args, nil
	})
}
