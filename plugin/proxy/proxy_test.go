package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/proxy"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
	"github.com/henrylee2cn/teleport/tptest/relay"
	"github.com/henrylee2cn/teleport/utils"
)

// metaOf returns all pairs of the meta data, but for those that a proxy adds.
func metaOf(args *utils.Args) (pairs []string) {
	args.VisitAll(func(key, value []byte) {
		switch string(key) {
		case proxy.MetaVia, proxy.MetaClient, proxy.MetaRealIP, tp.MetaTimeoutKey:
		default:
			pairs = append(pairs, string(key)+"="+string(value))
		}
	})
	return pairs
}

// Nobody between the two has a codec with these ids.
const (
	pullCodec  = 200
	replyCodec = 201
)

func TestPull(t *testing.T) {
	w := newWorld(t, proxy.Config{ID: "p1"})
	type arrived struct {
		uri, via, ip string
		meta         []string
		codec        byte
		filters      []byte
		body         []byte
		timeouts     int
	}
	got := make(chan arrived, 1)
	w.backend.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
		in := ctx.(tp.ReadCtx).Input()
		got <- arrived{
			ctx.Uri(), string(ctx.GetMeta(proxy.MetaVia)), string(ctx.GetMeta(proxy.MetaRealIP)), metaOf(in.Meta()),
			ctx.GetBodyCodec(), in.XferPipe().Ids(), *body, len(in.Meta().PeekMulti(tp.MetaTimeoutKey)),
		}
		out := ctx.(tp.WriteCtx).Output()
		out.Meta().Add("color", "red")
		out.Meta().Add("color", "blue")
		ctx.SetBodyCodec(replyCodec)
		return []byte("\x00\xff reply"), nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	body := bytes.Repeat([]byte{0, 'x', 0xff}, 1000)
	for range 2 { // X-Tp-Caps is on the first pull of a connection
		var reply []byte
		cmd := w.client(t).Pull("/a/b?c=1&d=%20", body, &reply, socket.WithBodyCodec(pullCodec), socket.WithContext(ctx),
			socket.WithAddMeta("k", "1"), socket.WithAddMeta("k", "2"), socket.WithXferPipe('g'))
		if cmd.Rerror() != nil {
			t.Fatal(cmd.Rerror())
		}
		a := receive(t, got)
		if a.uri != "/a/b?c=1&d=%20" || a.via != "p1" || a.ip != "127.0.0.1" || !slices.Equal(a.meta, []string{"k=1", "k=2"}) ||
			a.codec != pullCodec || string(a.filters) != "g" || !bytes.Equal(a.body, body) || a.timeouts != 1 {
			t.Errorf("the backend got %.300v", a)
		}
		if string(reply) != "\x00\xff reply" || cmd.InputBodyCodec() != replyCodec || string(cmd.Input().XferPipe().Ids()) != "g" ||
			!slices.Equal(metaOf(cmd.InputMeta()), []string{"color=red", "color=blue"}) {
			t.Errorf("the client got %q in codec %d, %v", reply, cmd.InputBodyCodec(), cmd.Input())
		}
	}
	if s := w.proxy.Stats(); s.ToBackend != 2 || s.Pulls != 0 || s.Failed != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A filter that only the backend wants goes on to the client.
func TestFilterOfTheReply(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	tp.RegPull(w.backend.PullRouter, "x", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		ctx.AddXferPipe('g')
		return []byte("reply"), nil
	})
	cmd := w.client(t).Pull("/x", nil, new([]byte))
	if cmd.Rerror() != nil || string(cmd.Input().XferPipe().Ids()) != "g" {
		t.Errorf("got %v, filters %q", cmd.Rerror(), cmd.Input().XferPipe().Ids())
	}
}

func TestPushesKeepTheirOrder(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	got := make(chan string, 1000)
	w.backend.PushRouter.SetUnknown(func(ctx tp.UnknownPushCtx, body *[]byte) {
		got <- fmt.Sprintf("%s %d %s%s %s", ctx.Uri(), ctx.GetBodyCodec(), ctx.GetMeta("k"), ctx.GetMeta(tp.MetaTimeoutKey), *body)
	})
	sess := w.client(t)
	for i := range cap(got) {
		if rerr := sess.Push("/p?q=1", []byte(strconv.Itoa(i)), socket.WithBodyCodec(pullCodec),
			socket.WithAddMeta("k", "v"), socket.WithAddMeta(tp.MetaTimeoutKey, "5")); rerr != nil {
			t.Fatal(rerr)
		}
	}
	for i := range cap(got) {
		if line, want := receive(t, got), fmt.Sprintf("/p?q=1 %d v %d", pullCodec, i); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
	}
}

// fail registers a handler of the backend that answers with an error.
func fail(w *world, rerr *tp.Rerror, body interface{}) {
	tp.RegPull(w.backend.PullRouter, "fail", func(ctx tp.PullCtx, _ *[]byte) (interface{}, *tp.Rerror) {
		ctx.SetMeta("why", "because")
		return body, rerr
	})
}

func TestErrorOfTheBackend(t *testing.T) {
	for name, body := range map[string]interface{}{"with a body": "more", "without": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proxy.Config{})
			fail(w, tp.NewRerror(1234, "some message", "some \"detail\"\n"), body)
			var reply string
			cmd := w.client(t).Pull("/fail", nil, &reply)
			if got := cmd.Rerror(); got == nil || *got != *tp.NewRerror(1234, "some message", "some \"detail\"\n") {
				t.Errorf("got %v", got)
			}
			if text, _ := body.(string); reply != text {
				t.Errorf("got the body %q", reply)
			}
			if string(cmd.InputMeta().Peek("why")) != "because" || cmd.InputMeta().Has(proxy.MetaError) {
				t.Errorf("got the meta data %s", cmd.InputMeta())
			}
		})
	}
}

// answers is a plugin that answers pulls, with errors that no peer rewrites: as those of
// an older backend are.
type answers struct{ rerr *tp.Rerror }

func (answers) Name() string { return "answers" }

func (a answers) PostReadPullBody(tp.ReadCtx) *tp.Rerror { return a.rerr }

var _ tp.PostReadPullBodyPlugin = answers{}

// What an error says of a call that the handler of the backend made must not be taken
// for what became of the pull, which was executed.
func TestErrorOfAnotherCall(t *testing.T) {
	for _, c := range []struct {
		rerr *tp.Rerror
		code int32
		text string
	}{
		{tp.NewRerror(tp.CodeConnClosed, "Connection Closed", "not sent: the session is closed"), tp.CodeConnClosed, "the backend: not sent: the session is closed"},
		{tp.NewRerror(tp.CodeDialFailed, "Dial Failed", "connection refused"), tp.CodeBadGateway, "the backend: Dial Failed: connection refused (105)"},
		{tp.NewRerror(tp.CodeServiceUnavailable, "busy", "not sent: busy"), tp.CodeBadGateway, "the backend: busy: not sent: busy (503)"},
	} {
		w := newWorld(t, proxy.Config{})
		w.backend.PullRouter.SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil }, answers{c.rerr})
		wantRerror(t, w.client(t).Pull("/fail", nil, nil).Rerror(), c.code, c.text, true)
	}
}

func TestErrorsThatSayNotExecuted(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	tp.RegPush(w.backend.PushRouter, "push", func(tp.PushCtx, *string) {})
	sess := w.client(t)
	// Those of the backend's library.
	wantRerror(t, sess.Pull("/nowhere", nil, nil).Rerror(), tp.CodeNotFound, "/nowhere", false)
	wantRerror(t, sess.Pull("/push", nil, nil).Rerror(), tp.CodePtypeNotAllowed, "pushes", false)
	// Those of the proxy.
	cmd := sess.Pull("/"+strings.Repeat("x", 1000), nil, nil, socket.WithAddMeta("m", strings.Repeat("m", 16360)))
	wantRerror(t, cmd.Rerror(), tp.CodeBadGateway, "not executed: proxy: ", false)
	if string(cmd.InputMeta().Peek(proxy.MetaError)) != w.proxy.ID() {
		t.Errorf("got the meta data %s", cmd.InputMeta())
	}
	_ = w.backend.Close()
	<-w.toBackend.CloseNotify()
	cmd = sess.Pull("/nowhere", nil, nil)
	wantRerror(t, cmd.Rerror(), tp.CodeBadGateway, "not executed: proxy: ", false)
	if string(cmd.InputMeta().Peek(proxy.MetaError)) != w.proxy.ID() {
		t.Errorf("got the meta data %s", cmd.InputMeta())
	}
	if s := w.proxy.Stats(); s.Failed != 2 {
		t.Errorf("stats %+v", s)
	}
}

// The backend is lost while it handles the pull.
func TestLostBackend(t *testing.T) {
	backend := newPeer(t, tp.PeerConfig{CloseTimeout: -1})
	r, err := relay.New(tptest.Serve(t, backend), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	w := &world{backend: backend, log: new(logBook)}
	w.proxyTo(t, r.Addr(), proxy.Config{})
	began := make(chan struct{})
	tp.RegPull(backend.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		close(began)
		<-ctx.Context().Done()
		return nil, nil
	})
	go func() {
		<-began
		_ = r.Close()
	}()
	wantRerror(t, w.client(t).Pull("/wait", nil, nil).Rerror(), tp.CodeBadGateway, "proxy: ", true)
}

// veto refuses replies.
type veto struct{}

func (veto) Name() string { return "veto" }

func (veto) PreReadReplyBody(tp.ReadCtx) *tp.Rerror {
	return tp.NewRerror(tp.CodeServiceUnavailable, "I do not want it", "not sent: at all")
}

var _ tp.PreReadReplyBodyPlugin = veto{}

// A plugin of the back that refuses a reply cannot undo what was executed.
func TestRefusedReply(t *testing.T) {
	w := &world{backend: newPeer(t, tp.PeerConfig{}), log: new(logBook)}
	w.proxyTo(t, tptest.Serve(t, w.backend), proxy.Config{}, veto{})
	for _, rerr := range []*tp.Rerror{nil, tp.NewRerror(1234, "backend")} {
		tp.RegPull(w.backend.PullRouter, fmt.Sprint("fail", rerr != nil), func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { return nil, rerr })
		wantRerror(t, w.client(t).Pull(fmt.Sprint("/fail", rerr != nil), nil, nil).Rerror(), tp.CodeBadGateway, "proxy: I do not want it", true)
	}
}

func TestBackendFuncFails(t *testing.T) {
	for _, c := range []struct {
		rerr *tp.Rerror
		code int32
		text string
	}{
		{nil, tp.CodeBadGateway, "not executed: proxy: there is no backend for it"},
		{tp.NewRerror(1001, "no", "room"), 1001, "not executed: room"},
		{tp.NewRerror(1001, "no", "not sent: room"), 1001, "not executed: not sent: room"},
		{tp.NewRerror(tp.CodeDialFailed, "Dial Failed", "refused"), tp.CodeBadGateway, "not executed: proxy: Dial Failed: refused (105)"},
	} {
		w := newWorld(t, proxy.Config{Backend: func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return nil, c.rerr }})
		sess := w.client(t)
		cmd := sess.Pull("/x", nil, nil)
		wantRerror(t, cmd.Rerror(), c.code, c.text, false)
		if string(cmd.InputMeta().Peek(proxy.MetaError)) != w.proxy.ID() {
			t.Errorf("got the meta data %s", cmd.InputMeta())
		}
		for range 5 {
			if rerr := sess.Push("/x", nil); rerr != nil {
				t.Fatal(rerr)
			}
		}
		eventually(t, "5 pushes are dropped", func() bool { return w.proxy.Stats().Dropped == 5 })
		if n := strings.Count(w.log.String(), "push"); n < 1 || n > 3 || !strings.Contains(w.log.String(), "/x") {
			t.Errorf("%d lines of them in the log:\n%s", n, w.log)
		}
	}
}

// waiter has a handler that waits until its context ends.
type waiter struct {
	began chan time.Duration // until its deadline; 0 if there is none
	ended chan struct{}
}

// serveWait registers the handler as "/wait".
func serveWait(p *tp.Peer) waiter {
	w := waiter{make(chan time.Duration, 1), make(chan struct{}, 1)}
	tp.RegPull(p.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		var left time.Duration
		if deadline, bounded := ctx.Context().Deadline(); bounded {
			left = max(time.Until(deadline), 1)
		}
		w.began <- left
		<-ctx.Context().Done()
		w.ended <- struct{}{}
		return nil, nil
	})
	return w
}

// wantEnds checks that the handler, pulled over sess, ends when its caller gives up, and by
// the caller's deadline.
func (w waiter) wantEnds(t *testing.T, sess tp.Session, setting ...socket.PacketSetting) {
	t.Helper()
	done := make(chan *tp.PullCmd, 1)
	pull := func(ctx context.Context) {
		sess.GoPull("/wait", nil, nil, done, append(slices.Clip(setting), socket.WithContext(ctx))...)
	}

	ctx, cancel := context.WithCancel(t.Context())
	pull(ctx)
	if receive(t, w.began) != 0 {
		t.Error("there is a deadline that nobody set")
	}
	cancel()
	receive(t, w.ended)
	wantRerror(t, receive(t, done).Rerror(), tp.CodeCanceled, "", true)

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	pull(ctx)
	if left := receive(t, w.began); left == 0 || left >= time.Hour {
		t.Error("the deadline did not arrive")
	}
	receive(t, w.ended)
	wantRerror(t, receive(t, done).Rerror(), tp.CodeTimeout, "", true)
}

func TestDeadlineAndCancel(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	wait := serveWait(w.backend)
	sess := dial(t, newPeer(t, tp.PeerConfig{CloseTimeout: 100 * time.Millisecond}), w.addr)
	sess.Pull("/nowhere", nil, nil) // now both connections know that the other side understands CANCEL
	wait.wantEnds(t, sess)

	sess.GoPull("/wait", nil, nil, make(chan *tp.PullCmd, 1))
	receive(t, wait.began)
	_ = sess.Peer().Close() // cuts its pull off, and with it that to the backend
	receive(t, wait.ended)
}

// What a backend pulls from a client ends with the backend's deadline, and when it gives up.
func TestDeadlineAndCancelToClient(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	askBack(w.backend)
	peer, _ := namedPeer(t, "ann")
	wait := serveWait(peer)
	token, rerr := tp.Pull[string](dial(t, peer, w.addr), "/token", nil)
	if rerr != nil {
		t.Fatal(rerr)
	}
	var toProxy tp.Session
	w.backend.RangeSession(func(s tp.Session) bool { toProxy = s; return false })
	toClient := socket.WithAddMeta(proxy.MetaClient, token)
	if rerr := toProxy.Pull("/name", "x", nil, toClient).Rerror(); rerr != nil { // now all know who understands CANCEL
		t.Fatal(rerr)
	}
	wait.wantEnds(t, toProxy, toClient)
}

// A Backend that panics costs the pull or push, and nothing else.
func TestBackendPanics(t *testing.T) {
	var calls atomic.Int64
	w := newWorld(t, proxy.Config{Backend: func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) {
		calls.Add(1)
		panic("as told")
	}, MaxPulls: 1})
	sess := w.client(t)
	for range 3 {
		wantRerror(t, sess.Pull("/x", nil, nil).Rerror(), tp.CodeInternalServerError, "", true)
		if rerr := sess.Push("/x", nil); rerr != nil {
			t.Fatal(rerr)
		}
	}
	eventually(t, "it was called for all", func() bool { return calls.Load() == 6 })
	if s := w.proxy.Stats(); s.Pulls != 0 || s.Busy != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestTimeout(t *testing.T) {
	w := newWorld(t, proxy.Config{Timeout: 20 * time.Millisecond})
	ended := make(chan struct{})
	tp.RegPull(w.backend.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		<-ctx.Context().Done()
		close(ended)
		return nil, nil
	})
	cmd := w.client(t).Pull("/wait", nil, nil)
	wantRerror(t, cmd.Rerror(), proxy.CodeGatewayTimeout, "proxy: ", true)
	if !cmd.InputMeta().Has(proxy.MetaError) {
		t.Errorf("got the meta data %s", cmd.InputMeta())
	}
	receive(t, ended)
}

func TestMaxPulls(t *testing.T) {
	w := newWorld(t, proxy.Config{MaxPulls: 3})
	began, release := make(chan struct{}, 3), make(chan struct{})
	tp.RegPull(w.backend.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		began <- struct{}{}
		<-release
		return nil, nil
	})
	sess, done := w.client(t), make(chan *tp.PullCmd, 3)
	for range 3 {
		sess.GoPull("/wait", nil, nil, done)
		receive(t, began)
	}
	wantRerror(t, sess.Pull("/wait", nil, nil).Rerror(), tp.CodeServiceUnavailable, "MaxPulls", false)
	close(release)
	for range 3 {
		if rerr := receive(t, done).Rerror(); rerr != nil {
			t.Error(rerr)
		}
	}
	if rerr := sess.Pull("/wait", nil, nil).Rerror(); rerr != nil {
		t.Error(rerr)
	}
	if s := w.proxy.Stats(); s.Busy != 1 || s.ToBackend != 4 {
		t.Errorf("stats %+v", s)
	}
}

func TestLoop(t *testing.T) {
	front, back := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	var itself tp.Session
	p := proxy.New(proxy.Config{
		Backend: func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return itself, nil },
		Logger:  logger(t, new(logBook)),
	})
	p.Front(front)
	p.Back(back)
	addr := tptest.Serve(t, front)
	itself = dial(t, back, addr)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	wantRerror(t, sess.Pull("/x", nil, nil).Rerror(), proxy.CodeLoopDetected, "through proxy "+p.ID(), false)
	// Between the two there may be proxies of HTTP, which write headers in lower case.
	wantRerror(t, sess.Pull("/x", nil, nil, socket.WithAddMeta("x-proxy-via", "a,"+p.ID())).Rerror(), proxy.CodeLoopDetected, "through proxy "+p.ID(), false)
	if s := p.Stats(); s.ToBackend != 1 {
		t.Errorf("stats %+v: the second one went to the backend", s)
	}
	_ = sess.Push("/x", nil)
	eventually(t, "the push is dropped", func() bool { return p.Stats().Dropped == 1 })
	if s := p.Stats(); s.Loops != 3 || s.ToBackend != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestMaxHops(t *testing.T) {
	w := newWorld(t, proxy.Config{MaxHops: 3})
	fail(w, nil, nil)
	sess := w.client(t)
	if rerr := sess.Pull("/fail", nil, nil, socket.WithAddMeta(proxy.MetaVia, "a,b")).Rerror(); rerr != nil {
		t.Error(rerr)
	}
	for _, via := range []string{"a,b,c", ",,,", strings.Repeat("x,", 2000)} {
		wantRerror(t, sess.Pull("/fail", nil, nil, socket.WithAddMeta(proxy.MetaVia, via)).Rerror(), proxy.CodeLoopDetected, "MaxHops", false)
	}
}

// namedPeer returns a client that answers "/name" and notes pushes.
func namedPeer(t testing.TB, name string) (*tp.Peer, chan string) {
	peer, noted := newPeer(t, tp.PeerConfig{}), make(chan string, 100)
	tp.RegPull(peer.PullRouter, "name", func(ctx tp.PullCtx, question *string) (string, *tp.Rerror) {
		if *question == "fail" {
			return "", tp.NewRerror(1234, "I am "+name)
		}
		return *question + " " + name, nil
	})
	tp.RegPush(peer.PushRouter, "note", func(ctx tp.PushCtx, text *string) {
		noted <- *text + string(ctx.GetMeta(proxy.MetaClient)) + string(ctx.GetMeta(proxy.MetaRealIP))
	})
	return peer, noted
}

// askBack registers "/ask" on a backend, which pulls and pushes back to who pulls.
func askBack(backend *tp.Peer) {
	tp.RegPull(backend.PullRouter, "ask", func(ctx tp.PullCtx, question *string) (string, *tp.Rerror) {
		if rerr := ctx.Session().Push("/note", "for "+*question, proxy.ToClient(ctx)); rerr != nil {
			return "", rerr
		}
		return tp.Pull[string](ctx.Session(), "/name", *question, proxy.ToClient(ctx))
	})
	tp.RegPull(backend.PullRouter, "token", func(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) {
		return string(ctx.GetMeta(proxy.MetaClient)), nil
	})
}

func TestBothDirections(t *testing.T) {
	w := newWorld(t, proxy.Config{})
	askBack(w.backend)
	tokens := map[string]bool{}
	var gone tp.Session
	for _, name := range []string{"ann", "bob", "eve"} {
		peer, noted := namedPeer(t, name)
		sess := dial(t, peer, w.addr)
		for range 3 {
			if got, rerr := tp.Pull[string](sess, "/ask", "I am"); rerr != nil || got != "I am "+name {
				t.Errorf("got %q, %v", got, rerr)
			}
			if text := receive(t, noted); text != "for I am" {
				t.Errorf("noted %q", text)
			}
			token, _ := tp.Pull[string](sess, "/token", nil)
			tokens[token] = true
		}
		cmd := sess.Pull("/ask", "fail", nil) // the error of the client comes back to itself
		wantRerror(t, cmd.Rerror(), 1234, "", true)
		gone = sess
	}
	if len(tokens) != 3 || w.proxy.Stats().Clients != 3 {
		t.Errorf("3 clients have %d tokens; stats %+v", len(tokens), w.proxy.Stats())
	}

	var toProxy tp.Session
	w.backend.RangeSession(func(s tp.Session) bool { toProxy = s; return false })
	wantRerror(t, toProxy.Pull("/name", "x", nil).Rerror(), tp.CodeBadPacket, "X-Proxy-Client", false)
	wantRerror(t, toProxy.Pull("/name", "x", nil, socket.WithAddMeta(proxy.MetaClient, "nobody")).Rerror(), tp.CodeNotFound, "no such client", false)

	token, _ := tp.Pull[string](gone, "/token", nil)
	_ = gone.Close()
	eventually(t, "the client is forgotten", func() bool { return w.proxy.Stats().Clients == 2 })
	wantRerror(t, toProxy.Pull("/name", "x", nil, socket.WithAddMeta(proxy.MetaClient, token)).Rerror(), tp.CodeNotFound, "no such client", false)
	_ = toProxy.Push("/note", "x", socket.WithAddMeta(proxy.MetaClient, token))
	eventually(t, "the push is dropped", func() bool { return w.proxy.Stats().Dropped == 1 })
}

// Two proxies between client and backend, of which the inner one trusts the outer.
func TestChain(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	inner := newWorld(t, proxy.Config{ID: "inner", TrustedProxies: loopback})
	askBack(inner.backend)
	outer := &world{log: new(logBook)}
	outer.proxyTo(t, inner.addr, proxy.Config{ID: "outer"})
	tp.RegPull(inner.backend.PullRouter, "how", func(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) {
		return fmt.Sprintf("%s %s", ctx.GetMeta(proxy.MetaVia), ctx.GetMeta(proxy.MetaRealIP)), nil
	})
	for _, name := range []string{"ann", "bob"} {
		peer, noted := namedPeer(t, name)
		sess := dial(t, peer, outer.addr)
		if got, rerr := tp.Pull[string](sess, "/ask", "I am"); rerr != nil || got != "I am "+name {
			t.Errorf("got %q, %v", got, rerr)
		}
		if text := receive(t, noted); text != "for I am" {
			t.Errorf("noted %q", text)
		}
		if got, rerr := tp.Pull[string](sess, "/how", nil); rerr != nil || got != "outer,inner 127.0.0.1" {
			t.Errorf("got %q, %v", got, rerr)
		}
	}
	_ = inner.backend.Close()
	<-inner.toBackend.CloseNotify()
	cmd := outer.client(t).Pull("/ask", "x", nil)
	wantRerror(t, cmd.Rerror(), tp.CodeBadGateway, "not executed: ", false)
	if id := string(cmd.InputMeta().Peek(proxy.MetaError)); id != "inner" {
		t.Errorf("the error is said to be of %q", id)
	}
}

func TestTrust(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		ip      string
		client  bool
	}{
		"none":    {nil, "127.0.0.1", false},
		"another": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "127.0.0.1", false},
		"this":    {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}, "9.9.9.9", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proxy.Config{TrustedProxies: c.trusted})
			tp.RegPull(w.backend.PullRouter, "who", func(ctx tp.PullCtx, _ *[]byte) ([]string, *tp.Rerror) {
				var all []string
				for _, ip := range ctx.(tp.ReadCtx).Input().Meta().PeekMulti(proxy.MetaRealIP) {
					all = append(all, string(ip))
				}
				return append(all, string(ctx.GetMeta(proxy.MetaClient))), nil
			})
			got, rerr := tp.Pull[[]string](w.client(t), "/who", nil, socket.WithAddMeta(proxy.MetaRealIP, "9.9.9.9"),
				socket.WithAddMeta(proxy.MetaRealIP, "8.8.8.8"), socket.WithAddMeta(proxy.MetaClient, "forged"))
			if rerr != nil || len(got) != 2 || got[0] != c.ip || strings.Contains(got[1], "forged") != c.client {
				t.Errorf("got %q, %v", got, rerr)
			}
		})
	}
}

// HTTP knows no upper and lower case in the names of headers: whatever way a client writes
// that of its address, a backend that speaks HTTP gets it once, from the proxy.
func TestTrustOverHTTP(t *testing.T) {
	for _, trusts := range []bool{false, true} {
		w := &world{backend: newPeer(t, tp.PeerConfig{}), log: new(logBook)}
		tp.RegPull(w.backend.PullRouter, "/who", func(ctx tp.PullCtx, _ *[]byte) ([]string, *tp.Rerror) {
			var ips []string
			ctx.(tp.ReadCtx).Input().Meta().VisitAll(func(key, value []byte) {
				if strings.EqualFold(string(key), proxy.MetaRealIP) {
					ips = append(ips, string(value))
				}
			})
			return ips, nil
		})
		cfg := proxy.Config{}
		if trusts {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		w.front, w.back = newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
		web := httproto.NewProtoFunc()
		sess, rerr := w.back.Dial(listen(t, w.backend, web), web)
		if rerr != nil {
			t.Fatal(rerr)
		}
		cfg.Backend = func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return sess, nil }
		proxy.New(cfg).Front(w.front)
		client, rerr := newPeer(t, tp.PeerConfig{}).Dial(listen(t, w.front, web), web)
		if rerr != nil {
			t.Fatal(rerr)
		}
		want := "127.0.0.1"
		if trusts {
			want = "9.9.9.9"
		}
		got, rerr := tp.Pull[[]string](client, "/who", nil, socket.WithAddMeta("x-real-ip", "9.9.9.9"))
		if rerr != nil || len(got) != 1 || got[0] != want {
			t.Errorf("trusts %v: the backend got %q, %v", trusts, got, rerr)
		}
	}
}

// listen serves a peer in a packet format, and returns its address.
func listen(t *testing.T, p *tp.Peer, format socket.ProtoFunc) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go p.ServeListener(lis, format)
	return lis.Addr().String()
}

// A client that has no IP address cannot give itself one.
func TestNoIP(t *testing.T) {
	w := newWorld(t, proxy.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	tp.RegPull(w.backend.PullRouter, "ip", func(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) {
		return "ip " + string(ctx.GetMeta(proxy.MetaRealIP)), nil
	})
	lis := tptest.NewListener()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.front.ServeListener(lis)
	}()
	conn, err := lis.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sess := newPeer(t, tp.PeerConfig{}).ServeConn(conn)
	if got, rerr := tp.Pull[string](sess, "/ip", nil, socket.WithAddMeta(proxy.MetaRealIP, "9.9.9.9")); rerr != nil || got != "ip " {
		t.Errorf("got %q, %v", got, rerr)
	}
	_ = lis.Close()
	<-ended
}

// Only what is below the given paths is passed on, and what has a handler stays.
func TestPaths(t *testing.T) {
	backend := newPeer(t, tp.PeerConfig{})
	backend.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return "backend " + ctx.Path(), nil })
	front, back := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	toBackend := dial(t, back, tptest.Serve(t, backend))
	p := proxy.New(proxy.Config{Backend: func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return toBackend, nil }})
	p.Front(front, "/a", "/b/c")
	tp.RegPull(front.PullRouter, "/a/here", func(tp.PullCtx, *[]byte) (string, *tp.Rerror) { return "here", nil })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), tptest.Serve(t, front))
	for path, want := range map[string]string{"/a/x": "backend /a/x", "/b/c/y": "backend /b/c/y", "/a/here": "here"} {
		if got, rerr := tp.Pull[string](sess, path, nil); rerr != nil || got != want {
			t.Errorf("%s: got %q, %v", path, got, rerr)
		}
	}
	wantRerror(t, sess.Pull("/b/x", nil, nil).Rerror(), tp.CodeNotFound, "/b/x", false)

	wantPanic(t, "is a front or back already", func() { p.Front(front) })
	wantPanic(t, "is a front or back already", func() { p.Back(front) })
}

func TestConfig(t *testing.T) {
	choose := func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return nil, nil }
	for text, cfg := range map[string]proxy.Config{
		"Config.Backend":  {},
		"Config.ID":       {Backend: choose, ID: "a,b"},
		"Config.MaxHops":  {Backend: choose, MaxHops: -1},
		"MaxPulls = -1":   {Backend: choose, MaxPulls: -1},
		"Timeout = -1ns":  {Backend: choose, Timeout: -1},
		"at most 64 of t": {Backend: choose, ID: strings.Repeat("x", 65)},
	} {
		wantPanic(t, text, func() { proxy.New(cfg) })
	}
	if a, b := proxy.New(proxy.Config{Backend: choose}), proxy.New(proxy.Config{Backend: choose}); a.ID() == b.ID() || a.Name() == b.Name() {
		t.Error("two proxies have one id")
	}
}
