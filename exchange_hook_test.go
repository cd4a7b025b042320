package tp_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// overs records the exchanges that are over, as "launched|handled pull|push path
// handler code".
type overs struct {
	mu   sync.Mutex
	list []string
	cost []time.Duration
}

func (o *overs) plugin() everyHook {
	return oneHook("overs", "PostExchange", func(ctx interface{}) *tp.Rerror {
		c := ctx.(tp.ExchangeCtx)
		line := "handled"
		if c.IsLaunched() {
			line = "launched"
		}
		if c.IsPull() {
			line += " pull "
		} else {
			line += " push "
		}
		line += c.Path()
		if h := c.Handler(); h != nil {
			line += " by " + h.Name()
		}
		if rerr := c.Rerror(); rerr != nil {
			line += fmt.Sprintf(" %d", rerr.Code)
		}
		if c.Session() == nil || c.Peer() == nil || c.Context() == nil || c.Input() == nil || c.Output() == nil {
			line += " with nil"
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.list, o.cost = append(o.list, line), append(o.cost, c.CostTime())
		return nil
	})
}

// want waits until exactly those were seen, in any order.
func (o *overs) want(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("got  %q\nwant %q", got, want)
		}
	}()
	eventually(t, "the exchanges are seen", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		got = slices.Sorted(slices.Values(o.list))
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, d := range o.cost {
		if d < 0 || d > time.Hour {
			t.Errorf("%s took %v", o.list[i], d)
		}
	}
	o.list, o.cost = nil, nil
}

// Each end of an exchange is seen once, on either side, also where no other hook is.
func TestPostExchangeSeesEachEnd(t *testing.T) {
	t.Parallel()
	var atSrv, atCli overs
	release := make(chan struct{})
	srv := newPeer(t, tp.PeerConfig{MaxSessionHandlers: 2}, atSrv.plugin())
	r := srv.PullRouter
	tp.RegPull(r, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(r, "fails", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, tp.NewRerror(1234, "no") })
	tp.RegPull(r, "panics", func(tp.PullCtx, *int) (int, *tp.Rerror) { panic("secret") })
	tp.RegPull(r, "waits", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		select {
		case <-release:
		case <-ctx.Context().Done():
		}
		return 1, nil
	})
	r.Group("any").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
	tp.RegPull(r.Dispatch(tp.DispatchInline), "inline", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	tp.RegPush(srv.PushRouter, "push", func(tp.PushCtx, *int) {})
	tp.RegPush(srv.PushRouter, "panics", func(tp.PushCtx, *int) { panic("secret") })
	cli := newPeer(t, tp.PeerConfig{}, atCli.plugin())
	sess := dial(t, cli, serve(t, srv))

	pull := func(uri string) { sess.Pull(uri, 1, nil) }
	pull("/fine?a=b")
	pull("/inline")
	pull("/fails")
	pull("/panics")
	pull("/nowhere")
	pull("/any/thing")
	sess.Pull("/fine", "no number", nil)
	atCli.want(t, "launched pull /fine", "launched pull /inline", "launched pull /fails 1234", "launched pull /panics 500",
		"launched pull /nowhere 404", "launched pull /any/thing", "launched pull /fine 400")
	atSrv.want(t, "handled pull /fine by /fine", "handled pull /inline by /inline", "handled pull /fails by /fails 1234",
		"handled pull /panics by /panics 500", "handled pull /nowhere 404", "handled pull /any/thing by /any", "handled pull /fine by /fine 400")

	noRerror(t, sess.Push("/push", 1))
	noRerror(t, sess.Push("/panics", 1))
	noRerror(t, sess.Push("/nowhere", 1))
	wantCode(t, sess.Push("", 1), tp.CodeBadPacket, "")
	atCli.want(t, "launched push /push", "launched push /panics", "launched push /nowhere", "launched push  400")
	atSrv.want(t, "handled push /push by /push", "handled push /panics by /panics 500", "handled push /nowhere 404")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *tp.PullCmd, 3)
	sess.GoPull("/waits", 1, nil, done, tp.WithContext(ctx))
	sess.GoPull("/waits", 1, nil, done)
	eventually(t, "two handlers run", func() bool { return srv.Stats().Handlers == 2 })
	pull("/fine") // one too many
	atSrv.want(t, "handled pull /fine 503")
	cancel()
	atSrv.want(t, "handled pull /waits by /waits 499")
	_ = sess.Close()
	close(release)
	atCli.want(t, "launched pull /fine 503", "launched pull /waits 499", "launched pull /waits")
	atSrv.want(t, "handled pull /waits by /waits")
	pull("/fine")
	atCli.want(t, "launched pull /fine 102")
}

// Exchanges that wait in line when their link ends are over too.
func TestPostExchangeOfDroppedOnes(t *testing.T) {
	t.Parallel()
	var atSrv overs
	srv := newPeer(t, tp.PeerConfig{CloseTimeout: -1}, atSrv.plugin())
	running, release := make(chan struct{}), make(chan struct{})
	tp.RegPush(srv.PushRouter, "first", func(tp.PushCtx, *int) {
		close(running)
		<-release
	})
	tp.RegPush(srv.PushRouter, "next", func(tp.PushCtx, *int) {})
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchOrdered), "pull", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	cli := newPeer(t, tp.PeerConfig{CloseTimeout: -1})
	sess := dial(t, cli, serve(t, srv))
	noRerror(t, sess.Push("/first", 1))
	receive(t, running)
	noRerror(t, sess.Push("/next", 1))
	sess.GoPull("/pull", 1, nil, make(chan *tp.PullCmd, 1))
	eventually(t, "all are there", func() bool { return srv.Stats().Handlers == 3 })
	_ = only(t, srv).Close()
	close(release)
	eventually(t, "all are over", func() bool {
		atSrv.mu.Lock()
		defer atSrv.mu.Unlock()
		return len(atSrv.list) == 3
	})
}

// postExchangeOnly is a plugin without the other hooks of everyHook.
type postExchangeOnly struct{ p everyHook }

func (p postExchangeOnly) Name() string { return p.p.Name() }

func (p postExchangeOnly) PostExchange(c tp.ExchangeCtx) *tp.Rerror { return p.p.PostExchange(c) }

// A broadcast is encoded once also with such a plugin, which does not see it. With one
// that sees the pushes of a broadcast, it sees the end of each.
func TestPostExchangeOfBroadcasts(t *testing.T) {
	t.Parallel()
	var alone, beside overs
	broadcastWith(t, postExchangeOnly{alone.plugin()})
	alone.want(t, "launched push /news")
	broadcastWith(t, beside.plugin())
	beside.want(t, "launched push /news", "launched push /news", "launched push /news")
}

// broadcastWith broadcasts twice and pushes once.
func broadcastWith(t *testing.T, plugin tp.Plugin) {
	t.Helper()
	srv := newPeer(t, tp.PeerConfig{}, plugin)
	got := make(chan int, 8)
	cli := newPeer(t, tp.PeerConfig{})
	tp.RegPush(cli.PushRouter, "news", func(_ tp.PushCtx, n *int) { got <- *n })
	dial(t, cli, serve(t, srv))
	eventually(t, "the session is there", func() bool { return srv.CountSession() == 1 })
	for i := range 2 {
		if n, rerr := srv.Broadcast("/news", i, nil); rerr != nil || n.Sent != 1 {
			t.Fatal(n, rerr)
		}
		receive(t, got)
	}
	noRerror(t, only(t, srv).Push("/news", 7))
}
