package tp_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Shutdown returns when its context has ended, whatever the user's code in the
// goroutine of a session is doing, be it Shutdown itself.
func TestShutdownDoesNotWaitForUserCode(t *testing.T) {
	shutdown := func(p *tp.Peer, returned chan<- error) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		returned <- p.Shutdown(ctx)
	}
	for _, where := range []string{"inline handler", "header hook", "PostAccept", "PostDisconnect"} {
		t.Run(where, func(t *testing.T) {
			returned := make(chan error, 1)
			here := func(at string, p *tp.Peer) {
				if at == where {
					shutdown(p, returned)
				}
			}
			p := newBarePeer(&sessionHooks{
				accept: func(s tp.PreSession) *tp.Rerror { here("PostAccept", s.Peer()); return nil },
				gone:   func(s tp.PostSession) { here("PostDisconnect", s.Peer()) },
			}, &pushHeaderHook{func(ctx tp.ReadCtx) { here("header hook", ctx.Peer()) }})
			tp.RegPush(p.PushRouter.Dispatch(tp.DispatchInline), "inline", func(ctx tp.PushCtx, _ *int) {
				here("inline handler", ctx.Peer())
			})
			client := dialWire(t, serve(t, p))
			client.send(frame{ptype: tp.TypePush, uri: "/inline"})
			if where == "PostDisconnect" {
				_ = client.Close()
			}
			if err := receive(t, returned); err == nil {
				t.Error("Shutdown cut a session off and returned nil")
			}
		})
	}
}

// What ends its goroutine, as a failing test does, must not leave behind a
// session that Shutdown waits for.
func TestShutdownAfterGoexit(t *testing.T) {
	for _, where := range []string{"PostAccept", "PostDial", "PostDisconnect", "header hook", "inline handler"} {
		t.Run(where, func(t *testing.T) {
			here := func(at string) {
				if at == where {
					runtime.Goexit()
				}
			}
			p := newBarePeer(&sessionHooks{
				accept: func(tp.PreSession) *tp.Rerror { here("PostAccept"); return nil },
				dial:   func(tp.PreSession) *tp.Rerror { here("PostDial"); return nil },
				gone:   func(tp.PostSession) { here("PostDisconnect") },
			}, &pushHeaderHook{func(tp.ReadCtx) { here("header hook") }})
			tp.RegPush(p.PushRouter.Dispatch(tp.DispatchInline), "inline", func(tp.PushCtx, *int) { here("inline handler") })
			addr := serve(t, p)
			if where == "PostDial" {
				ended := make(chan bool)
				go func() {
					defer close(ended)
					_, _ = p.Dial(addr)
				}()
				<-ended
			} else {
				client := dialWire(t, addr)
				client.send(frame{ptype: tp.TypePush, uri: "/inline"})
				if where == "PostDisconnect" {
					_ = client.Conn.(*net.TCPConn).CloseWrite()
				}
				client.wantClosed()
			}
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// When it is over, Shutdown says how it was, whatever ctx it is given.
func TestShutdownAgainWithAnEndedContext(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := p.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// newBarePeer returns a peer that the test need not close by itself.
func newBarePeer(plugins ...tp.Plugin) *tp.Peer {
	return tp.NewPeer(&tp.PeerConfig{Logger: new(logBook)}, plugins...)
}

// pushHeaderHook is a plugin that sees the headers of pushes.
type pushHeaderHook struct{ on func(tp.ReadCtx) }

func (*pushHeaderHook) Name() string { return "header-hook" }

func (h *pushHeaderHook) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror {
	h.on(ctx)
	return nil
}
