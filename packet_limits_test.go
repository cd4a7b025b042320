package tp_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// headerSeen is a plugin that counts the headers which it sees.
type headerSeen struct{ pulls, pushes, replies int }

func (*headerSeen) Name() string { return "header-seen" }

func (h *headerSeen) PostReadPullHeader(tp.ReadCtx) *tp.Rerror    { h.pulls++; return nil }
func (h *headerSeen) PostReadPushHeader(tp.ReadCtx) *tp.Rerror    { h.pushes++; return nil }
func (h *headerSeen) PostReadReplyHeader(tp.ReadCtx) *tp.Rerror   { h.replies++; return nil }
func (h *headerSeen) PreWriteReply(tp.WriteCtx) *tp.Rerror        { return nil }
func (h *headerSeen) PostReadReplyBody(ctx tp.ReadCtx) *tp.Rerror { h.replies++; return nil }

const (
	longURI  = 1<<10 + 1
	longMeta = 16<<10 + 1
)

// tooLong are headers beyond the default limits.
var tooLong = []struct {
	name, uri, meta string
	text            string
	keepURI         bool
}{
	{"uri", "/count?" + strings.Repeat("u", longURI-7), "a=b", "a URI of 1025 bytes, the limit is 1024 (raise it with PeerConfig.UriSizeLimit)", false},
	{"meta", "/count", "a=" + strings.Repeat("m", longMeta-2), "meta data of 16385 bytes, the limit is 16384 (raise it with PeerConfig.MetaSizeLimit)", true},
	{"both", "/count?" + strings.Repeat("u", 70000), strings.Repeat("a&", 30000), "a URI of 70007 bytes", false},
}

// A pull that is too long is answered, and a push is dropped, but neither is
// executed; no hook sees them, and the session lives.
func TestHeaderLimitOfPullsAndPushes(t *testing.T) {
	for _, hooked := range []bool{false, true} {
		for _, long := range tooLong {
			t.Run(fmt.Sprint(long.name, ", hooks: ", hooked), func(t *testing.T) {
				log, seen := new(logBook), new(headerSeen)
				var plugins []tp.Plugin
				if hooked {
					plugins = append(plugins, seen)
				}
				p := newPeer(t, tp.PeerConfig{Logger: log}, plugins...)
				var pulls, pushes int // by one session, one after the other
				tp.RegPull(p.PullRouter.Dispatch(tp.DispatchInline), "count", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { pulls++; return pulls, nil })
				tp.RegPush(p.PushRouter.Dispatch(tp.DispatchInline), "count", func(tp.PushCtx, *[]byte) { pushes++ })
				w := dialWire(t, serve(t, p))

				push := frame{seq: 5, ptype: tp.TypePush, uri: long.uri, meta: long.meta, codec: 'j', body: "1"}
				pull := push
				pull.seq, pull.ptype = 1<<64-1, tp.TypePull
				w.send(push, pull)
				w.sendBytes(push.gzipped(t))
				answer := w.next()
				wantCode(t, answer.rerror(t), tp.CodeBadPacket, "the pull: socket: packet exceeds a limit of its header: "+long.text)
				uri := ""
				if long.keepURI {
					uri = long.uri
				}
				if answer.seq != pull.seq || answer.ptype != tp.TypeReply || answer.uri != uri || answer.body != "null" || answer.codec != 'j' {
					t.Errorf("got %+v, want the reply", answer)
				}
				w.sendBytes(pull.gzipped(t)) // which is answered through gzip
				if b, err := w.nextBytes(); err != nil || b[5] != 1 || b[6] != 'g' {
					t.Errorf("got % x, %v, want a reply through gzip", b, err)
				}
				w.send(frame{ptype: tp.TypePush, uri: "/count", codec: 'j', body: "1"}, jsonPull(2, "/count", "1"))
				if got := w.next(); got.seq != 2 || got.body != "1" {
					t.Errorf("got %+v, want the first count", got)
				}
				if pushes != 1 || hooked && (seen.pulls != 1 || seen.pushes != 1) {
					t.Errorf("%d pushes handled, %+v seen, want one each", pushes, seen)
				}
				if got := log.String(); strings.Count(got, "dropped") != 2 || !strings.Contains(got, "the push: socket: packet exceeds a limit of its header: "+long.text) {
					t.Errorf("the log is %q, want two pushes dropped", got)
				}
			})
		}
	}
}

// A reply that is too long fails its pull, whoever waits for it, and no other.
func TestHeaderLimitOfReplies(t *testing.T) {
	for _, hooked := range []bool{false, true} {
		for _, long := range tooLong {
			t.Run(fmt.Sprint(long.name, ", hooks: ", hooked), func(t *testing.T) {
				seen := new(headerSeen)
				var plugins []tp.Plugin
				if hooked {
					plugins = append(plugins, seen)
				}
				p := newPeer(t, tp.PeerConfig{}, plugins...)
				sess, w := dialedWire(t, p)
				done := make(chan *tp.PullCmd, 4)
				for range 3 {
					sess.GoPull("/x", nil, new(int), done)
				}
				typed := make(chan *tp.Rerror, 1)
				go func() {
					_, rerr := tp.Pull[int](sess, "/x", nil)
					typed <- rerr
				}()
				reply := func() frame {
					f := w.next().replyTo(long.meta, "1")
					f.uri = long.uri
					return f
				}
				bad := reply()
				w.send(bad, bad) // the second one is to no pull under way
				wantCode(t, receive(t, done).Rerror(), tp.CodeBadPacket, "the reply: socket: packet exceeds a limit of its header: "+long.text)
				w.sendBytes(reply().gzipped(t))
				wantCode(t, receive(t, done).Rerror(), tp.CodeBadPacket, long.text)
				w.send(w.next().replyTo("", "1"))
				noRerror(t, receive(t, done).Rerror())
				w.send(reply())
				wantCode(t, receive(t, typed), tp.CodeBadPacket, long.text)
				if hooked && seen.replies != 2 {
					t.Errorf("hooks saw %d, want header and body of the one reply", seen.replies)
				}
			})
		}
	}
}

// Of the other types only the number counts.
func TestHeaderLimitOfControl(t *testing.T) {
	w := dialWire(t, serve(t, newPeer(t, tp.PeerConfig{})))
	w.send(frame{seq: 9, ptype: tp.TypePing, uri: strings.Repeat("u", longURI)})
	for {
		if f := w.next(); f.ptype == tp.TypePong && f.seq == 9 {
			return
		}
	}
}

// What is too long is not sent, and the caller learns by how much.
func TestHeaderLimitOfWriting(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	sess, w := dialedWire(t, p)
	for _, long := range tooLong[:2] {
		meta, err := url.ParseQuery(long.meta)
		if err != nil {
			t.Fatal(err)
		}
		set := tp.WithAddMeta("a", meta.Get("a"))
		text := long.text
		wantCode(t, sess.Pull(long.uri, 1, nil, set).Rerror(), tp.CodeBadPacket, text)
		wantCode(t, sess.Push(long.uri, 1, set), tp.CodeBadPacket, text)
		wantCode(t, sess.Push(long.uri, []byte("1"), set), tp.CodeBadPacket, text)
		wantCode(t, sess.Push(long.uri, make([]byte, 1<<20), set), tp.CodeBadPacket, text)
		_, rerr := p.PreparePush(long.uri, 1, set)
		wantCode(t, rerr, tp.CodeBadPacket, text)
		_, rerr = p.Broadcast(long.uri, 1, nil, set)
		wantCode(t, rerr, tp.CodeBadPacket, text)
	}
	noRerror(t, sess.Push("/alive", 1))
	if f := w.next(); f.uri != "/alive" {
		t.Errorf("got %+v, want what fits", f)
	}
}

// What the library adds takes no room from what just fits.
func TestHeaderLimitAnnouncesLater(t *testing.T) {
	sess, w := dialedWire(t, newPeer(t, tp.PeerConfig{}))
	full := tp.WithAddMeta("a", strings.Repeat("m", longMeta-3))
	noRerror(t, sess.Push("/a", 1, full))
	if f := w.next(); len(f.meta) != longMeta-1 || f.announces() {
		t.Errorf("got %d bytes of meta data, announcing: %t", len(f.meta), f.announces())
	}
	noRerror(t, sess.Push("/b", 1))
	if f := w.next(); !f.announces() {
		t.Errorf("got %+v, want the announcement", f)
	}
}

// A reply that is too long is a 500 that says so.
func TestHeaderLimitOfHandlersReply(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	tp.RegPull(p.PullRouter, "meta", func(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
		ctx.SetMeta("a", strings.Repeat("m", longMeta))
		return 1, nil
	})
	tp.RegPull(p.PullRouter, "error", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
		return 0, tp.NewRerror(1001, "mine", strings.Repeat(`"`, 1<<20))
	})
	w := dialWire(t, serve(t, p))
	w.send(jsonPull(1, "/meta", "1"))
	wantCode(t, w.next().rerror(t), tp.CodeInternalServerError, "the limit is 16384 (raise it with PeerConfig.MetaSizeLimit)")
	w.send(jsonPull(2, "/error", "1"))
	wantCode(t, w.next().rerror(t), 1001, "mine")

	small := newPeer(t, tp.PeerConfig{MetaSizeLimit: 1 << 10})
	tp.RegPull(small.PullRouter, "error", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
		return 0, tp.NewRerror(1001, "mine", strings.Repeat("é", 1<<20))
	})
	tp.RegPull(small.PullRouter, "codec", func(tp.PullCtx, *[]byte) (unencodable, *tp.Rerror) {
		return unencodable{}, nil
	})
	w = dialWire(t, serve(t, small))
	for i, want := range []struct {
		path string
		code int32
		text string
	}{{"/error", 1001, "mine"}, {"/codec", tp.CodeInternalServerError, "no, no"}} {
		w.send(jsonPull(uint64(i), want.path, "1"))
		f := w.next()
		wantCode(t, f.rerror(t), want.code, want.text)
		if f.seq != uint64(i) || len(f.meta) > 1<<10 {
			t.Errorf("%s: seq %d with %d bytes of meta data", want.path, f.seq, len(f.meta))
		}
	}
}

// unencodable fails to be encoded with a long error.
type unencodable struct{}

func (unencodable) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("%s", strings.Repeat("no, ", 10000))
}

// The limits are those of the peer, whatever the Proto, and each side has its
// own.
func TestHeaderLimitOfAnyProto(t *testing.T) {
	for name, proto := range map[string]socket.ProtoFunc{"fast": nil, "line": newLineProto} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{UriSizeLimit: 2000, MetaSizeLimit: 2000})
			echo(p)
			tp.RegPull(p.PullRouter, "meta", func(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
				ctx.SetMeta("a", strings.Repeat("m", 1900))
				return 1, nil
			})
			addr := serve(t, p, proto)
			client := newPeer(t, tp.PeerConfig{UriSizeLimit: -1, MetaSizeLimit: 20000})
			sess := dial(t, client, addr, proto)
			fits := sess.Pull("/echo?"+strings.Repeat("u", 1990), 1, nil, tp.WithAddMeta("a", strings.Repeat("m", 1980)))
			noRerror(t, fits.Rerror())
			wantCode(t, sess.Pull("/echo?"+strings.Repeat("u", 1995), 1, nil).Rerror(), tp.CodeBadPacket, "the pull: socket: packet exceeds a limit of its header: a URI of 2001 bytes, the limit is 2000")
			wantCode(t, sess.Pull("/echo", 1, nil, tp.WithAddMeta("a", strings.Repeat("m", 1999))).Rerror(), tp.CodeBadPacket, "the pull: socket: packet exceeds a limit of its header: meta data of 2001 bytes")
			wantCode(t, sess.Pull("/echo", 1, nil, tp.WithAddMeta("a", strings.Repeat("m", 20000))).Rerror(), tp.CodeBadPacket, "the limit is 20000")

			narrow := newPeer(t, tp.PeerConfig{MetaSizeLimit: 1024})
			sess = dial(t, narrow, addr, proto)
			wantCode(t, sess.Pull("/meta", 1, nil).Rerror(), tp.CodeBadPacket, "the reply: socket: packet exceeds a limit of its header: meta data of")
			noRerror(t, sess.Pull("/echo", 1, nil).Rerror())
		})
	}
}

// plainFilter changes nothing.
type plainFilter byte

func (f plainFilter) Id() byte                          { return byte(f) }
func (f plainFilter) OnPack(b []byte) ([]byte, error)   { return b, nil }
func (f plainFilter) OnUnpack(b []byte) ([]byte, error) { return b, nil }

func init() {
	for id := 0xe0; id < 0xe5; id++ {
		xfer.Reg(plainFilter(id))
	}
}

// Filters that are too many or not allowed end the session when they arrive,
// and are an error when they are to be sent.
func TestAllowedFilters(t *testing.T) {
	const all = "g\xe0\xe1\xe2\xe3"
	for _, test := range []struct {
		name    string
		list    []string
		allowed string
	}{
		{"all", nil, all},
		{"all, by an empty list", []string{}, all},
		{"gzip", []string{"g"}, "g"},
		{"numbers", []string{"0xe0", "225"}, "\xe0\xe1"},
		{"none", []string{"none"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := new(logBook)
			p := newPeer(t, tp.PeerConfig{AllowedFilters: test.list, Logger: log})
			echo(p)
			addr := serve(t, p)
			sess, _ := dialedWire(t, p)
			client := newPeer(t, tp.PeerConfig{})
			for i := range len(all) {
				id := all[i]
				rerr := dial(t, client, addr).Pull("/echo", 1, nil, tp.WithXferPipe(id)).Rerror()
				sent := sess.Push("/x", 1, tp.WithXferPipe(id))
				_, prepared := p.PreparePush("/x", 1, tp.WithXferPipe(id))
				if strings.IndexByte(test.allowed, id) >= 0 {
					noRerror(t, rerr)
					noRerror(t, sent)
					noRerror(t, prepared)
					continue
				}
				text := fmt.Sprintf("transfer filter that is not allowed: %q (%d): allow it with PeerConfig.AllowedFilters", id, id)
				wantCode(t, rerr, tp.CodeConnClosed, "")
				wantCode(t, sent, tp.CodeBadPacket, text)
				wantCode(t, prepared, tp.CodeBadPacket, text)
				eventually(t, "the log says why", func() bool { return strings.Contains(log.String(), "cannot read: socket: "+text) })
			}
		})
	}
}

// A filter that is not imported fails the exchange that names it, on every path, and
// says what to import. Nothing else comes to harm.
func TestFilterNotRegistered(t *testing.T) {
	const want = `no filter has id 's' (115): import _ "github.com/henrylee2cn/teleport/xfer/s2"`
	missing := tp.WithXferPipe('g', 's')
	log := new(logBook)
	p := newPeer(t, tp.PeerConfig{Logger: log})
	echo(p)
	tp.RegPull(p.PullRouter, "more", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		ctx.AddXferPipe('s')
		return *args, nil
	})
	tp.RegPull(p.PullRouter, "onward", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		return nil, ctx.Session().Pull("/back", 1, nil, missing).Rerror()
	})
	for _, proto := range []socket.ProtoFunc{socket.NewFastProto, jsonproto.NewProtoFunc()} {
		client := newPeer(t, tp.PeerConfig{})
		sess, rerr := client.Dial(serve(t, p, proto), proto)
		noRerror(t, rerr)
		done := make(chan *tp.PullCmd, 1)
		wantCode(t, sess.Pull("/echo", 1, nil, missing).Rerror(), tp.CodeBadPacket, want)
		sess.GoPull("/echo", 1, nil, done, missing)
		wantCode(t, (<-done).Rerror(), tp.CodeBadPacket, want)
		wantCode(t, sess.Push("/x", 1, missing), tp.CodeBadPacket, want)
		_, rerr = client.PreparePush("/x", 1, missing)
		wantCode(t, rerr, tp.CodeBadPacket, want)
		wantCode(t, sess.Pull("/more", 1, nil).Rerror(), tp.CodeInternalServerError, want)
		wantCode(t, sess.Pull("/onward", 1, nil).Rerror(), tp.CodeBadPacket, want)
		noRerror(t, sess.Pull("/echo", 1, nil, tp.WithXferPipe('g')).Rerror())
	}
	if strings.Contains(log.String(), "panic") {
		t.Errorf("something panicked: %s", log)
	}
}

func TestFiltersAtMostFour(t *testing.T) {
	log := new(logBook)
	p := newPeer(t, tp.PeerConfig{Logger: log})
	echo(p)
	tp.RegPull(p.PullRouter, "more", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		ctx.AddXferPipe(0xe4)
		return *args, nil
	})
	addr := serve(t, p)
	client := newPeer(t, tp.PeerConfig{})
	sess := dial(t, client, addr)
	four := tp.WithXferPipe('g', 0xe0, 0xe1, 0xe2)
	noRerror(t, sess.Pull("/echo", 1, nil, four, tp.WithXferPipe('g', 0xe2)).Rerror())
	// The handler's is the fifth one: the answer goes without filters.
	wantCode(t, sess.Pull("/more", 1, nil, four).Rerror(), tp.CodeInternalServerError, "more than 4 filters in a pipe: the packet has 5")
	wantCode(t, sess.Push("/x", 1, four, tp.WithXferPipe(0xe3)), tp.CodeBadPacket, "more than 4 filters in a pipe: the packet has 5")
	wantCode(t, sess.Pull("/echo", 1, nil, tp.WithXferPipe('g', 0xe0, 0xe1, 0xe2, 0xe3)).Rerror(), tp.CodeBadPacket, "the packet has 5")

	w := dialWire(t, addr)
	w.sendBytes(append([]byte{1, 0, 0, 0, 'f', 255}, strings.Repeat("g", 255)...)) // of 16 MiB that do not come
	w.wantClosed()
	eventually(t, "the log says why", func() bool {
		return strings.Contains(log.String(), "more than 4 filters in a pipe: the packet lists 255")
	})
	noRerror(t, sess.Pull("/echo", 1, nil, four).Rerror())
}
