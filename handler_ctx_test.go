package tp_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
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

func noMap() map[string]int { return nil }
