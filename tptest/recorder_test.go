package tptest_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest"
)

// hooks returns the names of the hooks that ran, but for PreReadHeader, which
// runs before it is known what comes.
func hooks(r *tptest.Recorder) (names []string) {
	for _, e := range r.Events() {
		if e.Hook != "PreReadHeader" {
			names = append(names, e.Hook)
		}
	}
	return names
}

func named(hook string) func(tptest.Event) bool {
	return func(e tptest.Event) bool { return e.Hook == hook }
}

func wait(t *testing.T, r *tptest.Recorder, match func(tptest.Event) bool) tptest.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := r.Wait(ctx, match)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRecorderHasEveryHook(t *testing.T) {
	atServer, atClient := tptest.NewRecorder("server"), tptest.NewRecorder("client")
	server, client := quiet(atServer), quiet(atClient)
	tp.RegPull(server.PullRouter, "greet", greet)
	tp.RegPush(server.PushRouter, "here", func(tp.PushCtx, *int) {})
	sess, other := tptest.Pair(t, client, server)
	if rerr := sess.Pull("/greet", "Ann", nil).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	wait(t, atServer, named("PostExchange"))
	if rerr := sess.Push("/here", 1); rerr != nil {
		t.Fatal(rerr)
	}
	wait(t, atServer, named("PostReadPushBody"))
	_ = sess.Close()
	wait(t, atClient, named("PostDisconnect"))
	wait(t, atServer, named("PostDisconnect"))
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}

	for _, got := range []struct{ names, want []string }{
		{hooks(atServer), []string{
			"PostReg", "PostReg", "PostListen", "PostAccept",
			"PostReadPullHeader", "PreReadPullBody", "PostReadPullBody", "PreWriteReply", "PostWriteReply", "PostExchange",
			"PostReadPushHeader", "PreReadPushBody", "PostReadPushBody", "PostExchange",
			"PostDisconnect", "PreShutdown",
		}},
		{hooks(atClient), []string{
			"PostDial", "PreWritePull", "PostWritePull",
			"PostReadReplyHeader", "PreReadReplyBody", "PostReadReplyBody", "PostExchange",
			"PreWritePush", "PostWritePush", "PostExchange",
			"PostDisconnect",
		}},
	} {
		if !slices.Equal(got.names, got.want) {
			t.Errorf("got  %v\nwant %v", got.names, got.want)
		}
	}

	seen := map[string]bool{}
	for _, e := range append(atServer.Events(), atClient.Events()...) {
		seen[e.Hook] = true
	}
	container := reflect.TypeFor[tp.PluginContainer]()
	for i := range container.NumMethod() {
		if name := container.Method(i).Name; (strings.HasPrefix(name, "Pre") || strings.HasPrefix(name, "Post")) && !seen[name] {
			t.Errorf("%s did not run", name)
		}
	}

	for _, want := range []struct {
		r *tptest.Recorder
		e tptest.Event
	}{
		{atServer, tptest.Event{Hook: "PostReg", URI: "/here"}},
		{atServer, tptest.Event{Hook: "PostListen"}},
		{atServer, tptest.Event{Hook: "PostExchange", URI: "/greet", SessionID: other.Id()}},
		{atClient, tptest.Event{Hook: "PostExchange", URI: "/here", SessionID: sess.Id()}},
		{atServer, tptest.Event{Hook: "PostAccept", SessionID: other.Id()}},
		{atServer, tptest.Event{Hook: "PostReadPullHeader", URI: "/greet", SessionID: other.Id()}},
		{atServer, tptest.Event{Hook: "PostReadPushBody", URI: "/here", SessionID: other.Id()}},
		{atClient, tptest.Event{Hook: "PostReadReplyBody", URI: "/greet", SessionID: sess.Id()}},
		{atClient, tptest.Event{Hook: "PreWritePush", URI: "/here", SessionID: sess.Id()}},
		{atClient, tptest.Event{Hook: "PostDisconnect", SessionID: sess.Id()}},
	} {
		if got := want.r.Events(); !slices.Contains(got, want.e) {
			t.Errorf("no event %v among\n%v", want.e, got)
		}
	}
}

func TestRecorderWaits(t *testing.T) {
	r := tptest.NewRecorder("recorder")
	client, server := quiet(), quiet(r)
	tp.RegPull(server.PullRouter, "greet", greet)
	sess, _ := tptest.Pair(t, client, server)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Wait(ctx, named("PostReadPullBody"))
	wantError(t, err, context.Canceled)
	if !strings.Contains(err.Error(), "recorder") {
		t.Errorf("%v does not say whose it is", err)
	}

	pull := func() {
		t.Helper()
		if rerr := sess.Pull("/greet", "Ann", nil).Rerror(); rerr != nil {
			t.Fatal(rerr)
		}
	}
	for range 5 {
		pull()
	}
	var waiting sync.WaitGroup
	begun := make(chan struct{})
	waiting.Go(func() {
		n := 0
		e := wait(t, r, func(e tptest.Event) bool {
			if n++; n == 1 {
				close(begun)
			}
			return e.Hook == "PostReadPullHeader" && e.Seq == 5
		})
		if e.URI != "/greet" {
			t.Errorf("got %v", e)
		}
	})
	<-begun
	r.Reset() // what comes after is still seen, though it is less
	pull()
	waiting.Wait()
	if slices.ContainsFunc(r.Events(), named("PostAccept")) {
		t.Error("Reset has not forgotten")
	}
	first := r.Events()
	first[0].Hook = "changed"
	if r.Events()[0].Hook == "changed" {
		t.Error("Events gives out what is the recorder's")
	}
}

func TestRecorderOfManyGoroutines(t *testing.T) {
	r := tptest.NewRecorder("recorder")
	client, server := quiet(), quiet(r)
	tp.RegPull(server.PullRouter, "greet", greet)
	sess, _ := tptest.Pair(t, client, server)
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			for range 50 {
				if rerr := sess.Pull("/greet", "Ann", nil).Rerror(); rerr != nil {
					t.Error(rerr)
				}
			}
		})
	}
	last := wait(t, r, func(e tptest.Event) bool { return e.Hook == "PostReadPullBody" && e.Seq == 499 })
	callers.Wait()
	if last.SessionID == "" {
		t.Errorf("got %v", last)
	}
	seqs := map[uint64]bool{}
	for _, e := range r.Events() {
		if e.Hook == "PostReadPullBody" {
			seqs[e.Seq] = true
		}
	}
	if len(seqs) != 500 {
		t.Errorf("%d pulls were recorded, want 500", len(seqs))
	}
}

func TestEventString(t *testing.T) {
	e := tptest.Event{Hook: "PostReg", URI: "/greet", SessionID: "a", Seq: 7}
	if got := e.String(); got != `PostReg uri="/greet" session="a" seq=7` {
		t.Error(got)
	}
}
