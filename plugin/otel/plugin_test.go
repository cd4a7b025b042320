package otel_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/otel"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A trace goes from the program through a pull to a server, on to another, and back
// with a push.
func TestOneTrace(t *testing.T) {
	s := newTraces(t)
	front, back, client := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{})), quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{})), quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{}))
	toBack, _ := tptest.Pair(t, front, back)
	toFront, atFront := tptest.Pair(t, client, front)
	tp.RegPull(front.PullRouter, "front", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		inside, span := s.provider.Tracer("program").Start(ctx.Context(), "inside")
		defer span.End()
		if rerr := ctx.Session().Push("/note", 1, tp.WithContext(ctx.Context())); rerr != nil {
			return 0, rerr
		}
		return tp.Pull[int](toBack, "/back", 1, tp.WithContext(inside))
	})
	tp.RegPull(back.PullRouter, "back", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 7, nil })
	noted := make(chan trace.SpanContext, 1)
	tp.RegPush(client.PushRouter, "note", func(ctx tp.PushCtx, _ *int) { noted <- trace.SpanContextFromContext(ctx.Context()) })

	ctx, root := s.provider.Tracer("program").Start(t.Context(), "root")
	got, rerr := tp.Pull[int](toFront, "/front?token=secret", 1, tp.WithContext(ctx))
	if rerr != nil || got != 7 {
		t.Fatalf("got %d, %v", got, rerr)
	}
	root.End()
	program, inside := s.await(trace.SpanKindInternal, "root"), s.await(trace.SpanKindInternal, "inside")
	called, handled := s.await(trace.SpanKindClient, "/front"), s.await(trace.SpanKindServer, "/front")
	calledBack, handledBack := s.await(trace.SpanKindClient, "/back"), s.await(trace.SpanKindServer, "/back")
	pushed, took := s.await(trace.SpanKindProducer, "/note"), s.await(trace.SpanKindConsumer, "/note")
	isChild(t, called, program)
	isChild(t, handled, called)
	isChild(t, inside, handled)
	isChild(t, calledBack, inside)
	isChild(t, handledBack, calledBack)
	isChild(t, pushed, handled)
	isChild(t, took, pushed)
	if sc := <-noted; sc.SpanID() != took.SpanContext.SpanID() {
		t.Error("the handler of the push has another span")
	}
	if !handled.Parent.IsRemote() {
		t.Error("the parent of what is handled is not remote")
	}
	host, port, _ := net.SplitHostPort(toFront.RemoteIp())
	for key, want := range map[string]string{
		"rpc.system.name": "teleport", "rpc.method": "/front", "teleport.kind": "pull", "rpc.response.status_code": "", "error.type": "",
		"server.address": host, "server.port": port, "network.peer.address": host, "network.peer.port": port,
	} {
		if got := attr(called, key); got != want {
			t.Errorf("the caller's %s is %q, want %q", key, got, want)
		}
	}
	clientHost, clientPort, _ := net.SplitHostPort(atFront.RemoteIp())
	for key, want := range map[string]string{
		"rpc.system.name": "teleport", "rpc.method": "/front", "rpc.method_original": "", "teleport.kind": "pull",
		"server.address": host, "server.port": port, "client.address": clientHost, "client.port": clientPort, "network.peer.port": clientPort,
	} {
		if got := attr(handled, key); got != want {
			t.Errorf("the handler's %s is %q, want %q", key, got, want)
		}
	}
	if attr(pushed, "teleport.kind") != "push" || attr(took, "teleport.kind") != "push" {
		t.Error("a push is no push")
	}
	for _, span := range s.exporter.GetSpans() {
		if span.Status.Code != codes.Unset {
			t.Errorf("%s has status %v", span.Name, span.Status)
		}
		for _, a := range span.Attributes {
			if strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s tells the query: %v", span.Name, a)
			}
		}
		if span.EndTime.Before(span.StartTime) {
			t.Errorf("%s ends before it begins", span.Name)
		}
	}
}

// How an exchange ends is how its spans do.
func TestStatus(t *testing.T) {
	s := newTraces(t)
	atClient := newTraces(t)
	server := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{}))
	r := server.PullRouter
	tp.RegPull(r, "own", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, tp.NewRerror(1234, "sold out", "detail") })
	tp.RegPull(r, "denied", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, tp.NewRerror(tp.CodeUnauthorized, "who are you") })
	tp.RegPull(r, "panics", func(tp.PullCtx, *int) (int, *tp.Rerror) { panic("secret") })
	r.Group("any").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
	tp.RegPush(server.PushRouter, "panics", func(tp.PushCtx, *int) { panic("secret") })
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(otel.Config{}))
	sess, _ := tptest.Pair(t, client, server)
	for _, c := range []struct {
		path, method, name, original string
		code                         string
		handled                      codes.Code
		message                      string
		push                         bool
	}{
		{path: "/own", code: "1234", handled: codes.Error, message: "sold out"},
		{path: "/denied", code: "401", message: "who are you"},
		{path: "/panics", code: "500", handled: codes.Error, message: "Internal Server Error"},
		{path: "/any/a/b", method: "/any/*", name: "/any/*", original: "/any/a/b"},
		{path: "/nowhere", method: "_OTHER", name: "teleport", original: "/nowhere", code: "404", message: "Not Found"},
		{path: "/panics", code: "500", handled: codes.Error, message: "Internal Server Error", push: true},
		{path: "/nowhere", method: "_OTHER", name: "teleport", original: "/nowhere", code: "404", message: "Not Found", push: true},
	} {
		s.exporter.Reset()
		atClient.exporter.Reset()
		if c.method == "" {
			c.method, c.name = c.path, c.path
		}
		called, handled := trace.SpanKindClient, trace.SpanKindServer
		calledStatus, calledCode := codes.Error, c.code
		if c.push {
			called, handled = trace.SpanKindProducer, trace.SpanKindConsumer
			if rerr := sess.Push(c.path, 1); rerr != nil {
				t.Fatal(rerr)
			}
			calledCode = "" // nobody tells a pusher
		} else {
			sess.Pull(c.path, 1, nil)
		}
		if calledCode == "" {
			calledStatus = codes.Unset
		}
		for _, side := range []struct {
			at           *traces
			kind         trace.SpanKind
			name, method string
			original     string
			code         string
			status       codes.Code
		}{
			{atClient, called, c.path, c.path, "", calledCode, calledStatus},
			{s, handled, c.name, c.method, c.original, c.code, c.handled},
		} {
			span := side.at.await(side.kind, side.name)
			if span.Status.Code != side.status {
				t.Errorf("%v %s: status %v, want %v", side.kind, c.path, span.Status, side.status)
			}
			if side.status == codes.Error && span.Status.Description != c.message {
				t.Errorf("%v %s: status %v, want %q", side.kind, c.path, span.Status, c.message)
			}
			for key, want := range map[string]string{
				"rpc.method": side.method, "rpc.method_original": side.original, "rpc.response.status_code": side.code, "error.type": side.code,
			} {
				if got := attr(span, key); got != want {
					t.Errorf("%v %s: %s is %q, want %q", side.kind, c.path, key, got, want)
				}
			}
			if n := len(side.at.exporter.GetSpans()); n != 1 {
				t.Errorf("%v %s: %d spans", side.kind, c.path, n)
			}
		}
	}
}

// What never came as far as a hook has a span too: a pull that found no connection, and
// one that the reader refused, which is part of its caller's trace.
func TestBelatedSpans(t *testing.T) {
	s, atClient := newTraces(t), newTraces(t)
	server := quiet(t, tp.PeerConfig{MaxSessionHandlers: 1}, s.plugin(otel.Config{}))
	running, release := make(chan struct{}), make(chan struct{})
	tp.RegPull(server.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		close(running)
		<-release
		return 1, nil
	})
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(otel.Config{}))
	sess, _ := tptest.Pair(t, client, server)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 1, nil, done)
	<-running
	if rerr := sess.Pull("/more", 1, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeServiceUnavailable {
		t.Fatal(rerr)
	}
	refused := s.await(trace.SpanKindServer, "teleport")
	isChild(t, refused, atClient.await(trace.SpanKindClient, "/more"))
	if attr(refused, "rpc.response.status_code") != "503" || refused.Status.Code != codes.Error || attr(refused, "client.address") == "" {
		t.Errorf("refused: %v, %v", refused.Attributes, refused.Status)
	}
	close(release)
	<-done
	_ = sess.Close()
	ctx, root := atClient.provider.Tracer("program").Start(t.Context(), "root")
	if rerr := sess.Pull("/late", 1, nil, tp.WithContext(ctx)).Rerror(); rerr == nil {
		t.Fatal("a closed session pulls")
	}
	root.End()
	late := atClient.await(trace.SpanKindClient, "/late")
	isChild(t, late, atClient.await(trace.SpanKindInternal, "root"))
	if attr(late, "error.type") != "102" || late.Status.Code != codes.Error || late.EndTime.Before(late.StartTime) {
		t.Errorf("not sent: %v, %v", late.Attributes, late.Status)
	}
	client.FailedPull("", 1, nil, tp.NewRerror(tp.CodeDialFailed, "no one")) // it has no path
	atClient.await(trace.SpanKindClient, "teleport")
}

// A peer that faces strangers begins traces of its own.
func TestPublic(t *testing.T) {
	s := newTraces(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	server := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{Public: true}))
	tp.RegPull(server.PullRouter, "a", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(server.PullRouter, "b", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
	// The stranger says that it is not sampled.
	const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	sess.Pull("/a", 1, nil, tp.WithAddMeta("traceparent", theirs))
	span := s.await(trace.SpanKindServer, "/a")
	if span.Parent.IsValid() || len(span.Links) != 1 || span.Links[0].SpanContext.TraceID().String() != theirs[3:35] {
		t.Errorf("parent %v, links %v", span.Parent, span.Links)
	}
	sess.Pull("/b", 1, nil)
	if span := s.await(trace.SpanKindServer, "/b"); len(span.Links) != 0 {
		t.Errorf("links to nothing: %v", span.Links)
	}
}

// What a public peer calls for a stranger is not in the stranger's trace, also where
// the path has no span.
func TestPublicWithFilter(t *testing.T) {
	s := newTraces(t)
	server := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{Public: true, Filter: func(path string) bool { return path != "/quiet" }}))
	backend := quiet(t, tp.PeerConfig{})
	got := make(chan string, 1)
	tp.RegPull(backend.PullRouter, "a", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		got <- string(ctx.GetMeta("traceparent"))
		return 1, nil
	})
	toBackend, _ := tptest.Pair(t, server, backend)
	tp.RegPull(server.PullRouter, "quiet", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		return tp.Pull[int](toBackend, "/a", 1, tp.WithContext(ctx.Context()))
	})
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
	const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if rerr := sess.Pull("/quiet", 1, nil, tp.WithAddMeta("traceparent", theirs)).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	if sent := <-got; sent == "" || strings.Contains(sent, theirs[3:35]) {
		t.Errorf("the backend was sent %q", sent)
	}
	if span := s.await(trace.SpanKindClient, "/a"); span.Parent.IsValid() {
		t.Errorf("the span has the parent %v", span.Parent)
	}
}

// Meta data that is passed on, as by a proxy, brings nothing of another trace.
func TestStaleTrace(t *testing.T) {
	s := newTraces(t)
	server := quiet(t, tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "a", func(ctx tp.PullCtx, _ *int) (string, *tp.Rerror) {
		var got []string
		ctx.(interface{ Input() *socket.Packet }).Input().Meta().VisitAll(func(key, value []byte) { got = append(got, string(key)+"="+string(value)) })
		return strings.Join(got, " "), nil
	})
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{})), server)
	const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, keys := range [][2]string{{"traceparent", "tracestate"}, {"Traceparent", "Tracestate"}} { // of HTTP
		s.exporter.Reset()
		got, rerr := tp.Pull[string](sess, "/a", 1, tp.WithAddMeta(keys[0], theirs), tp.WithAddMeta(keys[1], "vendor=1"))
		if rerr != nil {
			t.Fatal(rerr)
		}
		sc := s.await(trace.SpanKindClient, "/a").SpanContext
		if want := "traceparent=00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"; got != want {
			t.Errorf("%s: the server saw %q, want %q", keys, got, want)
		}
	}
}

// The case of the keys does not matter, and what is malformed is no parent.
func TestReceivedTraceparent(t *testing.T) {
	s := newTraces(t)
	server := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{}))
	var state atomic.Value
	tp.RegPull(server.PullRouter, "a", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		state.Store(trace.SpanContextFromContext(ctx.Context()).TraceState().String())
		return 1, nil
	})
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct {
		key, value string
		parent     bool
	}{
		{"traceparent", good, true},
		{"Traceparent", good, true},
		{"TRACEPARENT", good, true},
		{"traceparent", "", false},
		{"traceparent", good[:30], false},
		{"traceparent", strings.Repeat(good, 20), false},
		{"traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		{"traceparent", "\x00\xff", false},
	} {
		s.exporter.Reset()
		sess.Pull("/a", 1, nil, tp.WithAddMeta(c.key, c.value), tp.WithAddMeta("Tracestate", "vendor=1"))
		span := s.await(trace.SpanKindServer, "/a")
		if got := span.Parent.IsValid(); got != c.parent || got && span.Parent.SpanID().String() != good[36:52] {
			t.Errorf("%s=%q: parent %v", c.key, c.value, span.Parent)
		}
		if want := map[bool]string{true: "vendor=1"}[c.parent]; state.Load() != want {
			t.Errorf("%s=%q: state %q, want %q", c.key, c.value, state.Load(), want)
		}
	}
}

// What is filtered passes the trace on.
func TestFilter(t *testing.T) {
	s := newTraces(t)
	filter := otel.Config{
		Filter:     func(path string) bool { return path != "/quiet" },
		Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	server := quiet(t, tp.PeerConfig{}, s.plugin(filter))
	seen := make(chan context.Context, 1)
	tp.RegPull(server.PullRouter, "quiet", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) { seen <- ctx.Context(); return 1, nil })
	sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}, s.plugin(filter)), server)
	ctx, root := s.provider.Tracer("program").Start(t.Context(), "root")
	member, _ := baggage.NewMemberRaw("tenant", "a b")
	bag, _ := baggage.New(member)
	sess.Pull("/quiet", 1, nil, tp.WithContext(baggage.ContextWithBaggage(ctx, bag)))
	got := <-seen
	if sc := trace.SpanContextFromContext(got); sc.SpanID() != root.SpanContext().SpanID() || !sc.IsRemote() {
		t.Errorf("the handler is in %v", sc)
	}
	if v := baggage.FromContext(got).Member("tenant").Value(); v != "a b" {
		t.Errorf("the baggage is %q", v)
	}
	root.End()
	sess.Pull("/loud", 1, nil)
	s.await(trace.SpanKindServer, "teleport")
	s.await(trace.SpanKindClient, "/loud")
	if n := len(s.exporter.GetSpans()); n != 3 {
		t.Errorf("%d spans, want those of root and /loud", n)
	}
}

// A pull that is sent again on another connection has one span.
func TestResentPull(t *testing.T) {
	s := newTraces(t)
	server := quiet(t, tp.PeerConfig{CloseTimeout: -1})
	var calls atomic.Int32
	parents := make(chan string, 2)
	release := make(chan struct{})
	tp.RegPull(server.PullRouter, "a", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		parents <- string(ctx.GetMeta("traceparent"))
		if calls.Add(1) == 1 {
			_ = ctx.Session().Close() // cuts the connection
			<-release
		}
		return 1, nil
	})
	client := quiet(t, tp.PeerConfig{RedialTimes: -1}, s.plugin(otel.Config{}))
	sess, _ := tptest.Pair(t, client, server)
	if rerr := sess.Pull("/a", 1, nil, tp.WithIdempotent()).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	close(release)
	span := s.await(trace.SpanKindClient, "/a")
	if len(span.Events) != 1 || span.Events[0].Name != "sent again" {
		t.Errorf("events %v", span.Events)
	}
	if first, second := <-parents, <-parents; first != second || !strings.Contains(first, span.SpanContext.SpanID().String()) {
		t.Errorf("the servers saw %q and %q, the span is %v", first, second, span.SpanContext.SpanID())
	}
}

// A broadcast has a span for each session, and each ends.
func TestBroadcast(t *testing.T) {
	s := newTraces(t)
	server := quiet(t, tp.PeerConfig{}, s.plugin(otel.Config{}))
	got := make(chan string, 4)
	for range 2 {
		client := quiet(t, tp.PeerConfig{})
		tp.RegPush(client.PushRouter, "news", func(ctx tp.PushCtx, _ *int) { got <- string(ctx.GetMeta("traceparent")) })
		tptest.Pair(t, client, server)
	}
	ctx, root := s.provider.Tracer("program").Start(t.Context(), "root")
	if n, rerr := server.Broadcast("/news", 1, nil, tp.WithContext(ctx)); rerr != nil || n.Sent != 2 {
		t.Fatal(n, rerr)
	}
	root.End()
	if a, b := <-got, <-got; a == b || a == "" || b == "" {
		t.Errorf("the clients saw %q and %q", a, b)
	}
	for end := time.Now().Add(patience); len(s.exporter.GetSpans()) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d spans", len(s.exporter.GetSpans()))
		}
	}
	program := s.await(trace.SpanKindInternal, "root")
	for _, span := range s.exporter.GetSpans() {
		if span.Name != "root" {
			isChild(t, span, program)
		}
	}
}
