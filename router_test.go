package tp_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestRouterPaths(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	root := peer.PullRouter
	where := func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) { return ctx.Path(), nil }
	for _, test := range []struct {
		router *tp.Router
		name   string
		want   string
	}{
		{root, "a", "/a"},
		{root, "/b", "/b"},
		{root, "c/", "/c"},
		{root, "//d//e", "/d/e"},
		{root.Group("g"), "a", "/g/a"},
		{root.Group("/g/"), "/b/", "/g/b"},
		{root.Group("g").Group("h"), "a", "/g/h/a"},
		{root.Group("g/h/i"), "a", "/g/h/i/a"},
		{root.Group(""), "group_without_name", "/group_without_name"},
		{root.Group("/"), "group_of_root", "/group_of_root"},
		{root.Group("g").Group("func_without_name"), "", "/g/func_without_name"},
		{root, "as it is", "/as it is"},
		{root, "CamelCase", "/CamelCase"}, // only names of Go become snake case
		{root, "你好", "/你好"},
	} {
		test.router.RegFunc(test.name, where)
		found := false
		for _, h := range root.Handlers() {
			found = found || h.Name() == test.want
		}
		if !found {
			t.Errorf("%q was not registered as %q", test.name, test.want)
		}
	}
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, peer))
	for uri, path := range map[string]string{
		"/a":                        "/a",
		"/g/h/i/a?x=/y":             "/g/h/i/a",
		"/g/%61":                    "/g/a",
		"/as it is":                 "/as it is",
		"/as%20it%20is":             "/as it is",
		"/%E4%BD%A0%E5%A5%BD?a=%20": "/你好",
		"/d%2Fe":                    "/d/e",
		"/a#fragment":               "/a",
		"a":                         "", // a path begins with a slash
		"/a/":                       "",
		"/A":                        "",
		"/g//a":                     "",
		"/":                         "",
	} {
		got, rerr := tp.Pull[string](sess, uri, nil)
		if path == "" {
			wantCode(t, rerr, tp.CodeNotFound, "no handler of")
		} else if rerr != nil || got != path {
			t.Errorf("%s: got %q, %v; want %q", uri, got, rerr, path)
		}
	}
}

// An unknown path hung the caller for ever.
func TestRouterRefusals(t *testing.T) {
	t.Parallel()
	var book logBook
	srv := newPeer(t, tp.PeerConfig{Logger: &book})
	tp.RegPull(srv.PullRouter, "pull", func(_ tp.PullCtx, args *struct{ N int }) (int, *tp.Rerror) { return args.N, nil })
	tp.RegPush(srv.PushRouter, "push", func(_ tp.PushCtx, args *struct{ N int }) { t.Error("a refused push was handled") })
	raw := dialRaw(t, serve(t, srv))
	tests := []struct {
		name, uri string
		codec     byte
		body      string
		code      int32
		text      string
	}{
		{"unknown path", "/nowhere", 'j', "{}", tp.CodeNotFound, "no handler of /nowhere"},
		{"push path", "/push", 'j', "{}", tp.CodePtypeNotAllowed, "/push is for pushes"},
		{"undecodable args", "/pull", 'j', `{"N":"x"}`, tp.CodeBadPacket, "decode a body"},
		{"half a body", "/pull", 'j', `{"N":`, tp.CodeBadPacket, "decode a body"},
		{"wrong codec for args", "/pull", 'p', "x", tp.CodeBadPacket, "decode a body"},
		{"unknown codec", "/pull", 0xee, "x", tp.CodeNotImplemented, "238"},
		{"no codec", "/pull", 0, "x", tp.CodeNotImplemented, "no codec"},
		{"malformed URI", "/%zz", 'j', "{}", tp.CodeBadPacket, "%zz"},
		{"malformed URI with control characters", "\x00%", 'j', "{}", tp.CodeBadPacket, "invalid"},
		{"empty URI", "", 'j', "{}", tp.CodeNotFound, "no handler of"},
		{"only a query", "?a=1", 'j', "{}", tp.CodeNotFound, "no handler of"},
	}
	for i, test := range tests {
		raw.send(tp.TypePull, uint64(i), test.uri, test.codec, []byte(test.body))
		reply := raw.reply()
		if rerr := reply.rerror(); rerr == nil || rerr.Code != test.code || !strings.Contains(rerr.Detail, test.text) {
			t.Errorf("%s: got %v, want %d with %q", test.name, rerr, test.code, test.text)
		}
		if reply.Seq() != uint64(i) || reply.Uri() != test.uri {
			t.Errorf("%s: the reply has seq %d and URI %q", test.name, reply.Seq(), reply.Uri())
		}
	}
	// Also when the body is empty: the reply could not be encoded.
	raw.send(tp.TypePull, 99, "/pull", 0xee, nil)
	wantCode(t, raw.reply().rerror(), tp.CodeNotImplemented, "238")

	// A push is nobody's to be told of, so the log says it.
	for _, test := range []struct {
		uri, body, code string
	}{
		{"/nowhere", "{}", `"code":404`},
		{"/pull", "{}", `"code":405`},
		{"/push", `{"N":"x"}`, `"code":400`},
		{"/%zz", "{}", `"code":400`},
	} {
		before := len(book.String())
		raw.send(tp.TypePush, 1, test.uri, 'j', []byte(test.body))
		eventually(t, "the dropped push is logged: "+test.uri, func() bool {
			line := book.String()[before:]
			return strings.Contains(line, fmt.Sprintf("push %q dropped", test.uri)) && strings.Contains(line, test.code)
		})
	}

	raw.send(tp.TypePull, 100, "/pull", 'j', []byte(`{"N":3}`))
	if reply := raw.reply(); reply.text() != "3" {
		t.Errorf("after all that the session answers %s, %v", reply.text(), reply.rerror())
	}
}

type (
	pullUnknown     func(tp.UnknownPullCtx) (interface{}, *tp.Rerror)
	pullUnknownBody func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror)
	pushUnknown     func(tp.UnknownPushCtx)
	pushUnknownBody func(tp.UnknownPushCtx, *[]byte)
)

// SetUnknown on a group was ignored.
func TestSetUnknown(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	reply := func(who string) func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		return func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
			return who + " " + string(ctx.InputBodyBytes()), nil
		}
	}
	replyBody := func(who string) func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror) {
		return func(_ tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
			return who + " " + string(*body), nil
		}
	}
	echo(srv)
	group := srv.PullRouter.Group("g")
	tp.RegPull(group, "known", func(tp.PullCtx, *[]byte) (string, *tp.Rerror) { return "known", nil })
	srv.PullRouter.SetUnknown(reply("replaced"))
	srv.PullRouter.SetUnknown(reply("root"))
	group.SetUnknown(replyBody("g"))
	group.Group("deep").SetUnknown(pullUnknown(reply("deep")))
	group.Group("deep/er").SetUnknown(pullUnknownBody(replyBody("deeper")))

	pushed := make(chan string, 1)
	push := func(who string) func(tp.UnknownPushCtx) {
		return func(ctx tp.UnknownPushCtx) { pushed <- who + " " + string(ctx.InputBodyBytes()) }
	}
	pushBody := func(who string) func(tp.UnknownPushCtx, *[]byte) {
		return func(_ tp.UnknownPushCtx, body *[]byte) { pushed <- who + " " + string(*body) }
	}
	srv.PushRouter.SetUnknown(push("root"))
	srv.PushRouter.Group("g").SetUnknown(pushBody("g"))
	srv.PushRouter.Group("g/deep").SetUnknown(pushUnknown(push("deep")))
	srv.PushRouter.Group("g/deep/er").SetUnknown(pushUnknownBody(pushBody("deeper")))

	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for uri, who := range map[string]string{
		"/nowhere": "root", "/": "root", "/gg": "root", "relative": "root", "?q": "root",
		"/g": "g", "/g/": "g", "/g/x?y": "g", "/g/x/y/z": "g", "/g/deeper": "g",
		"/g/deep": "deep", "/g/deep/x": "deep", "/g/deep/err": "deep",
		"/g/deep/er": "deeper", "/g/deep/er/x/y": "deeper", "/g%2Fdeep": "deep",
	} {
		got, rerr := tp.Pull[string](sess, uri, []byte("body"))
		if rerr != nil || got != who+" body" {
			t.Errorf("pull %s: got %q, %v; want %q", uri, got, rerr, who)
		}
		noRerror(t, sess.Push(uri, []byte("body")))
		if got := receive(t, pushed); got != who+" body" {
			t.Errorf("push %s: got %q, want %q", uri, got, who)
		}
	}
	if got, rerr := tp.Pull[string](sess, "/g/known", nil); rerr != nil || got != "known" {
		t.Errorf("the unknown handler hides the known one: %q, %v", got, rerr)
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	peer.PullRouter.SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
	tp.RegPull(peer.PullRouter, "z", func(tp.PullCtx, *[]int) (map[string]int, *tp.Rerror) { return nil, nil })
	inline := peer.PullRouter.Group("g").Dispatch(tp.DispatchInline)
	inline.RegFunc("a", func(tp.PullCtx, **int) (interface{}, *tp.Rerror) { return nil, nil })
	peer.PullRouter.RegFunc("a", func(tp.PullCtx, *struct{}) (*int, *tp.Rerror) { return nil, nil })
	peer.PushRouter.RegFunc("p", func(tp.PushCtx, *interface{}) {})
	peer.PushRouter.Group("g").SetUnknown(func(tp.UnknownPushCtx) {})

	type row struct {
		name, arg, reply, mode    string
		isPull, isPush, isUnknown bool
	}
	rows := func(r *tp.Router) (got []row) {
		for _, h := range r.Handlers() {
			reply := "<nil>"
			if h.ReplyType() != nil {
				reply = h.ReplyType().String()
			}
			got = append(got, row{h.Name(), h.ArgElemType().String(), reply, h.DispatchMode().String(), h.IsPull(), h.IsPush(), h.IsUnknown()})
			if h.Plugins() == nil {
				t.Errorf("%s has no plugins", h.Name())
			}
		}
		return got
	}
	wantPulls := []row{
		{"/", "[]uint8", "interface {}", "concurrent", true, false, true},
		{"/a", "struct {}", "*int", "concurrent", true, false, false},
		{"/g/a", "*int", "interface {}", "inline", true, false, false},
		{"/z", "[]int", "map[string]int", "concurrent", true, false, false},
	}
	if got := rows(peer.PullRouter); !reflect.DeepEqual(got, wantPulls) {
		t.Errorf("pulls:\n got %v\nwant %v", got, wantPulls)
	}
	if got := rows(inline); !reflect.DeepEqual(got, wantPulls) {
		t.Errorf("from a group:\n got %v\nwant %v", got, wantPulls)
	}
	wantPushes := []row{
		{"/g", "[]uint8", "<nil>", "ordered", false, true, true},
		{"/p", "interface {}", "<nil>", "ordered", false, true, false},
	}
	if got := rows(peer.PushRouter); !reflect.DeepEqual(got, wantPushes) {
		t.Errorf("pushes:\n got %v\nwant %v", got, wantPushes)
	}
}

func TestRegistrationWhileServing(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	const routes, registrars = 2000, 4
	stop := make(chan struct{})
	var pulls, regs sync.WaitGroup
	for range 2 {
		pulls.Add(1)
		go func() {
			defer pulls.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if rerr := sess.Pull("/echo", []byte("x"), nil).Rerror(); rerr != nil {
					t.Error(rerr)
					return
				}
			}
		}()
	}
	for r := range registrars {
		regs.Add(1)
		go func() {
			defer regs.Done()
			for i := range routes / registrars {
				tp.RegPull(srv.PullRouter, fmt.Sprintf("%d/%d", r, i), func(tp.PullCtx, *int) (int, *tp.Rerror) { return r*10000 + i, nil })
				if i%100 == 0 {
					srv.PullRouter.Group("g").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
					srv.PullRouter.Handlers()
				}
			}
		}()
	}
	regs.Wait()
	close(stop)
	pulls.Wait()
	if got, want := len(srv.PullRouter.Handlers()), routes+2; got != want {
		t.Errorf("%d handlers are registered, want %d", got, want)
	}
	for _, at := range [][2]int{{0, 0}, {registrars - 1, routes/registrars - 1}} {
		got, rerr := tp.Pull[int](sess, fmt.Sprintf("/%d/%d", at[0], at[1]), 1)
		if want := at[0]*10000 + at[1]; rerr != nil || got != want {
			t.Errorf("got %d, %v; want %d", got, rerr, want)
		}
	}
}

// A handler registered while the peer serves is found at once, and what was
// asked for before is not remembered as missing.
func TestLateRegistrationIsFound(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	wantCode(t, sess.Pull("/echo", []byte("x"), nil).Rerror(), tp.CodeNotFound, "")
	echo(srv)
	noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
}

func TestDuplicatePathPanics(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	pull := func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }
	peer.PullRouter.RegFunc("g/x", pull)
	twice := []string{"/g/x is registered twice", "rename one, or put it in another group"}
	wantPanic(t, func() { peer.PullRouter.RegFunc("/g/x", pull) }, twice...)
	wantPanic(t, func() { tp.RegPull(peer.PullRouter.Group("g"), "x", pull) }, twice...)
	wantPanic(t, func() { peer.PullRouter.Dispatch(tp.DispatchInline).RegFunc("/g/x", pull) }, twice...)
	tp.RegPush(peer.PushRouter, "g/x", func(tp.PushCtx, *int) {}) // the other kind
	if n := len(peer.PullRouter.Handlers()); n != 1 {
		t.Errorf("%d handlers are registered, want 1", n)
	}
}

func TestPathWithQueryPanics(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	pull := func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }
	const why = "a path has no query or fragment"
	wantPanic(t, func() { peer.PullRouter.RegFunc("a?b=1", pull) }, `"a?b=1"`, why)
	wantPanic(t, func() { peer.PullRouter.Group("g?") }, `"g?"`, why)
	wantPanic(t, func() { tp.RegPull(peer.PullRouter, "a#b", pull) }, `"a#b"`, why)
	wantPanic(t, func() { tp.RegPush(peer.PushRouter, "a?", func(tp.PushCtx, *int) {}) }, `"a?"`, why)
}

// Nil args, nil replies and empty pushes hung the other side.
func TestEmptyBodiesBindAndAnswer(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	regEmpty[struct{ N int }](srv, "struct")
	regEmpty[map[string]int](srv, "map")
	regEmpty[string](srv, "string")
	regEmpty[[]byte](srv, "bytes")
	regEmpty[interface{}](srv, "any")
	regEmpty[struct{}](srv, "empty")
	regEmpty[wrapperspb.StringValue](srv, "message")
	pushed := make(chan string, 1)
	srv.PullRouter.Group("unknown").SetUnknown(func(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
		if body == nil || *body == nil {
			t.Error("the unknown handler's body is nil")
		}
		return nil, nil
	})
	srv.PushRouter.SetUnknown(func(ctx tp.UnknownPushCtx, body *[]byte) { pushed <- ctx.Uri() })
	tp.RegPush(srv.PushRouter, "string", func(ctx tp.PushCtx, args *string) { pushed <- ctx.Uri() })
	tp.RegPush(srv.PushRouter, "empty", func(ctx tp.PushCtx, args *struct{}) { pushed <- ctx.Uri() })
	tp.RegPush(srv.PushRouter, "bytes", func(ctx tp.PushCtx, args *[]byte) { pushed <- ctx.Uri() })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))

	for codecID, fits := range map[byte][]string{
		codec.ID_JSON:     {"struct", "map", "string", "bytes", "any", "empty", "message", "unknown"},
		codec.ID_STRING:   {"struct", "map", "string", "bytes", "any", "empty", "message", "unknown"},
		codec.ID_PROTOBUF: {"struct", "map", "string", "bytes", "any", "empty", "message", "unknown"},
	} {
		for _, uri := range fits {
			for _, args := range []interface{}{nil, []byte(nil), []byte{}} {
				var reply interface{}
				cmd := sess.Pull("/"+uri, args, &reply, tp.WithBodyCodec(codecID))
				if codecID == codec.ID_PROTOBUF { // it has no interface{} to decode into, but nothing to decode either
					reply = nil
				}
				if rerr := cmd.Rerror(); rerr != nil || reply != nil && reply != "" {
					t.Errorf("codec %c, /%s, args %#v: got %#v, %v", codecID, uri, args, reply, rerr)
				}
				noRerror(t, sess.Pull("/"+uri, args, nil, tp.WithBodyCodec(codecID)).Rerror())
			}
		}
		for _, uri := range []string{"/string", "/empty", "/bytes", "/nowhere"} {
			noRerror(t, sess.Push(uri, nil, tp.WithBodyCodec(codecID)))
			if got := receive(t, pushed); got != uri {
				t.Errorf("got a push of %q, want %q", got, uri)
			}
		}
	}
}

// regEmpty registers a pull that gets the zero value and replies nil.
func regEmpty[A any](p *tp.Peer, name string) {
	tp.RegPull(p.PullRouter, name, func(ctx tp.PullCtx, args *A) (interface{}, *tp.Rerror) {
		v := reflect.ValueOf(args).Elem()
		if v.Kind() == reflect.Struct && v.NumField() > 1 { // a message has state of its own
			return nil, nil
		}
		if !v.IsZero() && v.Kind() != reflect.Slice {
			return nil, tp.NewRerror(1, fmt.Sprintf("an empty body became %#v", *args))
		}
		return nil, nil
	})
}
