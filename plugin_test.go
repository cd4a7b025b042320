package tp_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// everyHook is a plugin with all 23 hooks, which are one function.
type everyHook struct {
	name string
	on   func(hook string, ctx interface{}) *tp.Rerror
}

var (
	_ tp.PostRegPlugin             = everyHook{}
	_ tp.PostListenPlugin          = everyHook{}
	_ tp.PreShutdownPlugin         = everyHook{}
	_ tp.PostExchangePlugin        = everyHook{}
	_ tp.PostDialPlugin            = everyHook{}
	_ tp.PostAcceptPlugin          = everyHook{}
	_ tp.PreWritePullPlugin        = everyHook{}
	_ tp.PostWritePullPlugin       = everyHook{}
	_ tp.PreWriteReplyPlugin       = everyHook{}
	_ tp.PostWriteReplyPlugin      = everyHook{}
	_ tp.PreWritePushPlugin        = everyHook{}
	_ tp.PostWritePushPlugin       = everyHook{}
	_ tp.PreReadHeaderPlugin       = everyHook{}
	_ tp.PostReadPullHeaderPlugin  = everyHook{}
	_ tp.PreReadPullBodyPlugin     = everyHook{}
	_ tp.PostReadPullBodyPlugin    = everyHook{}
	_ tp.PostReadPushHeaderPlugin  = everyHook{}
	_ tp.PreReadPushBodyPlugin     = everyHook{}
	_ tp.PostReadPushBodyPlugin    = everyHook{}
	_ tp.PostReadReplyHeaderPlugin = everyHook{}
	_ tp.PreReadReplyBodyPlugin    = everyHook{}
	_ tp.PostReadReplyBodyPlugin   = everyHook{}
	_ tp.PostDisconnectPlugin      = everyHook{}
)

func (p everyHook) Name() string                        { return p.name }
func (p everyHook) PostReg(h *tp.Handler) *tp.Rerror    { return p.on("PostReg", h) }
func (p everyHook) PostListen(c tp.PeerCtx) *tp.Rerror  { return p.on("PostListen", c) }
func (p everyHook) PreShutdown(c tp.PeerCtx) *tp.Rerror { return p.on("PreShutdown", c) }
func (p everyHook) PostExchange(c tp.ExchangeCtx) *tp.Rerror {
	return p.on("PostExchange", c)
}
func (p everyHook) PostDial(s tp.PreSession) *tp.Rerror    { return p.on("PostDial", s) }
func (p everyHook) PostAccept(s tp.PreSession) *tp.Rerror  { return p.on("PostAccept", s) }
func (p everyHook) PreWritePull(c tp.WriteCtx) *tp.Rerror  { return p.on("PreWritePull", c) }
func (p everyHook) PostWritePull(c tp.WriteCtx) *tp.Rerror { return p.on("PostWritePull", c) }
func (p everyHook) PreWriteReply(c tp.WriteCtx) *tp.Rerror { return p.on("PreWriteReply", c) }
func (p everyHook) PostWriteReply(c tp.WriteCtx) *tp.Rerror {
	return p.on("PostWriteReply", c)
}
func (p everyHook) PreWritePush(c tp.WriteCtx) *tp.Rerror  { return p.on("PreWritePush", c) }
func (p everyHook) PostWritePush(c tp.WriteCtx) *tp.Rerror { return p.on("PostWritePush", c) }
func (p everyHook) PreReadHeader(c tp.ReadCtx) *tp.Rerror  { return p.on("PreReadHeader", c) }
func (p everyHook) PostReadPullHeader(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadPullHeader", c)
}
func (p everyHook) PreReadPullBody(c tp.ReadCtx) *tp.Rerror { return p.on("PreReadPullBody", c) }
func (p everyHook) PostReadPullBody(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadPullBody", c)
}

func (p everyHook) PostReadPushHeader(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadPushHeader", c)
}
func (p everyHook) PreReadPushBody(c tp.ReadCtx) *tp.Rerror { return p.on("PreReadPushBody", c) }
func (p everyHook) PostReadPushBody(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadPushBody", c)
}

func (p everyHook) PostReadReplyHeader(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadReplyHeader", c)
}

func (p everyHook) PreReadReplyBody(c tp.ReadCtx) *tp.Rerror {
	return p.on("PreReadReplyBody", c)
}

func (p everyHook) PostReadReplyBody(c tp.ReadCtx) *tp.Rerror {
	return p.on("PostReadReplyBody", c)
}
func (p everyHook) PostDisconnect(s tp.PostSession) *tp.Rerror { return p.on("PostDisconnect", s) }

// oneHook is everyHook of which one hook does something.
func oneHook(name, hook string, on func(ctx interface{}) *tp.Rerror) everyHook {
	return everyHook{name, func(h string, ctx interface{}) *tp.Rerror {
		if h != hook {
			return nil
		}
		return on(ctx)
	}}
}

// named is a plugin without hooks.
type named string

func (n named) Name() string { return string(n) }

// steps is what happened, in order.
type steps struct {
	mu   sync.Mutex
	list []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, step)
}

// those returns the steps that keep wants.
func (s *steps) those(keep func(step string) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.list), func(step string) bool { return !keep(step) })
}

// plugin records its hooks as "name.Hook".
func (s *steps) plugin(name string) everyHook {
	return everyHook{name, func(hook string, _ interface{}) *tp.Rerror {
		s.add(name + "." + hook)
		return nil
	}}
}

func TestHooksFireInOrder(t *testing.T) {
	t.Parallel()
	var cliSteps, srvSteps steps
	srv := newPeer(t, tp.PeerConfig{}, srvSteps.plugin("peer"))
	// The reply may overtake PostWritePull, so the handler waits for it.
	pullWritten := make(chan struct{}, 1)
	tp.RegPull(srv.PullRouter.Group("g", srvSteps.plugin("group")), "pull", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		<-pullWritten
		srvSteps.add("pull handled")
		return 1, nil
	}, srvSteps.plugin("handler"))
	tp.RegPush(srv.PushRouter.Group("g", srvSteps.plugin("group")), "push", func(ctx tp.PushCtx, _ *int) {
		srvSteps.add("push handled")
	}, srvSteps.plugin("handler"))
	cli := newPeer(t, tp.PeerConfig{}, cliSteps.plugin("peer"),
		oneHook("signal", "PostWritePull", func(interface{}) *tp.Rerror {
			pullWritten <- struct{}{}
			return nil
		}))

	sess := dial(t, cli, serve(t, srv))
	_, rerr := tp.Pull[int](sess, "/g/pull", 1)
	noRerror(t, rerr)
	eventually(t, "the pull is over", func() bool {
		return slices.Contains(srvSteps.those(all), "peer.PostExchange")
	})
	noRerror(t, sess.Push("/g/push", 1))
	eventually(t, "the push is handled", func() bool {
		return slices.Contains(srvSteps.those(all), "push handled")
	})
	accepted := only(t, srv)
	if err := sess.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, sess.CloseNotify())
	receive(t, accepted.CloseNotify())

	chain := func(hook string) []string { return []string{"peer." + hook, "group." + hook, "handler." + hook} }
	wantSteps(t, "server", srvSteps.those(notPreReadHeader), slices.Concat(
		chain("PostReg"), chain("PostReg"), // of the pull, of the push
		[]string{"peer.PostListen", "peer.PostAccept", "peer.PostReadPullHeader"},
		chain("PreReadPullBody"), chain("PostReadPullBody"),
		[]string{"pull handled"},
		chain("PreWriteReply"), chain("PostWriteReply"),
		[]string{"peer.PostExchange", "peer.PostReadPushHeader"},
		chain("PreReadPushBody"), chain("PostReadPushBody"),
		[]string{"push handled", "peer.PostExchange", "peer.PostDisconnect"},
	))
	wantSteps(t, "client", cliSteps.those(notPreReadHeader), []string{
		"peer.PostDial", "peer.PreWritePull", "peer.PostWritePull",
		"peer.PostReadReplyHeader", "peer.PreReadReplyBody", "peer.PostReadReplyBody",
		"peer.PostExchange", "peer.PreWritePush", "peer.PostWritePush", "peer.PostExchange", "peer.PostDisconnect",
	})

	// PreReadHeader comes before every packet, PINGs and the like too, so its
	// place is fixed only among what the reader does, and its number is not.
	wantSteps(t, "server's reader", slices.Compact(srvSteps.those(ofReader)), []string{
		"peer.PostAccept", "peer.PreReadHeader", "peer.PostReadPullHeader",
		"peer.PreReadHeader", "peer.PostReadPushHeader", "peer.PreReadHeader",
	})
	wantSteps(t, "client's reader", slices.Compact(cliSteps.those(ofReader)), []string{
		"peer.PostDial", "peer.PreReadHeader", "peer.PostReadReplyHeader", "peer.PreReadHeader",
	})
}

func all(string) bool { return true }

func notPreReadHeader(step string) bool { return !strings.HasSuffix(step, "PreReadHeader") }

func ofReader(step string) bool {
	return strings.HasSuffix(step, "Header") || strings.HasSuffix(step, "PostAccept") || strings.HasSuffix(step, "PostDial")
}

func wantSteps(t *testing.T, who string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", who, strings.Join(got, " "), strings.Join(want, " "))
	}
}

// A peer plugin reroutes with Input().SetUri: in the original that had no
// effect.
func TestRewrittenURIRoutes(t *testing.T) {
	t.Parallel()
	alias := func(ctx interface{}) *tp.Rerror {
		if in := ctx.(tp.ReadCtx).Input(); in.Uri() == "/alias?a=1" {
			in.SetUri("/real?b=2")
		}
		return nil
	}
	srv := newPeer(t, tp.PeerConfig{},
		oneHook("pulls", "PostReadPullHeader", alias), oneHook("pushes", "PostReadPushHeader", alias))
	tp.RegPull(srv.PullRouter, "real", func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
		return ctx.Uri() + " " + ctx.Path() + " " + ctx.RawQuery() + " " + ctx.Query().Get("b"), nil
	})
	pushed := make(chan string, 1)
	tp.RegPush(srv.PushRouter, "real", func(ctx tp.PushCtx, _ *struct{}) { pushed <- ctx.Uri() })
	raw := dialRaw(t, serve(t, srv))

	raw.send(tp.TypePull, 7, "/alias?a=1", 'j', []byte("{}"))
	reply := raw.reply()
	if got, want := reply.Uri(), "/alias?a=1"; got != want {
		t.Errorf("the reply's URI is %q, want %q as received", got, want)
	}
	if got, want := reply.text(), `"/real?b=2 /real b=2 2"`; got != want || reply.Seq() != 7 {
		t.Errorf("got seq %d, reply %s; want 7, %s", reply.Seq(), got, want)
	}
	raw.send(tp.TypePush, 0, "/alias?a=1", 'j', []byte("{}"))
	if got := receive(t, pushed); got != "/real?b=2" {
		t.Errorf("the push's handler saw %q", got)
	}

	// Not even a refusal shows what the plugin made of it.
	raw.send(tp.TypePull, 8, "/nowhere", 'j', []byte("{}"))
	if reply := raw.reply(); reply.Uri() != "/nowhere" {
		t.Errorf("the error's URI is %q", reply.Uri())
	}
}

// A chain of hooks may hand the handler another body, of the type it takes.
func TestPluginReplacesBody(t *testing.T) {
	t.Parallel()
	type args struct{ N int }
	tests := []struct {
		name    string
		replace interface{}
		want    int // 0: refused
	}{
		{"same type", &args{42}, 42},
		{"other type", &struct{ M int }{42}, 0},
		{"value instead of pointer", args{42}, 0},
		{"nil", nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var book logBook
			replace := func(ctx interface{}) *tp.Rerror {
				ctx.(tp.ReadCtx).Input().SetBody(test.replace)
				return nil
			}
			srv := newPeer(t, tp.PeerConfig{Logger: &book},
				oneHook("pulls", "PostReadPullBody", replace), oneHook("pushes", "PostReadPushBody", replace))
			typed := func(_ tp.PullCtx, a *args) (int, *tp.Rerror) { return a.N, nil }
			tp.RegPull(srv.PullRouter, "typed", typed)
			srv.PullRouter.RegFunc("reflected", typed)
			pushed := make(chan int, 1)
			tp.RegPush(srv.PushRouter, "push", func(_ tp.PushCtx, a *args) { pushed <- a.N })
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))

			for _, uri := range []string{"/typed", "/reflected"} {
				got, rerr := tp.Pull[int](sess, uri, args{1})
				if test.want == 0 {
					wantCode(t, rerr, tp.CodeInternalServerError, fmt.Sprintf("%T for %s, which takes *tp_test.args", test.replace, uri))
				} else if rerr != nil || got != test.want {
					t.Errorf("%s: got %d, %v", uri, got, rerr)
				}
			}
			noRerror(t, sess.Push("/push", args{1}))
			if test.want == 0 {
				eventually(t, "the push is dropped", func() bool { return strings.Contains(book.String(), `push "/push" dropped`) })
			} else if got := receive(t, pushed); got != test.want {
				t.Errorf("the push came with %d", got)
			}
		})
	}
}

// Unknown handlers take bytes, also from a hook.
func TestPluginReplacesUnknownBody(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{}, oneHook("p", "PostReadPullBody", func(ctx interface{}) *tp.Rerror {
		in := ctx.(tp.ReadCtx).Input()
		if in.Uri() == "/wrong" {
			in.SetBody("a string")
			return nil
		}
		b := append([]byte("new "), *in.Body().(*[]byte)...)
		in.SetBody(&b)
		return nil
	}))
	srv.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
		return string(*body) + "|" + string(ctx.InputBodyBytes()), nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	got, rerr := tp.Pull[string](sess, "/right", []byte("body"))
	if rerr != nil || got != "new body|new body" {
		t.Errorf("got %q, %v", got, rerr)
	}
	_, rerr = tp.Pull[string](sess, "/wrong", []byte("body"))
	wantCode(t, rerr, tp.CodeInternalServerError, "string")
}

// Two plugins of one name in one chain were accepted.
func TestPluginNameStandsOnceInAChain(t *testing.T) {
	t.Parallel()
	const twice = `plugin "p" (tp_test.named) stands twice in one chain`
	wantPanic(t, func() { tp.NewPeer(&tp.PeerConfig{}, named("p"), named("p")) }, twice, "another name")

	peer := newPeer(t, tp.PeerConfig{}, named("p"))
	handler := func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }
	wantPanic(t, func() { peer.PullRouter.Group("g", named("p")) }, twice)
	wantPanic(t, func() { peer.PullRouter.RegFunc("f", handler, named("p")) }, twice)
	wantPanic(t, func() { tp.RegPull(peer.PullRouter, "f", handler, named("p")) }, twice)
	wantPanic(t, func() {
		peer.PullRouter.SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil }, named("p"))
	}, twice)
	group := peer.PullRouter.Group("g", named("q"))
	wantPanic(t, func() { group.RegFunc("f", handler, named("q")) }, `"q"`)
	wantPanic(t, func() { group.RegFunc("f", handler, named("r"), named("r")) }, `"r"`)

	container := peer.PluginContainer()
	for _, bad := range []struct {
		plugin tp.Plugin
		text   string
	}{
		{named("p"), twice},
		{named("q"), `"q"`}, // a group below has it
		{named(""), "tp_test.named has an empty name"},
		{nil, "a plugin is nil"},
	} {
		if err := container.Add(named("fine"), bad.plugin); err == nil || !strings.Contains(err.Error(), bad.text) {
			t.Errorf("Add(%v): %v, want an error with %q", bad.plugin, err, bad.text)
		}
	}
	if container.GetByName("fine") != nil {
		t.Error("Add that failed has added")
	}

	// Siblings are no chain.
	group.RegFunc("f1", handler, named("s"))
	group.RegFunc("f2", handler, named("s"))
	peer.PullRouter.Group("h", named("q"))
	peer.PushRouter.Group("g", named("q"))
}

func TestNilPluginPanics(t *testing.T) {
	t.Parallel()
	wantPanic(t, func() { tp.NewPeer(&tp.PeerConfig{}, tp.Plugin(nil)) }, "a plugin is nil")
	wantPanic(t, func() { tp.NewPeer(&tp.PeerConfig{}, named("")) }, "tp_test.named has an empty name")
	peer := newPeer(t, tp.PeerConfig{})
	wantPanic(t, func() { peer.PullRouter.Group("g", tp.Plugin(nil)) }, "a plugin is nil")
	wantPanic(t, func() { peer.PushRouter.Group("g", named("")) }, "empty name")
}

// Hooks that come before routing cannot fire on a group: whoever puts them
// there must be told.
func TestWarningOfHooksThatCannotFire(t *testing.T) {
	t.Parallel()
	var book logBook
	peer := newPeer(t, tp.PeerConfig{Logger: &book}, new(steps).plugin("of the peer"))
	if got := book.String(); got != "" {
		t.Errorf("on a peer every hook can fire, but the log says %q", got)
	}
	handler := func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil }
	dead := "PostListen, PreShutdown, PostDial, PostAccept, PreWritePull, PostWritePull, PreWritePush, PostWritePush, PreReadHeader, " +
		"PostReadPullHeader, PostReadPushHeader, PostReadReplyHeader, PreReadReplyBody, PostReadReplyBody, PostExchange, PostDisconnect"
	for _, test := range []struct {
		name, where string
		reg         func(tp.Plugin)
	}{
		{"group", "Group /g", func(p tp.Plugin) { peer.PullRouter.Group("g", p) }},
		{"func", "handlers of /f", func(p tp.Plugin) { peer.PullRouter.RegFunc("f", handler, p) }},
		{"typed", "handler /t", func(p tp.Plugin) { tp.RegPull(peer.PullRouter, "t", handler, p) }},
	} {
		before := len(book.String())
		test.reg(new(steps).plugin("misplaced " + test.name))
		got := book.String()[before:]
		for _, want := range []string{"WARN ", "misplaced " + test.name, test.where, "hooks " + dead + " cannot", "NewPeer"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the log says %q, want %q in it", test.name, got, want)
			}
		}
	}

	before := len(book.String())
	peer.PullRouter.Group("quiet", pullBodyPlugin{})
	if got := book.String()[before:]; got != "" {
		t.Errorf("of a hook that fires the log says %q", got)
	}
}

type pullBodyPlugin struct{}

func (pullBodyPlugin) Name() string                              { return "body" }
func (pullBodyPlugin) PreReadPullBody(ctx tp.ReadCtx) *tp.Rerror { return nil }

// A plugin added to a peer reaches the groups and handlers that are there.
func TestPluginContainerWhileServing(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{}, named("first"))
	var handler *tp.Handler
	group := srv.PullRouter.Group("g", named("second"))
	tp.RegPull(group, "f", func(ctx tp.PullCtx, _ *int) (string, *tp.Rerror) { return string(ctx.GetMeta("seen")), nil },
		oneHook("third", "PostReg", func(h interface{}) *tp.Rerror { handler = h.(*tp.Handler); return nil }))
	addr := serve(t, srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)

	container := srv.PluginContainer()
	late := oneHook("late", "PreReadPullBody", func(ctx interface{}) *tp.Rerror {
		ctx.(tp.ReadCtx).Input().Meta().Set("seen", "late")
		return nil
	})
	pull := func() string {
		got, rerr := tp.Pull[string](sess, "/g/f", 1)
		noRerror(t, rerr)
		return got
	}
	if got := pull(); got != "" {
		t.Fatalf("got %q before there was a plugin", got)
	}
	if err := container.Add(late); err != nil {
		t.Fatal(err)
	}
	if got := pull(); got != "late" {
		t.Errorf("got %q, want the new plugin to reach the handler", got)
	}
	if got, want := pluginNames(handler.Plugins()), []string{"first", "late", "second", "third"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the handler's plugins are %q, want %q", got, want)
	}
	if handler.Plugins().GetByName("late") == nil || container.GetByName("third") != nil {
		t.Error("a chain is what stands above, not below")
	}
	if err := handler.Plugins().Remove("late"); err == nil || !strings.Contains(err.Error(), `"late"`) {
		t.Errorf("Remove of what was added above: %v", err)
	}
	if err := container.Remove("late"); err != nil {
		t.Fatal(err)
	}
	if err := container.Remove("late"); err == nil {
		t.Error("removed twice")
	}
	if got := pull(); got != "" {
		t.Errorf("got %q after Remove", got)
	}

	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				if _, rerr := tp.Pull[string](sess, "/g/f", 1); rerr != nil {
					t.Error(rerr)
					return
				}
			}
		}()
	}
	for range 100 {
		if err := container.Add(late); err != nil {
			t.Fatal(err)
		}
		container.GetAll()
		if err := container.Remove("late"); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func pluginNames(c tp.PluginContainer) (names []string) {
	for _, p := range c.GetAll() {
		names = append(names, p.Name())
	}
	return names
}

// A caller may change what GetAll returns, and the slice that Add was given.
func TestPluginContainerCopies(t *testing.T) {
	t.Parallel()
	peer := newPeer(t, tp.PeerConfig{}, named("a"))
	given := []tp.Plugin{named("b"), named("c")}
	if err := peer.PluginContainer().Add(given...); err != nil {
		t.Fatal(err)
	}
	given[0] = named("x")
	peer.PluginContainer().GetAll()[0] = named("y")
	if got, want := pluginNames(peer.PluginContainer()), []string{"a", "b", "c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A method that is misspelt or has another signature is no hook, and the
// compiler cannot tell: a warning does.
func TestDoubtfulHooks(t *testing.T) {
	book := new(logBook)
	newPeer(t, tp.PeerConfig{Logger: book}, misspelt{})
	for _, want := range []string{
		"PreWriteReplyy looks like a hook, and there is none of that name",
		"PostAccept is no hook, since a hook of that name is a func(tp.PreSession) *tp.Rerror",
	} {
		if !strings.Contains(book.String(), want) {
			t.Errorf("no warning %q in\n%s", want, book)
		}
	}
	if strings.Contains(book.String(), "PostReadPullBody") || strings.Contains(book.String(), "Prepare") {
		t.Errorf("a warning of what is right:\n%s", book)
	}
}

type misspelt struct{}

func (misspelt) Name() string                             { return "misspelt" }
func (misspelt) PostReadPullBody(tp.ReadCtx) *tp.Rerror   { return nil }
func (misspelt) PreWriteReplyy(tp.WriteCtx) *tp.Rerror    { return nil }
func (misspelt) PostAccept(tp.PreSession, int) *tp.Rerror { return nil }
func (misspelt) Prepare(int) *tp.Rerror                   { return nil }

// handlerCatcher is a plugin that keeps the handler that was registered last.
type handlerCatcher struct{ last *tp.Handler }

func (*handlerCatcher) Name() string                       { return "catcher" }
func (c *handlerCatcher) PostReg(h *tp.Handler) *tp.Rerror { c.last = h; return nil }

// A plugin that is added to the peer while a handler is registered reaches
// that handler, whichever comes first.
func TestPluginAddedWhileRegistering(t *testing.T) {
	catcher := new(handlerCatcher)
	p := newPeer(t, tp.PeerConfig{}, catcher)
	for i := range 1000 {
		name := fmt.Sprint("late", i)
		added := make(chan error, 1)
		go func() { added <- p.PluginContainer().Add(named(name)) }()
		tp.RegPull(p.PullRouter, name, func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil })
		if err := receive(t, added); err != nil {
			t.Fatal(err)
		}
		if catcher.last.Plugins().GetByName(name) == nil {
			t.Fatalf("the chain of handler %d lacks the plugin", i)
		}
		_ = p.PluginContainer().Remove(name)
	}
}

// BenchmarkHooks runs the five hooks of a pull that is handled.
func BenchmarkHooks(b *testing.B) {
	pass := func(string, interface{}) *tp.Rerror { return nil }
	for _, n := range []int{0, 3} {
		b.Run(fmt.Sprintf("plugins=%d", n), func(b *testing.B) {
			p := newPeer(b, tp.PeerConfig{})
			chain := p.PluginContainer()
			for i := range n {
				if err := chain.Add(everyHook{fmt.Sprint(i), pass}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				_ = chain.PostReadPullHeader(nil)
				_ = chain.PreReadPullBody(nil)
				_ = chain.PostReadPullBody(nil)
				_ = chain.PreWriteReply(nil)
				_ = chain.PostWriteReply(nil)
			}
		})
	}
}
