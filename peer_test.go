package tp_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Peer.Close left the port open, and the second one panicked.
func TestPeerCloseFreesThePort(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	addr := serve(t, p)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	receive(t, sess.CloseNotify())
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = lis.Close()
	if addrs := p.Addrs(); len(addrs) != 0 {
		t.Errorf("Addrs of a closed peer: %v", addrs)
	}
	if _, rerr := p.Dial(addr); rerr == nil || rerr.Code != tp.CodeDialFailed {
		t.Errorf("Dial of a closed peer: %v", rerr)
	}
	if err := p.ServeListener(lis); !errors.Is(err, tp.ErrListenClosed) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServeListener of a closed peer: %v", err)
	}
	near, far := net.Pipe()
	defer far.Close()
	if s := p.ServeConn(near); s.IsOk() || s.Health() {
		t.Error("ServeConn of a closed peer returns a session that is ok")
	}
}

func TestPeerCloseConcurrently(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	addr := serve(t, p)
	cli := newPeer(t, tp.PeerConfig{})
	for range 20 {
		dial(t, cli, addr)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
	}
	wg.Wait()
	eventually(t, "the other side has none left", func() bool { return cli.CountSession() == 0 })
}

// A handler that does not return holds up Shutdown until its bound only.
func TestPeerShutdownIsBounded(t *testing.T) {
	for name, shut := range map[string]func(*tp.Peer) error{
		"Shutdown": func(p *tp.Peer) error {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			return p.Shutdown(ctx)
		},
		"Close": func(p *tp.Peer) error { return p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			srv := tp.NewPeer(&tp.PeerConfig{CloseTimeout: 50 * time.Millisecond, Logger: new(logBook)})
			release, begun := make(chan struct{}), make(chan struct{})
			tp.RegPull(srv.PullRouter, "hang", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
				begun <- struct{}{}
				<-release
				return "", nil
			})
			addr := serve(t, srv)
			done := make(chan *tp.PullCmd, 1)
			dial(t, newPeer(t, tp.PeerConfig{}), addr).GoPull("/hang", nil, nil, done)
			receive(t, begun)
			err := shut(srv)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 running handlers") {
				t.Errorf("got %v, want what was cut off", err)
			}
			wantCode(t, receive(t, done).Rerror(), tp.CodeConnClosed, "")
			if again := srv.Close(); again != err {
				t.Errorf("the second time it returns %v", again)
			}
			close(release)
		})
	}
}

// Whoever calls Close from a goroutine that Close waits for gets it back when
// the bound has passed: an inline handler, a hook, and an ordered handler.
func TestPeerCloseFromWhereItWaits(t *testing.T) {
	for _, where := range []string{"pull", "inline pull", "ordered push", "header hook", "PostAccept", "PostDisconnect"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			var p *tp.Peer
			shut := func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				_ = p.Shutdown(ctx)
				close(closed)
			}
			at := func(here string) {
				if here == where {
					shut()
				}
			}
			p = tp.NewPeer(&tp.PeerConfig{Logger: new(logBook)},
				&sessionHooks{
					accept: func(tp.PreSession) *tp.Rerror { at("PostAccept"); return nil },
					gone:   func(tp.PostSession) { at("PostDisconnect") },
				},
				headerHook(func(tp.ReadCtx) { at("header hook") }))
			call := func(ctx tp.PullCtx, arg *string) (string, *tp.Rerror) { at(*arg); return "", nil }
			tp.RegPull(p.PullRouter, "pull", call)
			tp.RegPull(p.PullRouter.Dispatch(tp.DispatchInline), "inline", call)
			tp.RegPush(p.PushRouter, "push", func(_ tp.PushCtx, arg *string) { at(*arg) })
			w := dialWire(t, serve(t, p))
			switch where {
			case "pull", "header hook":
				w.send(jsonPull(0, "/pull", `"pull"`))
			case "inline pull":
				w.send(jsonPull(0, "/inline", `"inline pull"`))
			case "ordered push":
				w.send(frame{ptype: tp.TypePush, uri: "/push", codec: 'j', body: `"ordered push"`})
			case "PostDisconnect":
				_ = w.Close()
			}
			receive(t, closed)
			_ = w.Close()
		})
	}
}

// headerHook is a plugin that runs when a pull has arrived.
type headerHook func(tp.ReadCtx)

func (h headerHook) Name() string { return "header-hook" }

func (h headerHook) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	h(ctx)
	return nil
}

// A hook that ends its goroutine must not leave a session behind that Close
// waits for.
func TestPeerCloseAfterAHookEndedItsGoroutine(t *testing.T) {
	exit := func(tp.PreSession) *tp.Rerror { runtime.Goexit(); return nil }
	addr := serve(t, newPeer(t, tp.PeerConfig{}, &sessionHooks{accept: exit}))
	dialWire(t, addr).wantClosed()
	cli := newPeer(t, tp.PeerConfig{}, &sessionHooks{dial: exit})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = cli.Dial(addr)
	}()
	receive(t, ended)

	gone := newPeer(t, tp.PeerConfig{}, &sessionHooks{gone: func(tp.PostSession) { runtime.Goexit() }})
	w := dialWire(t, serve(t, gone))
	sess := only(t, gone)
	_ = w.Close()
	receive(t, sess.CloseNotify())
}

// CloseTimeout negative closes at once.
func TestPeerCloseWithoutADrain(t *testing.T) {
	srv := tp.NewPeer(&tp.PeerConfig{CloseTimeout: -1, Logger: new(logBook)})
	begun := make(chan struct{}, 2)
	tp.RegPull(srv.PullRouter, "hang", func(ctx tp.PullCtx, _ *interface{}) (string, *tp.Rerror) {
		begun <- struct{}{}
		<-ctx.Context().Done()
		return "", nil
	})
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	for _, shut := range []func() error{
		func() error { return only(t, srv).Close() },
		func() error { _ = srv.Close(); return nil }, // it tells what it cut off
	} {
		done := make(chan *tp.PullCmd, 1)
		sess := dial(t, cli, addr)
		sess.GoPull("/hang", nil, nil, done)
		receive(t, begun)
		if err := shut(); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantCode(t, receive(t, done).Rerror(), tp.CodeConnClosed, "")
		receive(t, sess.CloseNotify())
		eventually(t, "it is gone", func() bool { return srv.CountSession() == 0 })
	}
}
