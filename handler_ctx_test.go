package tp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

var allModes = []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchOrdered, tp.DispatchInline}

// A handler's panic hung the caller. It is a 500 without the panic's text,
// with a stack in the log, and the session lives. So with a handler that ends
// its goroutine, as t.FailNow does.
func TestHandlerThatPanics(t *testing.T) {
	for _, mode := range allModes {
		t.Run(mode.String(), func(t *testing.T) {
			book := new(logBook)
			srv := newPeer(t, tp.PeerConfig{Logger: book})
			pulls, pushes := srv.PullRouter.Dispatch(mode), srv.PushRouter.Dispatch(mode)
			tp.RegPull(pulls, "panic", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) { panic("my secret") })
			tp.RegPull(pulls, "nil_map", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
				noMap := func() map[string]int { return nil }
				noMap()["x"]++
				return "", nil
			})
			tp.RegPush(pushes, "panic", func(tp.PushCtx, *interface{}) { panic("my pushed secret") })
			came := make(chan int, 1)
			tp.RegPush(pushes, "fine", func(_ tp.PushCtx, n *int) { came <- *n })
			echo(srv)
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			for range 3 {
				for _, uri := range []string{"/panic", "/nil_map"} {
					rerr := sess.Pull(uri, nil, nil).Rerror()
					wantCode(t, rerr, tp.CodeInternalServerError, "")
					if text := rerr.String(); strings.Contains(text, "secret") || strings.Contains(text, "map") {
						t.Errorf("the caller is told %s", text)
					}
				}
				noRerror(t, sess.Push("/panic", nil))
				noRerror(t, sess.Push("/fine", 7))
				if n := receive(t, came); n != 7 {
					t.Errorf("the push after it brought %d", n)
				}
				noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
			}
			for _, text := range []string{"my secret", "my pushed secret", "nil map", "handler_ctx_test.go"} {
				eventually(t, "the log has "+text, func() bool { return strings.Contains(book.String(), text) })
			}
		})
	}
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	for _, mode := range []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchOrdered} {
		t.Run(mode.String(), func(t *testing.T) {
			srv := newPeer(t, tp.PeerConfig{})
			pulls, pushes := srv.PullRouter.Dispatch(mode), srv.PushRouter.Dispatch(mode)
			tp.RegPull(pulls, "goexit", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) { runtime.Goexit(); return "", nil })
			tp.RegPush(pushes, "goexit", func(tp.PushCtx, *interface{}) { runtime.Goexit() })
			came := make(chan int, 1)
			tp.RegPush(pushes, "fine", func(_ tp.PushCtx, n *int) { came <- *n })
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			for i := range 3 {
				wantCode(t, sess.Pull("/goexit", nil, nil).Rerror(), tp.CodeInternalServerError, "")
				noRerror(t, sess.Push("/goexit", nil))
				noRerror(t, sess.Push("/fine", i))
				if n := receive(t, came); n != i {
					t.Errorf("the push after it brought %d, want %d", n, i)
				}
			}
		})
	}
}

// Inline, that goroutine is the reader: its session ends, and nothing else.
func TestHandlerThatEndsTheReader(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "goexit", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
		runtime.Goexit()
		return "", nil
	})
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	sess := dial(t, cli, addr)
	done := make(chan *tp.Rerror, 1)
	go func() { done <- sess.Pull("/goexit", nil, nil).Rerror() }()
	if rerr := receive(t, done); rerr == nil {
		t.Error("no Rerror")
	}
	receive(t, sess.CloseNotify())
	noRerror(t, dial(t, cli, addr).Pull("/echo", nil, nil).Rerror())
}

// The context of a handler ends with the connection: that of a pull when the
// other side closes, that of a push after those before it.
func TestHandlerContext(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	begun, ended := make(chan struct{}), make(chan context.Context)
	tp.RegPull(srv.PullRouter, "wait", func(ctx tp.PullCtx, _ *interface{}) (string, *tp.Rerror) {
		c := ctx.Context()
		if c.Err() != nil {
			t.Errorf("it begins with %v", c.Err())
		}
		begun <- struct{}{}
		<-c.Done()
		ended <- c
		return "", nil
	})
	block := make(chan struct{})
	tp.RegPush(srv.PushRouter, "note", func(ctx tp.PushCtx, _ *interface{}) {
		begun <- struct{}{}
		<-block
		if err := ctx.Context().Err(); err != nil {
			t.Errorf("that of a push which arrived before the end: %v", err)
		}
	})
	w := dialWire(t, serve(t, srv))
	w.send(jsonPull(0, "/wait", "1"), frame{seq: 0, ptype: tp.TypePush, uri: "/note", codec: 'j', body: "1"})
	receive(t, begun)
	receive(t, begun)
	_ = w.Close()
	c := receive(t, ended)
	close(block)
	if !errors.Is(c.Err(), context.Canceled) || !errors.Is(context.Cause(c), tp.ErrConnClosed) {
		t.Errorf("it ends with %v, cause %v; want ErrConnClosed", c.Err(), context.Cause(c))
	}
}

// 100,000 pulls made 100,000 goroutines that ran on after the peer had left.
func TestHandlersAreBounded(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{MaxSessionHandlers: 100})
	tp.RegPull(srv.PullRouter, "hang", func(ctx tp.PullCtx, _ *interface{}) (string, *tp.Rerror) {
		<-ctx.Context().Done()
		return "", nil
	})
	w := dialWire(t, serve(t, srv))
	before := runtime.NumGoroutine()
	const pulls = 20_000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var b []byte
		for i := range pulls {
			b = append(b, jsonPull(uint64(i), "/hang", "1").bytes()...)
		}
		_, _ = w.Write(b)
	}()
	for range pulls - 100 {
		wantCode(t, w.next().rerror(t), tp.CodeServiceUnavailable, "MaxSessionHandlers")
	}
	if n := runtime.NumGoroutine() - before; n > 150 {
		t.Errorf("%d more goroutines for %d pulls, want about 100", n, pulls)
	}
	<-sent
	_ = w.Close()
	// Idle workers stay for a while: what must end are the handlers.
	eventually(t, "the handlers ended", func() bool { return srv.CountSession() == 0 && runningHandlers() == 0 })
}

// runningHandlers counts goroutines in the handlers of TestHandlersAreBounded.
func runningHandlers() int {
	return strings.Count(allStacks(), "TestHandlersAreBounded.func1(")
}

// Nor may a session's thousand callers be told that it is busy.
func TestThousandCallersOnOneConnection(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	var wg sync.WaitGroup
	for c := range 1000 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 5 {
				want := fmt.Sprintf("%d/%d", c, i)
				if got, rerr := tp.Pull[string](sess, "/echo", want); rerr != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, rerr, want)
				}
			}
		}()
	}
	wg.Wait()
}

// secretJSON panics when it is encoded or decoded.
type secretJSON struct{}

func (secretJSON) MarshalJSON() ([]byte, error)  { panic("hush") }
func (*secretJSON) UnmarshalJSON(b []byte) error { panic("hush") }

// secretProto panics when it packs a reply with a body.
type secretProto struct{ socket.Proto }

func (p secretProto) Pack(packet *socket.Packet) error {
	if packet.Ptype() == tp.TypeReply && packet.Body() != nil {
		panic("hush")
	}
	return p.Proto.Pack(packet)
}

// secretFilter panics when the server packs.
type secretFilter struct{ armed *atomic.Bool }

func (secretFilter) Id() byte                            { return 0xf5 }
func (secretFilter) OnUnpack(src []byte) ([]byte, error) { return src, nil }
func (f secretFilter) OnPack(src []byte) ([]byte, error) {
	if f.armed.Load() {
		panic("hush")
	}
	return src, nil
}

// What a panic says, and where it was, is for the log and not for the caller.
func TestTextOfAPanicStaysHere(t *testing.T) {
	armed := new(atomic.Bool)
	xfer.Replace(secretFilter{armed})
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log})
	tp.RegPull(srv.PullRouter, "reply", func(tp.PullCtx, *int) (secretJSON, *tp.Rerror) { return secretJSON{}, nil })
	tp.RegPull(srv.PullRouter, "args", func(tp.PullCtx, *secretJSON) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(srv.PullRouter, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { armed.Store(true); return 1, nil })
	proto := func(rw io.ReadWriter) socket.Proto { return secretProto{socket.NewFastProto(rw)} }
	plain, packed := serve(t, srv), serve(t, srv, proto)
	cli := newPeer(t, tp.PeerConfig{})
	for _, c := range []struct {
		name, addr, uri string
		setting         []socket.PacketSetting
		code            int32
	}{
		{"reply", plain, "/reply", nil, tp.CodeInternalServerError},
		{"args", plain, "/args", nil, tp.CodeBadPacket},
		{"proto", packed, "/fine", nil, tp.CodeInternalServerError},
		{"filter", plain, "/fine", []socket.PacketSetting{tp.WithXferPipe(0xf5)}, tp.CodeInternalServerError},
	} {
		armed.Store(false)
		logged := strings.Count(log.String(), `a body of "`)
		rerr := dial(t, cli, c.addr).Pull(c.uri, 1, nil, c.setting...).Rerror()
		wantCode(t, rerr, c.code, "it panicked")
		if strings.Contains(rerr.String(), "hush") || strings.Contains(rerr.String(), ".go") {
			t.Errorf("%s: the caller is told %v", c.name, rerr)
		}
		if n := strings.Count(log.String(), `a body of "`); n != logged+1 {
			t.Errorf("%s: the log has %d more lines of the panic, want 1", c.name, n-logged)
		}
	}
	if !strings.Contains(log.String(), "handler_ctx_test.go") {
		t.Error("the log has no stack")
	}
}
