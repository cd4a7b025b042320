package tp_test

import (
	"strconv"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The typed and the reflective front door are the same handler.
func TestTypedAndReflectedAreAlike(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	pull := func(ctx tp.PullCtx, args *[]string) (map[string]int, *tp.Rerror) {
		counts := make(map[string]int)
		for _, s := range *args {
			counts[s]++
		}
		ctx.SetMeta("path", ctx.Path())
		return counts, nil
	}
	tp.RegPull(srv.PullRouter.Group("g"), "typed", pull)
	srv.PullRouter.Group("g").RegFunc("reflected", pull)
	pushed := make(chan string, 1)
	push := func(ctx tp.PushCtx, args *string) { pushed <- ctx.Path() + " " + *args }
	tp.RegPush(srv.PushRouter.Group("g"), "typed", push)
	srv.PushRouter.Group("g").RegFunc("reflected", push)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for _, uri := range []string{"/g/typed", "/g/reflected"} {
		var counts map[string]int
		cmd := sess.Pull(uri, []string{"a", "b", "a"}, &counts)
		noRerror(t, cmd.Rerror())
		if counts["a"] != 2 || counts["b"] != 1 || string(cmd.InputMeta().Peek("path")) != uri {
			t.Errorf("%s: got %v, meta %s", uri, counts, cmd.InputMeta())
		}
		noRerror(t, sess.Push(uri, "x"))
		if got := receive(t, pushed); got != uri+" x" {
			t.Errorf("got %q", got)
		}
	}
}

func TestTypedPullTakesSettings(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "message", func(ctx tp.PullCtx, args *wrapperspb.StringValue) (*wrapperspb.StringValue, *tp.Rerror) {
		return wrapperspb.String(args.Value + string(ctx.GetMeta("m"))), nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	got, rerr := tp.Pull[*wrapperspb.StringValue](sess, "/message", wrapperspb.String("a"), tp.WithBodyCodec(codec.ID_PROTOBUF), tp.WithAddMeta("m", "b"))
	noRerror(t, rerr)
	if got.Value != "ab" {
		t.Errorf("got %q", got.Value)
	}
}

// A pull that fails returns the zero value.
func TestTypedPullFails(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	got, rerr := tp.Pull[*int](sess, "/nowhere", 1)
	wantCode(t, rerr, tp.CodeNotFound, "")
	if got != nil {
		t.Errorf("got %v", *got)
	}
}

// What a typed pull shows to anybody is never used for another one: the packet
// of a setting, and what a hook gets.
func TestTypedPullShowsNothingTwice(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "echo", func(_ tp.PullCtx, args *string) (string, *tp.Rerror) { return *args, nil })
	addr := serve(t, srv)
	pull := func(sess tp.Session, text string, setting ...socket.PacketSetting) {
		if got, rerr := tp.Pull[string](sess, "/echo", text, setting...); rerr != nil || got != text {
			t.Fatalf("got %q, %v, want %q", got, rerr, text)
		}
	}
	peer := newPeer(t, tp.PeerConfig{})
	sess := dial(t, peer, addr)
	var kept *socket.Packet
	pull(sess, "kept", func(p *socket.Packet) { kept = p })
	hook := new(keepHook)
	for i := range 20 {
		if i == 10 {
			if err := peer.PluginContainer().Add(hook); err != nil {
				t.Fatal(err)
			}
		}
		pull(sess, strconv.Itoa(i))
	}
	if kept.Body() != "kept" || kept.Seq() != 0 {
		t.Errorf("the packet of the setting is now %v", kept)
	}
	if len(hook.seen) != 10 {
		t.Fatalf("the hook saw %d pulls, want 10", len(hook.seen))
	}
	for i, ctx := range hook.seen {
		if ctx.Output().Body() != strconv.Itoa(10+i) {
			t.Errorf("pull %d that the hook saw is now %v", i, ctx.Output())
		}
	}
}

type keepHook struct{ seen []tp.WriteCtx }

func (*keepHook) Name() string { return "keep" }

func (h *keepHook) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	h.seen = append(h.seen, ctx)
	return nil
}

// A reply of bytes takes a shorter way, on both sides, and is the caller's and the
// handler's for ever all the same.
func TestTypedPullBytes(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPull(srv.PullRouter, "meta", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		ctx.SetMeta("k", "v") // the packet of the reply is asked for
		return *args, nil
	})
	tp.RegPull(srv.PullRouter, "both", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		return *args, tp.NewRerror(1, "bad", "")
	})
	tp.RegPull(srv.PullRouter, "panic", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { panic("it is asked to") })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	pull := func(name, args string) ([]byte, *tp.Rerror) { return tp.Pull[[]byte](sess, "/"+name, []byte(args)) }

	var kept [][]byte
	for i := range 200 {
		for _, name := range []string{"echo", "meta"} {
			got, rerr := pull(name, name+strconv.Itoa(i))
			if rerr != nil {
				t.Fatal(rerr)
			}
			kept = append(kept, got)
		}
		if got, rerr := pull("echo", ""); len(got) != 0 || rerr != nil {
			t.Fatalf("nothing comes back as %q, %v", got, rerr)
		}
		got, rerr := pull("both", "beside the error")
		wantCode(t, rerr, 1, "")
		if string(got) != "beside the error" {
			t.Fatalf("beside an error came %q", got)
		}
		_, rerr = pull("nowhere", "lost")
		wantCode(t, rerr, tp.CodeNotFound, "")
	}
	_, rerr := pull("panic", "x")
	wantCode(t, rerr, tp.CodeInternalServerError, "")
	for i, got := range kept {
		if want := []string{"echo", "meta"}[i%2] + strconv.Itoa(i/2); string(got) != want {
			t.Fatalf("reply %d is now %q, want %q", i, got, want)
		}
	}

	// A hook sees what the handler returned, also of the calls after it was added.
	hook := new(bodyHook)
	if err := srv.PluginContainer().Add(hook); err != nil {
		t.Fatal(err)
	}
	if _, rerr := pull("echo", "seen"); rerr != nil {
		t.Fatal(rerr)
	}
	if body, ok := hook.body.([]byte); !ok || string(body) != "seen" {
		t.Errorf("the hook saw %T %v", hook.body, hook.body)
	}
}

type bodyHook struct{ body interface{} }

func (*bodyHook) Name() string { return "body" }

func (h *bodyHook) PreWriteReply(ctx tp.WriteCtx) *tp.Rerror {
	h.body = ctx.Output().Body()
	return nil
}
