package tp_test

import (
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/utils"
)

// Captures of programs of 2017, client and server: never change them.
const (
	// PULL /home/echo?x=1 (json, seq 0)
	pullEcho2017 = "0000003666000000000000000000010000000e2f686f6d652f6563686f3f783d31000000006a7b2261223a312c2273223a22" +
		"6869227d"
	// REPLY
	replyEcho2017 = "0000003666000000000000000000020000000e2f686f6d652f6563686f3f783d31000000006a7b2261223a312c2273223a22" +
		"6869227d"
	// PULL /home/str (codec 's')
	pullStr2017 = "000000246600000000000000000001000000092f686f6d652f7374720000000073616263"
	// REPLY
	replyStr2017 = "000000276600000000000000000002000000092f686f6d652f737472000000007372653a616263"
	// PULL /home/err
	pullErr2017 = "000000316600000000000000000001000000092f686f6d652f657272000000006a7b2261223a312c2273223a226869227d"
	// ERROR REPLY with body {} (X-Reply-Error meta)
	replyErr2017 = "000000a66600000000000000000002000000092f686f6d652f65727200000083582d5265706c792d4572726f723d25374225" +
		"3232636f6465253232253341313030312532432532326d6573736167652532322533412532326d792532306572726f722532" +
		"3225324325323264657461696c25323225334125323264657461696c25323025354325323271253543253232253230253543" +
		"2532306261636b2532322537446a7b7d"
	// PULL /home/err_nil
	pullErrNil2017 = "0000003566000000000000000000010000000d2f686f6d652f6572725f6e696c000000006a7b2261223a312c2273223a2268" +
		"69227d"
	// ERROR REPLY with EMPTY body (the v3 client hangs on this one)
	replyErrNil2017 = "0000008e66000000000000000000020000000d2f686f6d652f6572725f6e696c00000069582d5265706c792d4572726f723d" +
		"253742253232636f6465253232253341313030322532432532326d6573736167652532322533412532326e696c253230626f" +
		"64792532306572726f7225323225324325323264657461696c253232253341253232642532322537446a"
	// PULL through filter 'g' (gzip)
	pullGzip2017 = "0000003f6601671f8b08000000000000ff628002460606063efd8cfcdc54fdd4e48c7cfb0a5b43907056b552a29295a18e52" +
		"b192955246a6522d000000ffff"
	// REPLY through 'g'
	replyGzip2017 = "0000003f6601671f8b08000000000000ff628002260606063efd8cfcdc54fdd4e48c7cfb0a5b43907056b552a29295a18e52" +
		"b192955246a6522d000000ffff"
	// PULL /home/push
	pullPush2017 = "0000003266000000000000000000010000000a2f686f6d652f70757368000000006a7b2261223a312c2273223a226869227d"
	// PUSH from the server (seq 0 of its push counter)
	pushHello2017 = "000000356600000000000000000003000000162f6d73672f68656c6c6f3f66726f6d3d736572766572000000006a7b226e22" +
		"3a317d"
	// REPLY
	replyPush2017 = "0000002466000000000000000000020000000a2f686f6d652f70757368000000006a2222"
	// PUSH from the client
	pushCount2017 = "0000002966000000000000000000030000000a2f6d73672f636f756e74000000006a2268656c6c6f22"
)

func unhex2017(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// home is the controller of the captured server.
type home struct{ tp.PullCtx }

func (h *home) Echo(args *map[string]interface{}) (map[string]interface{}, *tp.Rerror) {
	return *args, nil
}

func (h *home) Str(args *string) (string, *tp.Rerror) { return "re:" + *args, nil }

func (h *home) Err(*map[string]interface{}) (map[string]interface{}, *tp.Rerror) {
	return map[string]interface{}{}, tp.NewRerror(1001, "my error", `detail "q" \ back`)
}

func (h *home) ErrNil(*map[string]interface{}) (interface{}, *tp.Rerror) {
	return nil, tp.NewRerror(1002, "nil body error", "d")
}

func (h *home) Push(*map[string]interface{}) (string, *tp.Rerror) {
	rerr := h.Session().Push("/msg/hello?from=server", map[string]int{"n": 1})
	return "", rerr
}

// A client of 2017 reads, byte for byte, what its own server would have
// answered, but for: the announcement in the first reply and push, the
// escaped backslash of the error, and null in place of an empty body, on which
// such a client hangs.
func TestClientOf2017(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	srv.PullRouter.Reg(new(home))
	count := make(chan string, 1)
	tp.RegPush(srv.PushRouter, "msg/count", func(_ tp.PushCtx, s *string) { count <- *s })
	addr := serve(t, srv)

	const escaped, raw = "back%22%7D", "%5C%5C%20" + "back%22%7D"
	fixError := func(s string) string {
		return strings.Replace(s, "%5C%20"+escaped, raw, 1)
	}
	for _, c := range []struct {
		name, pull string
		want       []string
		fix        func(string) string
	}{
		{"echo", pullEcho2017, []string{replyEcho2017}, nil},
		{"str", pullStr2017, []string{replyStr2017}, nil},
		{"err", pullErr2017, []string{replyErr2017}, fixError},
		{"err_nil", pullErrNil2017, []string{replyErrNil2017}, func(s string) string { return s + "null" }},
		{"push", pullPush2017, []string{pushHello2017, replyPush2017}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := dialWire(t, addr)
			// Twice: only the first reply and the first push announce.
			for round := range 2 {
				w.sendBytes(unhex2017(t, c.pull))
				for i, want := range c.want {
					f := w.next()
					if f.announces() != (round == 0) {
						t.Errorf("round %d, frame %d: meta %q", round, i, f.meta)
					}
					f.meta = withoutCaps(f.meta)
					if f.ptype == tp.TypePush {
						f.seq = 0 // it counts pushes
					}
					text := string(unhex2017(t, want)[4:]) // the size differs with what is fixed
					if c.fix != nil {
						text = fixLengths(c.fix(text))
					}
					if got := string(f.bytes()[4:]); got != text {
						t.Errorf("round %d, frame %d:\n got %q\nwant %q", round, i, got, text)
					}
				}
			}
			_ = w.Close()
		})
	}

	t.Run("gzip", func(t *testing.T) {
		w := dialWire(t, addr)
		w.sendBytes(unhex2017(t, pullGzip2017))
		b, err := w.nextBytes()
		if err != nil || string(b[4:7]) != "f\x01g" {
			t.Fatalf("got % x, %v, want a reply through gzip", b, err)
		}
		// Its packer is not ours, so only what is inside can be compared.
		p := newWire(t, &replayConn{Conn: w.Conn, r: strings.NewReader(string(gunzipFrame(t, b)))})
		f := p.next()
		f.meta = withoutCaps(f.meta)
		if want := (frame{ptype: tp.TypeReply, uri: "/home/echo?x=1", codec: 'j', body: f.body}); f != want || !strings.Contains(f.body, `"s":"hi"`) {
			t.Errorf("got %+v", f)
		}
	})

	t.Run("push to the server", func(t *testing.T) {
		dialWire(t, addr).sendBytes(unhex2017(t, pushCount2017))
		if got := receive(t, count); got != "hello" {
			t.Errorf("got %q", got)
		}
	})
}

// withoutCaps takes the announcement off a meta.
func withoutCaps(meta string) string {
	var left []string
	for _, pair := range strings.Split(meta, "&") {
		if !strings.HasPrefix(pair, tp.MetaCapsKey+"=") {
			left = append(left, pair)
		}
	}
	return strings.Join(left, "&")
}

// fixLengths corrects the length of the meta of a frame without its size.
func fixLengths(s string) string {
	const uriLen = 2 + 8 + 1
	at := uriLen + 4 + int(s[uriLen+3])
	end := strings.Index(s, "%7Dj") + len("%7D")
	return s[:at+3] + string([]byte{byte(end - at - 4)}) + s[end-(end-at-4):]
}

// A server of 2017 answers our client: with errors whose body is empty, error
// text whose JSON is broken, and gzip that never ends.
func TestServerOf2017(t *testing.T) {
	hello := make(chan string, 1)
	cli := newPeer(t, tp.PeerConfig{})
	type msg struct{ N int }
	tp.RegPush(cli.PushRouter, "msg/hello", func(ctx tp.PushCtx, m *msg) { hello <- ctx.Query().Get("from") + string(rune('0'+m.N)) })

	args := map[string]interface{}{"a": 1, "s": "hi"}
	type pull = func(tp.Session) (interface{}, *tp.Rerror)
	echoed := func(uri string, filter ...byte) pull {
		return func(s tp.Session) (interface{}, *tp.Rerror) {
			var got struct {
				A int
				S string
			}
			rerr := s.Pull(uri, args, &got, tp.WithXferPipe(filter...)).Rerror()
			if rerr == nil && (got.A != 1 || got.S != "hi") {
				t.Errorf("%s: got %+v", uri, got)
			}
			return nil, rerr
		}
	}
	for _, c := range []struct {
		name   string
		pull   pull
		asked  string
		answer []string
		want   *tp.Rerror
	}{
		{"echo", echoed("/home/echo?x=1"), pullEcho2017, []string{replyEcho2017}, nil},
		{"str", func(s tp.Session) (interface{}, *tp.Rerror) {
			got, rerr := tp.Pull[string](s, "/home/str", "abc", tp.WithBodyCodec('s'))
			if got != "re:abc" {
				t.Errorf("got %q", got)
			}
			return nil, rerr
		}, pullStr2017, []string{replyStr2017}, nil},
		{"err", echoed("/home/err"), pullErr2017, []string{replyErr2017}, tp.NewRerror(1001, "my error", `detail "q" \ back`)},
		{"err_nil", echoed("/home/err_nil"), pullErrNil2017, []string{replyErrNil2017}, tp.NewRerror(1002, "nil body error", "d")},
		{"gzip", echoed("/home/echo", 'g'), "", []string{replyGzip2017}, nil},
		{"push", func(s tp.Session) (interface{}, *tp.Rerror) {
			got, rerr := tp.Pull[string](s, "/home/push", args)
			if got != "" {
				t.Errorf("got %q", got)
			}
			return nil, rerr
		}, pullPush2017, []string{pushHello2017, replyPush2017}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sess, w := dialedWire(t, cli)
			done := make(chan *tp.Rerror, 1)
			go func() {
				_, rerr := c.pull(sess)
				done <- rerr
			}()
			if c.asked == "" {
				if _, err := w.nextBytes(); err != nil {
					t.Fatal(err)
				}
			} else {
				f := w.next()
				if !f.announces() {
					t.Error("the first pull does not announce")
				}
				f.meta = withoutCaps(f.meta)
				if got, want := string(f.bytes()), string(unhex2017(t, c.asked)); got != want {
					t.Errorf("the pull is\n     %q\nwant %q", got, want)
				}
			}
			for _, a := range c.answer {
				w.sendBytes(unhex2017(t, a))
			}
			rerr := receive(t, done)
			switch {
			case c.want == nil:
				noRerror(t, rerr)
			case rerr == nil || *rerr != *c.want:
				t.Errorf("got %v, want %v", rerr, c.want)
			}
			if c.name == "push" {
				if got := receive(t, hello); got != "server1" {
					t.Errorf("the push brought %q", got)
				}
			}
			// Nothing above type 3 is ever sent to it, not even at the end.
			closed := make(chan error, 1)
			go func() { closed <- sess.Close() }()
			w.wantClosed()
			_ = w.Close()
			if err := receive(t, closed); err != nil {
				t.Error(err)
			}
			receive(t, sess.CloseNotify())
		})
	}
}

// Meta is read with '+' for a space too, and the user's own is not changed.
func TestMetaBelongsToTheUser(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{}, headerHook(func(ctx tp.ReadCtx) {
		if ctx.Input().Meta().Has(tp.MetaCapsKey) {
			t.Errorf("a hook sees %s", ctx.Input().Meta())
		}
	}))
	type metaOf struct{ A, Caps string }
	tp.RegPull(srv.PullRouter, "meta", func(ctx tp.PullCtx, _ *interface{}) (metaOf, *tp.Rerror) {
		ctx.SetMeta("B", "b")
		return metaOf{string(ctx.GetMeta("A")), string(ctx.GetMeta(tp.MetaCapsKey))}, nil
	})
	addr := serve(t, srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	meta := new(utils.Args)
	meta.Set("A", "x y")
	before := meta.String()
	for range 2 {
		var got metaOf
		cmd := sess.Pull("/meta", nil, &got, tp.WithMeta(meta))
		noRerror(t, cmd.Rerror())
		if (got != metaOf{A: "x y"}) {
			t.Errorf("the handler sees %+v", got)
		}
		if reply := cmd.InputMeta().String(); reply != "B=b" {
			t.Errorf("the caller sees %q", reply)
		}
		if out := cmd.Output().Meta(); out != meta || meta.String() != before {
			t.Errorf("the user's meta became %q", out)
		}
	}
	w := dialWire(t, addr)
	w.send(frame{ptype: tp.TypePull, uri: "/meta", meta: url.Values{"A": {"x y"}}.Encode(), codec: 'j', body: "null"})
	if f := w.next(); f.body != `{"A":"x y","Caps":""}` {
		t.Errorf("got %+v", f)
	}
}
