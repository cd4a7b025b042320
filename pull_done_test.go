package tp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// doneHook is a plugin that has itself told when each pull is over.
type doneHook struct {
	mu    sync.Mutex
	began int
	ended []*tp.Rerror
	order []string
}

func (h *doneHook) Name() string { return "done" }

func (h *doneHook) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began++
	cmd := ctx.(*tp.PullCmd)
	for _, name := range []string{"first", "second"} {
		cmd.OnDone(func(*tp.Rerror) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.order = append(h.order, name)
		})
	}
	cmd.OnDone(func(*tp.Rerror) { panic("of no matter") })
	cmd.OnDone(func(rerr *tp.Rerror) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = append(h.ended, rerr)
	})
	return nil
}

// take returns the codes with which pulls were over, 0 for none, and forgets them.
func (h *doneHook) take(t testing.TB) (codes []int32) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began != len(h.ended) {
		t.Errorf("%d pulls have begun, %d are over", h.began, len(h.ended))
	}
	if got, want := strings.Join(h.order, " "), strings.TrimSpace(strings.Repeat("second first ", h.began)); got != want {
		t.Errorf("the functions ran in the order %q, want %q", got, want)
	}
	for _, rerr := range h.ended {
		if rerr == nil {
			codes = append(codes, 0)
		} else {
			codes = append(codes, rerr.Code)
		}
	}
	h.began, h.ended, h.order = 0, nil, nil
	return codes
}

func (h *doneHook) want(t testing.TB, what string, codes ...int32) {
	t.Helper()
	if got := h.take(t); fmt.Sprint(got) != fmt.Sprint(codes) {
		t.Errorf("%s: the pulls were over with %v, want %v", what, got, codes)
	}
}

// Whatever comes of a pull, the plugin is told once, before its caller is.
func TestOnDone(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	release := make(chan struct{})
	tp.RegPull(srv.PullRouter, "ok", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(srv.PullRouter, "bad", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, tp.NewRerror(1001, "bad") })
	tp.RegPull(srv.PullRouter, "wait", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		select {
		case <-release:
		case <-ctx.Context().Done():
		}
		return 0, nil
	})
	hook := new(doneHook)
	cli := newPeer(t, tp.PeerConfig{}, hook, oneHook("veto", "PreWritePull", func(ctx interface{}) *tp.Rerror {
		if ctx.(tp.WriteCtx).Output().Uri() == "/veto" {
			return tp.NewRerror(1002, "veto")
		}
		return nil
	}))
	sess := dial(t, cli, serve(t, srv))

	noRerror(t, sess.Pull("/ok", 1, new(int)).Rerror())
	hook.want(t, "a reply", 0)
	_, _ = tp.Pull[int](sess, "/ok", 1)
	hook.want(t, "a typed reply", 0)
	sess.Pull("/bad", 1, nil)
	hook.want(t, "an error", 1001)
	sess.Pull("/veto", 1, nil)
	hook.want(t, "a veto", 1002)
	sess.Pull("/ok", 1, new(string))
	hook.want(t, "a reply that cannot be decoded", tp.CodeBadPacket)
	sess.Pull("/ok", make(chan int), nil)
	hook.want(t, "args that cannot be encoded", tp.CodeBadPacket)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	sess.Pull("/wait", 1, nil, tp.WithContext(ctx))
	hook.want(t, "a deadline", tp.CodeTimeout)
	done := make(chan *tp.PullCmd, 2)
	sess.GoPull("/ok", 1, nil, done)
	sess.GoPull("/bad", 1, nil, done)
	receive(t, done)
	receive(t, done)
	if codes := hook.take(t); len(codes) != 2 || codes[0]+codes[1] != 1001 {
		t.Errorf("two of GoPull: the pulls were over with %v", codes)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		sess.Pull("/ok", goexitArgs{}, nil)
	}()
	receive(t, gone)
	hook.want(t, "a goroutine that ended", tp.CodeInternalServerError)

	sess.GoPull("/wait", 1, nil, done)
	only(t, srv)
	_ = sess.Close()
	close(release)
	if rerr := receive(t, done).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	hook.want(t, "a session that closes", 0)
}

// A pull that is sent again is over on the connection that was lost.
func TestOnDoneOfRedial(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{CloseTimeout: -1})
	calls := make(chan tp.Session, 10)
	tp.RegPull(srv.PullRouter, "x", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		calls <- ctx.Session()
		if len(calls) > 1 {
			return 1, nil
		}
		<-ctx.Context().Done()
		return 0, nil
	})
	hook := new(doneHook)
	sess := dial(t, newPeer(t, tp.PeerConfig{RedialTimes: -1}, hook), serve(t, srv))
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/x", 1, nil, done, tp.WithIdempotent())
	eventually(t, "the handler runs", func() bool { return len(calls) == 1 })
	hook.mu.Lock()
	if len(hook.ended) != 0 {
		t.Error("the pull is over before its reply")
	}
	hook.mu.Unlock()
	_ = only(t, srv).Close() // at once, as this peer is configured
	noRerror(t, receive(t, done).Rerror())
	hook.want(t, "a connection that was lost", tp.CodeConnClosed, 0)
}
