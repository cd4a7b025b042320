package tp_test

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
)

type ctxKey struct{}

// withWord appends a word to what the context of an exchange carries.
func withWord(ctx context.Context, word string) context.Context {
	words, _ := ctx.Value(ctxKey{}).([]string)
	return context.WithValue(ctx, ctxKey{}, append(slices.Clone(words), word))
}

// tracer is a plugin that puts a word into the context in every hook of an
// exchange.
func tracer(seen func(hook string, words []string)) everyHook {
	return everyHook{"tracer", func(hook string, ctx interface{}) *tp.Rerror {
		c, ok := ctx.(interface {
			Context() context.Context
			SetContext(context.Context)
		})
		// PreReadHeader belongs to no exchange yet, and what PostWritePull notes is
		// of no interest here.
		if !ok || hook == "PreReadHeader" || hook == "PostWritePull" {
			return nil
		}
		c.SetContext(withWord(c.Context(), hook))
		words, _ := c.Context().Value(ctxKey{}).([]string)
		seen(hook, words)
		return nil
	}}
}

// What one hook puts into the context reaches the hooks after it and the
// handler: tracing rests on it.
func TestContextFlowsFromHookToHook(t *testing.T) {
	t.Parallel()
	last := make(chan []string, 8)
	seen := func(hook string, words []string) {
		if strings.HasPrefix(hook, "PostWrite") {
			last <- words
		}
	}
	srv := newPeer(t, tp.PeerConfig{}, tracer(seen))
	tp.RegPull(srv.PullRouter, "pull", func(ctx tp.PullCtx, _ *int) ([]string, *tp.Rerror) {
		words, _ := ctx.Context().Value(ctxKey{}).([]string)
		return words, nil
	})
	pushed := make(chan []string, 1)
	tp.RegPush(srv.PushRouter, "push", func(ctx tp.PushCtx, _ *int) {
		words, _ := ctx.Context().Value(ctxKey{}).([]string)
		pushed <- words
	})
	addr := serve(t, srv)
	plain := dial(t, newPeer(t, tp.PeerConfig{}), addr)

	want := []string{"PostReadPullHeader", "PreReadPullBody", "PostReadPullBody"}
	got, rerr := tp.Pull[[]string](plain, "/pull", 1)
	if rerr != nil || !slices.Equal(got, want) {
		t.Errorf("the handler of the pull saw %q, %v; want %q", got, rerr, want)
	}
	if got, want := receive(t, last), append(want, "PreWriteReply", "PostWriteReply"); !slices.Equal(got, want) {
		t.Errorf("PostWriteReply saw %q, want %q", got, want)
	}
	noRerror(t, plain.Push("/push", 1))
	if got, want := receive(t, pushed), []string{"PostReadPushHeader", "PreReadPushBody", "PostReadPushBody"}; !slices.Equal(got, want) {
		t.Errorf("the handler of the push saw %q, want %q", got, want)
	}

	// The other side of both: from the caller's context through PreWrite… to
	// the hooks of the reply and to the PullCmd.
	cliLast := make(chan []string, 8)
	cli := newPeer(t, tp.PeerConfig{}, tracer(func(hook string, words []string) {
		if hook == "PostReadReplyBody" || hook == "PostWritePush" {
			cliLast <- words
		}
	}))
	sess := dial(t, cli, addr)
	ctx := withWord(context.Background(), "caller")
	cmd := sess.Pull("/pull", 1, nil, tp.WithContext(ctx))
	noRerror(t, cmd.Rerror())
	want = []string{"caller", "PreWritePull", "PostReadReplyHeader", "PreReadReplyBody", "PostReadReplyBody"}
	if got := receive(t, cliLast); !slices.Equal(got, want) {
		t.Errorf("PostReadReplyBody saw %q, want %q", got, want)
	}
	if got, _ := cmd.Context().Value(ctxKey{}).([]string); !slices.Equal(got, want) {
		t.Errorf("the PullCmd has %q, want %q", got, want)
	}
	noRerror(t, sess.Push("/push", 1, tp.WithContext(ctx)))
	if got, want := receive(t, cliLast), []string{"caller", "PreWritePush", "PostWritePush"}; !slices.Equal(got, want) {
		t.Errorf("PostWritePush saw %q, want %q", got, want)
	}
}

// Each hook of a pull may use and replace the context, also where the reply is there
// before PostWritePull has run.
func TestContextOfPullIsRaceFree(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	cli := newPeer(t, tp.PeerConfig{}, everyHook{"p", func(hook string, ctx interface{}) *tp.Rerror {
		if c, ok := ctx.(tp.WriteCtx); ok {
			c.SetContext(withWord(c.Context(), hook))
		} else if c, ok := ctx.(tp.ReadCtx); ok {
			c.SetContext(withWord(c.Context(), hook))
		}
		return nil
	}})
	sess := dial(t, cli, serve(t, srv))
	for range 200 {
		noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
	}
}

func TestContextEndsWithTheSession(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	started := make(chan struct{}, 2)
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "wait", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		started <- struct{}{}
		<-ctx.Context().Done()
		ended <- context.Cause(ctx.Context())
		return 0, nil
	})
	raw := dialRaw(t, serve(t, srv))
	raw.send(tp.TypePull, 1, "/wait", 'j', []byte("1"))
	receive(t, started)
	_ = raw.s.Close()
	if err := receive(t, ended); !errors.Is(err, tp.ErrConnClosed) {
		t.Errorf("the cause is %v, want ErrConnClosed", err)
	}
}

func TestContextTellsOfTheExchange(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	type told struct {
		Uri, Path, RawQuery, A, Meta string
		NoMeta                       bool
		Codec                        byte
		Seq                          uint64
	}
	ips := make(chan [2]string, 1)
	tp.RegPull(srv.PullRouter, "tell", func(ctx tp.PullCtx, _ *int) (told, *tp.Rerror) {
		if ctx.Peer() != srv || ctx.Session().Peer() != srv || ctx.Public() == nil || ctx.PublicLen() != 0 {
			t.Error("the context has another peer or session")
		}
		ips <- [2]string{ctx.Ip(), ctx.Session().RemoteIp()}
		ctx.SetMeta("answer", "42")
		ctx.SetBodyCodec(codec.ID_JSON)
		return told{
			ctx.Uri(), ctx.Path(), ctx.RawQuery(), ctx.Query().Get("a"), string(ctx.GetMeta("k")),
			ctx.GetMeta("absent") == nil, ctx.GetBodyCodec(), ctx.Seq(),
		}, nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	var got told
	cmd := sess.Pull("/tell?a=1", nil, &got, tp.WithAddMeta("k", "v"), tp.WithBodyCodec(codec.ID_PROTOBUF))
	noRerror(t, cmd.Rerror())
	if want := (told{"/tell?a=1", "/tell", "a=1", "1", "v", true, codec.ID_PROTOBUF, cmd.Output().Seq()}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := receive(t, ips), sess.LocalIp(); got != [2]string{want, want} {
		t.Errorf("Ip and RemoteIp are %q, the client's is %q", got, want)
	}
	if got := string(cmd.InputMeta().Peek("answer")); got != "42" || cmd.InputBodyCodec() != codec.ID_JSON {
		t.Errorf("the reply has meta %q, codec %d", got, cmd.InputBodyCodec())
	}
}

func TestQueryParsing(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "q", func(ctx tp.PullCtx, _ *int) (url.Values, *tp.Rerror) {
		if !reflect.DeepEqual(ctx.Query(), ctx.Query()) {
			t.Error("the second Query differs")
		}
		return ctx.Query(), nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for query, want := range map[string]url.Values{
		"":                {},
		"?":               {},
		"?a":              {"a": {""}},
		"?a=1&a=2&b=":     {"a": {"1", "2"}, "b": {""}},
		"?a=x y":          {"a": {"x y"}},
		"?a=x+y":          {"a": {"x y"}},
		"?a=x%20y%2B%26":  {"a": {"x y+&"}},
		"?%E4%BD%A0=%25":  {"你": {"%"}},
		"?a=1&bad=%zz":    {"a": {"1"}}, // malformed pairs are left out
		"?a=?&b=/x/../y#": {"a": {"?"}, "b": {"/x/../y#"}},
	} {
		got, rerr := tp.Pull[url.Values](sess, "/q"+query, 1)
		if rerr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, %v; want %v", query, got, rerr, want)
		}
	}
}

// Bytes that a handler keeps are its own: in the original they changed when
// the next packet came.
func TestHandlerKeepsBytes(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	type kept struct {
		raw, unknown []byte
		text         string
		meta         []byte
		ctx          tp.UnknownPullCtx
	}
	const n = 60
	kepts := make(chan kept, n)
	tp.RegPull(srv.PullRouter, "raw", func(_ tp.PullCtx, args *[]byte) (string, *tp.Rerror) {
		kepts <- kept{raw: *args}
		return "", nil
	})
	tp.RegPull(srv.PullRouter, "text", func(ctx tp.PullCtx, args *string) (string, *tp.Rerror) {
		kepts <- kept{text: *args, meta: ctx.GetMeta("m")}
		return "", nil
	})
	srv.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
		kepts <- kept{unknown: *body, ctx: ctx}
		return nil, nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	body := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 600) }
	for i := range n { // one after the other, so that their order is known
		uri := []string{"/raw", "/text", "/other"}[i%3]
		noRerror(t, sess.Pull(uri, body(i), nil, tp.WithBodyCodec(codec.ID_STRING), tp.WithAddMeta("m", body(i)[:9])).Rerror())
	}
	for i := range n {
		k := <-kepts
		got := string(k.raw) + k.text + string(k.unknown)
		if got != body(i) {
			t.Fatalf("what handler %d kept is now %.20q…, was %.20q…", i, got, body(i))
		}
		if k.ctx != nil && string(k.ctx.InputBodyBytes()) != body(i) || k.meta != nil && string(k.meta) != body(i)[:9] {
			t.Fatalf("the context or meta that handler %d kept has changed", i)
		}
	}
}

func TestUnknownContextDecodes(t *testing.T) {
	t.Parallel()
	var book logBook
	srv := newPeer(t, tp.PeerConfig{Logger: &book})
	srv.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
		var v struct{ N int }
		id, err := ctx.Bind(&v)
		if err != nil {
			return nil, tp.NewRerror(1001, "bind error", err.Error())
		}
		var again struct{ N int }
		name, err := ctx.Unmarshal(*body, &again, true)
		if err != nil || again != v {
			t.Errorf("Unmarshal made %v, %v of what Bind made %v", again, err, v)
		}
		return []interface{}{id, name, v.N}, nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	got, rerr := tp.Pull[[3]interface{}](sess, "/x", map[string]int{"n": 7})
	if want := [3]interface{}{float64(codec.ID_JSON), "json", float64(7)}; rerr != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, rerr, want)
	}
	if !strings.Contains(book.String(), `body in codec "json": {"n":7}`) {
		t.Errorf("with print the body is not in the log: %q", book.String())
	}
	_, rerr = tp.Pull[int](sess, "/x", "no object")
	wantCode(t, rerr, 1001, "decode a body")
}
