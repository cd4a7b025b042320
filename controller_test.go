package tp_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

type (
	// Home has fields of its own, which every exchange sees as registered.
	Home struct {
		tp.PullCtx
		Greeting string
		Hits     *atomic.Int64
		scratch  int
	}
	baseCtrl struct { // embedded by value
		tp.PullCtx
		Base string
	}
	ByValue struct {
		baseCtrl
		Own string
	}
	BaseCtrl struct { // embedded through a pointer
		tp.PullCtx
		Base string
	}
	ByPointer struct {
		*BaseCtrl
		Own string
	}
	Middle struct {
		*BaseCtrl
		Mid string
	}
	TwoDeep struct {
		Middle
		Own string
	}
	MsgCtrl struct {
		tp.PushCtx
		Got chan string
	}
	HTTPServerV2 struct{ tp.PullCtx }
)

// Hello uses the fields and the context.
func (h *Home) Hello(args *string) (string, *tp.Rerror) {
	h.Hits.Add(1)
	h.scratch++ // of this exchange alone
	greeting := h.Greeting
	h.Greeting = "spoilt by " + *args
	return fmt.Sprintf("%s %s %s %d", greeting, *args, h.Query().Get("q"), h.scratch), nil
}

func (b *baseCtrl) FromBase(args *string) (string, *tp.Rerror) {
	return b.Base + " " + b.Path() + " " + *args, nil
}

func (v *ByValue) FromOwn(args *string) (string, *tp.Rerror) {
	return v.Base + v.Own + " " + v.Path(), nil
}

func (b *BaseCtrl) FromBase(args *string) (string, *tp.Rerror) {
	base := b.Base
	b.Base = "spoilt"
	return base + " " + b.Path() + " " + *args, nil
}

func (p *ByPointer) FromOwn(args *string) (string, *tp.Rerror) {
	base := p.Base
	p.Base = "spoilt"
	return base + p.Own + " " + p.Path(), nil
}

func (d *TwoDeep) FromOwn(args *string) (string, *tp.Rerror) {
	base := d.Base
	d.Base, d.Mid = "spoilt", "spoilt"
	return base + d.Own + " " + d.Path(), nil
}

func (m *MsgCtrl) SayHi(args *map[string]string) { m.Got <- (*args)["who"] + " " + m.Path() }

func (HTTPServerV2) GetURLByID(args *int) (int, *tp.Rerror) { return *args, nil }

func TestControllers(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	home := &Home{Greeting: "hello", Hits: new(atomic.Int64)}
	group := srv.PullRouter.Group("g")
	group.Reg(home)
	home.Greeting = "changed after Reg" // what is served is as it was registered
	group.Reg(&ByValue{baseCtrl{Base: "base"}, "own"})
	group.Reg(&ByPointer{&BaseCtrl{Base: "base"}, "own"})
	group.Reg(&TwoDeep{Middle{&BaseCtrl{Base: "base"}, "mid"}, "own"})
	srv.PullRouter.Group("nil").Reg(&ByPointer{Own: "own"}) // its base is made
	srv.PullRouter.Reg(new(HTTPServerV2))
	got := make(chan string, 1)
	srv.PushRouter.Reg(&MsgCtrl{Got: got})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))

	for range 2 { // the second exchange sees nothing of the first
		for uri, want := range map[string]string{
			"/g/home/hello?q=1":        "hello you 1 1",
			"/g/by_value/from_base":    "base /g/by_value/from_base you",
			"/g/by_value/from_own":     "baseown /g/by_value/from_own",
			"/g/by_pointer/from_base":  "base /g/by_pointer/from_base you",
			"/g/by_pointer/from_own":   "baseown /g/by_pointer/from_own",
			"/g/two_deep/from_base":    "base /g/two_deep/from_base you",
			"/g/two_deep/from_own":     "baseown /g/two_deep/from_own",
			"/nil/by_pointer/from_own": "own /nil/by_pointer/from_own",
		} {
			reply, rerr := tp.Pull[string](sess, uri, "you")
			if rerr != nil || reply != want {
				t.Errorf("%s: got %q, %v; want %q", uri, reply, rerr, want)
			}
		}
	}
	if got := home.Hits.Load(); got != 2 {
		t.Errorf("a pointer in a controller is shared: got %d hits, want 2", got)
	}
	if reply, rerr := tp.Pull[int](sess, "/httpserver_v2/get_urlby_id", 3); rerr != nil || reply != 3 {
		t.Errorf("got %d, %v; the handlers are %v", reply, rerr, handlerNames(srv.PullRouter))
	}
	noRerror(t, sess.Push("/msg_ctrl/say_hi", map[string]string{"who": "me"}))
	if reply := receive(t, got); reply != "me /msg_ctrl/say_hi" {
		t.Errorf("the push's handler said %q", reply)
	}
}

func handlerNames(r *tp.Router) (names []string) {
	for _, h := range r.Handlers() {
		names = append(names, h.Name())
	}
	return names
}

// Exchanges that run at the same time have a controller each, also behind
// embedded pointers: the race detector watches.
func TestControllersAreNotShared(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	srv.PullRouter.Reg(&Home{Greeting: "hello", Hits: new(atomic.Int64)})
	srv.PullRouter.Reg(&TwoDeep{Middle{&BaseCtrl{Base: "base"}, "mid"}, "own"})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				me := fmt.Sprint(i)
				hello, rerr := tp.Pull[string](sess, "/home/hello?q="+me, me)
				if want := "hello " + me + " " + me + " 1"; rerr != nil || hello != want {
					t.Errorf("got %q, %v; want %q", hello, rerr, want)
				}
				deep, rerr := tp.Pull[string](sess, "/two_deep/from_own", me)
				if rerr != nil || deep != "baseown /two_deep/from_own" {
					t.Errorf("got %q, %v", deep, rerr)
				}
			}
		}()
	}
	wg.Wait()
}

type (
	withoutContext struct{}
	NoMethods      struct{ tp.PullCtx }
	PushMethods    struct{ tp.PushCtx }
	byHidden       struct{ tp.PullCtx }
	ThroughHidden  struct{ *byHidden }
	noArgs         struct{ tp.PullCtx }
	argsByValue    struct{ tp.PullCtx }
	twoArgs        struct{ tp.PullCtx }
	variadicArgs   struct{ tp.PullCtx }
	noRerrorResult struct{ tp.PullCtx }
	errorResult    struct{ tp.PullCtx }
	onlyRerror     struct{ tp.PullCtx }
	pushWithReply  struct{ tp.PushCtx }
	withMutex      struct {
		tp.PullCtx
		sync.Mutex
	}
)

func (*withoutContext) Test(*int) (int, *tp.Rerror)  { return 0, nil }
func (*PushMethods) Test(*int)                       {}
func (*ThroughHidden) Test(*int) (int, *tp.Rerror)   { return 0, nil }
func (*noArgs) Test() (int, *tp.Rerror)              { return 0, nil }
func (*argsByValue) Test(int) (int, *tp.Rerror)      { return 0, nil }
func (*twoArgs) Test(_, _ *int) (int, *tp.Rerror)    { return 0, nil }
func (*variadicArgs) Test(...*int) (int, *tp.Rerror) { return 0, nil }
func (*noRerrorResult) Test(*int) int                { return 0 }
func (*errorResult) Test(*int) (int, error)          { return 0, nil }
func (*onlyRerror) Test(*int) *tp.Rerror             { return nil }
func (*pushWithReply) Test(*int) (int, *tp.Rerror)   { return 0, nil }
func (*withMutex) Test(*int) (int, *tp.Rerror)       { return 0, nil }

// What cannot be registered says what to change.
func TestBadControllerPanics(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	const pullShape, remedy = "a handler is (args *A) (R, *tp.Rerror)", "give it that shape, or make it unexported"
	for _, test := range []struct {
		name  string
		ctrl  interface{}
		texts []string
	}{
		{"nil", nil, []string{"the controller is nil", "pass a pointer to a struct, as in Reg(new(Home))"}},
		{"nil pointer", (*Home)(nil), []string{"a nil *tp_test.Home", "pass a pointer"}},
		{"struct", Home{}, []string{"of type tp_test.Home", "pass a pointer"}},
		{"pointer to int", new(int), []string{"of type *int", "pass a pointer to a struct"}},
		{"function", func() {}, []string{"of type func()", "pass a pointer"}},
		{"without context", new(withoutContext), []string{"tp_test.withoutContext", "does not embed tp.PullCtx"}},
		{"of pushes", new(PushMethods), []string{"tp_test.PushMethods", "does not embed tp.PullCtx"}},
		{"without methods", new(NoMethods), []string{"tp_test.NoMethods", "no exported method that could be a handler"}},
		{"without a name", &struct{ tp.PullCtx }{}, []string{"has no name", "declare a type"}},
		{"through hidden pointer", new(ThroughHidden), []string{"through a pointer to the unexported", "embed that by value, or export it"}},
		{"no args", new(noArgs), []string{"method Test of controller tp_test.noArgs", pullShape, remedy}},
		{"args by value", new(argsByValue), []string{"method Test of", pullShape, remedy}},
		{"two args", new(twoArgs), []string{"method Test of", pullShape}},
		{"variadic args", new(variadicArgs), []string{"method Test of", pullShape}},
		{"no Rerror", new(noRerrorResult), []string{"method Test of", pullShape}},
		{"error", new(errorResult), []string{"method Test of", "(int, error)", pullShape}},
		{"only Rerror", new(onlyRerror), []string{"method Test of", pullShape}},
		{"Lock and Unlock", new(withMutex), []string{"method Lock of controller tp_test.withMutex", remedy}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantPanic(t, func() { peer.PullRouter.Reg(test.ctrl) }, append(test.texts, "tp: cannot register at /")...)
		})
	}
	wantPanic(t, func() { peer.PushRouter.Reg(new(pushWithReply)) }, "method Test of", "a handler is (args *A) without results")
	wantPanic(t, func() { peer.PushRouter.Reg(new(Home)) }, "does not embed tp.PushCtx")
	if n := len(peer.PullRouter.Handlers()) + len(peer.PushRouter.Handlers()); n != 0 {
		t.Errorf("%d handlers were registered all the same", n)
	}
}

func TestBadFunctionPanics(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{})
	pull, push := peer.PullRouter, peer.PushRouter
	var nilPull func(tp.PullCtx, *int) (int, *tp.Rerror)
	var nilPush func(tp.PushCtx, *int)
	for _, test := range []struct {
		name   string
		router *tp.Router
		fn     interface{}
		texts  []string
	}{
		{"nil", pull, nil, []string{"it is nil", "RegFunc takes a func(ctx tp.PullCtx, args *A)"}},
		{"nil func", pull, nilPull, []string{"a nil func"}},
		{"controller", pull, new(Home), []string{"of type *tp_test.Home", "RegFunc takes a func"}},
		{"no context", pull, func(*int) (int, *tp.Rerror) { return 0, nil }, []string{"the first parameter must be a tp.PullCtx"}},
		{"context of pushes", pull, func(tp.PushCtx, *int) {}, []string{"the first parameter must be a tp.PullCtx"}},
		{"context of pulls", push, func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }, []string{"the first parameter must be a tp.PushCtx"}},
		{"args by value", pull, func(tp.PullCtx, int) (int, *tp.Rerror) { return 0, nil }, []string{"a handler is (args *A) (R, *tp.Rerror)"}},
		{"no results", pull, func(tp.PullCtx, *int) {}, []string{"a handler is (args *A) (R, *tp.Rerror)"}},
		{"push with a reply", push, func(tp.PushCtx, *int) (int, *tp.Rerror) { return 0, nil }, []string{"a handler is (args *A) without results"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantPanic(t, func() { test.router.RegFunc("f", test.fn) }, append(test.texts, "cannot register at /f")...)
		})
	}
	const unknownPull = "it must be func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) or func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror)"
	const unknownPush = "it must be func(tp.UnknownPushCtx) or func(tp.UnknownPushCtx, *[]byte)"
	for _, bad := range []interface{}{
		nil, 5, (func(tp.UnknownPullCtx) (interface{}, *tp.Rerror))(nil), func(tp.PullCtx) (interface{}, *tp.Rerror) { return nil, nil },
		func(tp.UnknownPullCtx) interface{} { return nil }, func(tp.UnknownPushCtx) {},
	} {
		wantPanic(t, func() { pull.SetUnknown(bad) }, "the unknown handler is", unknownPull)
	}
	wantPanic(t, func() { push.SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil }) }, unknownPush)

	wantPanic(t, func() { tp.RegPull(push, "f", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }) }, "use peer.PullRouter, or RegPush")
	wantPanic(t, func() { tp.RegPush(pull, "f", func(tp.PushCtx, *int) {}) }, "use peer.PushRouter, or RegPull")
	wantPanic(t, func() { tp.RegPull(pull, "f", nilPull) }, "RegPull", "nil")
	wantPanic(t, func() { tp.RegPush(push, "f", nilPush) }, "RegPush", "nil")
	wantPanic(t, func() { pull.Dispatch(17) }, "Router.Dispatch: mode 17 does not exist")
	if n := len(pull.Handlers()) + len(push.Handlers()); n != 0 {
		t.Errorf("%d handlers were registered all the same", n)
	}
}

// Args may point to anything that the codec can decode into.
func TestArgsAreAnyPointer(t *testing.T) {
	t.Parallel()
	type point struct{ X, Y int }
	seven := 7
	for _, test := range []struct {
		name string
		fn   interface{}
		args interface{}
		want string
	}{
		{"struct", func(_ tp.PullCtx, a *point) (string, *tp.Rerror) { return show(a) }, point{1, 2}, "{1 2}"},
		{"map", func(_ tp.PullCtx, a *map[string]int) (string, *tp.Rerror) { return show(a) }, map[string]int{"a": 1}, "map[a:1]"},
		{"slice", func(_ tp.PullCtx, a *[]point) (string, *tp.Rerror) { return show(a) }, []point{{1, 2}}, "[{1 2}]"},
		{"array", func(_ tp.PullCtx, a *[2]int) (string, *tp.Rerror) { return show(a) }, [2]int{3, 4}, "[3 4]"},
		{"int", func(_ tp.PullCtx, a *int) (string, *tp.Rerror) { return show(a) }, 5, "5"},
		{"string", func(_ tp.PullCtx, a *string) (string, *tp.Rerror) { return show(a) }, "text", "text"},
		{"bytes", func(_ tp.PullCtx, a *[]byte) (string, *tp.Rerror) { return string(*a), nil }, "raw", `"raw"`}, // as encoded
		{"pointer", func(_ tp.PullCtx, a **int) (string, *tp.Rerror) { return show(*a) }, &seven, "7"},
		{"any", func(_ tp.PullCtx, a *interface{}) (string, *tp.Rerror) { return show(a) }, []int{1}, "[1]"},
		{"bool", func(_ tp.PullCtx, a *bool) (string, *tp.Rerror) { return show(a) }, true, "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newPeer(t, tp.PeerConfig{})
			srv.PullRouter.RegFunc("f", test.fn)
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			if got, rerr := tp.Pull[string](sess, "/f", test.args); rerr != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, rerr, test.want)
			}
		})
	}
}

func show[A any](a *A) (string, *tp.Rerror) { return fmt.Sprint(*a), nil }

// A reply may be anything that the codec can encode. What it cannot must not
// leave the caller waiting.
func TestRepliesOfAnyType(t *testing.T) {
	t.Parallel()
	type point struct{ X, Y int }
	for _, test := range []struct {
		name string
		fn   interface{}
		want string // JSON, or "" for a 500
	}{
		{"value", func(tp.PullCtx, *int) (point, *tp.Rerror) { return point{1, 2}, nil }, `{"X":1,"Y":2}`},
		{"pointer", func(tp.PullCtx, *int) (*point, *tp.Rerror) { return &point{1, 2}, nil }, `{"X":1,"Y":2}`},
		{"nil pointer", func(tp.PullCtx, *int) (*point, *tp.Rerror) { return nil, nil }, `null`},
		{"interface", func(tp.PullCtx, *int) (fmt.Stringer, *tp.Rerror) { return reflect.Int, nil }, `2`},
		{"nil interface", func(tp.PullCtx, *int) (fmt.Stringer, *tp.Rerror) { return nil, nil }, `null`},
		{"any", func(tp.PullCtx, *int) (interface{}, *tp.Rerror) { return []int{1}, nil }, `[1]`},
		{"map", func(tp.PullCtx, *int) (map[string]int, *tp.Rerror) { return map[string]int{"a": 1}, nil }, `{"a":1}`},
		{"nil map", func(tp.PullCtx, *int) (map[string]int, *tp.Rerror) { return nil, nil }, `null`},
		{"bytes", func(tp.PullCtx, *int) ([]byte, *tp.Rerror) { return []byte(`{"as":"is"}`), nil }, `{"as":"is"}`},
		{"func", func(tp.PullCtx, *int) (func(int), *tp.Rerror) { return func(int) {}, nil }, ""},
		{"chan in any", func(tp.PullCtx, *int) (interface{}, *tp.Rerror) { return make(chan int), nil }, ""},
		{"codec panics", func(tp.PullCtx, *int) (panicsInJSON, *tp.Rerror) { return panicsInJSON{}, nil }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := newPeer(t, tp.PeerConfig{})
			srv.PullRouter.RegFunc("f", test.fn)
			echo(srv)
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			got, rerr := tp.Pull[[]byte](sess, "/f", 1)
			if test.want == "" {
				typ := map[string]string{"func": "func(int)", "chan in any": "chan int", "codec panics": "tp_test.panicsInJSON"}[test.name]
				wantCode(t, rerr, tp.CodeInternalServerError, "encode a body of type "+typ)
			} else if rerr != nil || strings.TrimSpace(string(got)) != test.want {
				t.Errorf("got %s, %v; want %s", got, rerr, test.want)
			}
			noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
		})
	}
}

type panicsInJSON struct{}

func (panicsInJSON) MarshalJSON() ([]byte, error) { panic("in the codec") }
