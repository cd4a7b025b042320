package tp_test

import (
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// A handler that panicked hung its caller. The caller learns that it failed,
// and the log what happened.
func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	for _, mode := range []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchOrdered, tp.DispatchInline} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			var book logBook
			srv := newPeer(t, tp.PeerConfig{Logger: &book})
			tp.RegPull(srv.PullRouter.Dispatch(mode), "pull", func(tp.PullCtx, *int) (int, *tp.Rerror) { panic("secret") })
			tp.RegPush(srv.PushRouter.Dispatch(mode), "push", func(tp.PushCtx, *int) { panic("secret") })
			echo(srv)
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			_, rerr := tp.Pull[int](sess, "/pull", 1)
			wantCode(t, rerr, tp.CodeInternalServerError, "the handler failed")
			if strings.Contains(rerr.String(), "secret") {
				t.Errorf("the text of the panic goes to the caller: %v", rerr)
			}
			noRerror(t, sess.Push("/push", 1))
			for _, want := range []string{`the handler of PULL "/pull" panicked: secret`, `the handler of PUSH "/push" panicked: secret`, "handler_test.go"} {
				eventually(t, "the log has "+want, func() bool { return strings.Contains(book.String(), want) })
			}
			noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
		})
	}
}

// A handler may return a body beside its error; without one the error alone
// must arrive.
func TestHandlerReturnsRerror(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "both", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 3, tp.NewRerror(0, "code 0", "detail\nof two lines") })
	tp.RegPull(srv.PullRouter, "alone", func(tp.PullCtx, *int) (interface{}, *tp.Rerror) { return nil, tp.NewRerror(-7, "negative") })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	got, rerr := tp.Pull[int](sess, "/both", 1)
	wantCode(t, rerr, 0, "code 0 detail\nof two lines")
	if got != 3 {
		t.Errorf("got %d beside the error, want 3", got)
	}
	got, rerr = tp.Pull[int](sess, "/alone", 1)
	wantCode(t, rerr, -7, "negative")
	if got != 0 {
		t.Errorf("got %d beside the error, want 0", got)
	}
}

// A reply that is too large must not leave the caller waiting: not one with
// a large body, nor one with large meta data, which the error goes with too,
// nor one whose error does not fit either.
func TestReplyOverThePacketLimit(t *testing.T) {
	t.Parallel()
	for _, mode := range []tp.DispatchMode{tp.DispatchConcurrent, tp.DispatchInline} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			srv := newPeer(t, tp.PeerConfig{PacketSizeLimit: 2000})
			router := srv.PullRouter.Dispatch(mode)
			tp.RegPull(router, "body", func(tp.PullCtx, *int) ([]byte, *tp.Rerror) { return make([]byte, 2000), nil })
			tp.RegPull(router, "meta", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
				ctx.SetMeta("m", strings.Repeat("x", 2000))
				return 1, nil
			})
			tp.RegPull(router, "error", func(tp.PullCtx, *int) (int, *tp.Rerror) {
				return 0, tp.NewRerror(1, strings.Repeat("x", 2000))
			})
			tp.RegPull(router, "error_and_meta", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
				ctx.SetMeta("m", strings.Repeat("x", 2000))
				return 0, tp.NewRerror(1, strings.Repeat("x", 2000))
			})
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			for _, uri := range []string{"/body", "/meta", "/error", "/error_and_meta", "/body"} {
				done := make(chan *tp.PullCmd, 1)
				sess.GoPull(uri, 1, nil, done)
				rerr := receive(t, done).Rerror()
				wantCode(t, rerr, tp.CodeInternalServerError, "the limit is 2000")
			}
		})
	}
	t.Run("no room for an error", func(t *testing.T) {
		t.Parallel()
		var book logBook
		srv := newPeer(t, tp.PeerConfig{PacketSizeLimit: 80, Logger: &book})
		tp.RegPull(srv.PullRouter, "body", func(tp.PullCtx, *int) ([]byte, *tp.Rerror) { return make([]byte, 100), nil })
		sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
		done := make(chan *tp.PullCmd, 1)
		sess.GoPull("/body", 1, nil, done)
		wantCode(t, receive(t, done).Rerror(), tp.CodeConnClosed, "")
		eventually(t, "the log says why", func() bool { return strings.Contains(book.String(), "cannot be answered") })
	})
}
