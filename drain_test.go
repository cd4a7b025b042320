package tp_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/xfer"
)

// Closing with unread input reset the conn: replies were lost.
func TestCloseLosesNoReply(t *testing.T) {
	const size, runs = 2 << 20, 30
	srv := newPeer(t, tp.PeerConfig{})
	begun := make(chan struct{})
	big := make([]byte, size)
	tp.RegPull(srv.PullRouter, "big", func(tp.PullCtx, *interface{}) ([]byte, *tp.Rerror) {
		begun <- struct{}{}
		return big, nil
	})
	tp.RegPush(srv.PushRouter, "note", func(tp.PushCtx, *[]byte) {})
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	for _, who := range []string{"server", "client"} {
		t.Run(who+" closes", func(t *testing.T) {
			for range runs {
				sess := dial(t, cli, addr)
				back := only(t, srv)
				done := make(chan *tp.PullCmd, 1)
				var reply []byte
				sess.GoPull("/big", nil, &reply, done)
				receive(t, begun)
				var wg sync.WaitGroup
				wg.Add(1)
				go func() { // what the closing side has not read yet
					defer wg.Done()
					for range 20 {
						if sess.Push("/note", big[:64<<10]) != nil {
							return
						}
					}
				}()
				closing := back
				if who == "client" {
					closing = sess
				}
				if err := closing.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if rerr := receive(t, done).Rerror(); rerr != nil || len(reply) != size {
					t.Fatalf("the reply is lost: %d bytes, %v", len(reply), rerr)
				}
				wg.Wait()
				receive(t, sess.CloseNotify())
				receive(t, back.CloseNotify())
			}
		})
	}
}

// Pushes sent right before Close arrive, and are handled before PostDisconnect.
func TestPushesBeforeClose(t *testing.T) {
	const pushes = 500
	var handled atomic.Int64
	gone := make(chan int64, 1)
	srv := newPeer(t, tp.PeerConfig{}, &sessionHooks{gone: func(tp.PostSession) { gone <- handled.Load() }})
	tp.RegPush(srv.PushRouter, "count", func(ctx tp.PushCtx, n *int) {
		if got := handled.Add(1); got != int64(*n)+1 {
			t.Errorf("push %d is the %d. to be handled", *n, got)
		}
		runtime.Gosched()
	})
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	for range 10 {
		handled.Store(0)
		sess := dial(t, cli, addr)
		for i := range pushes {
			noRerror(t, sess.Push("/count", i))
		}
		if err := sess.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := receive(t, gone); n != pushes {
			t.Fatalf("%d of %d pushes were handled before PostDisconnect", n, pushes)
		}
		rerr := sess.Push("/count", 0)
		wantCode(t, rerr, tp.CodeConnClosed, "")
		if !errors.Is(rerr.ToError(), net.ErrClosed) {
			t.Errorf("%v is no net.ErrClosed", rerr)
		}
		wantCode(t, sess.Pull("/count", 0, nil).Rerror(), tp.CodeConnClosed, "")
	}
}

// slowPeer returns a peer whose "/slow" returns when the channel is closed.
func slowPeer(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) (p *tp.Peer, begun, release chan struct{}) {
	p = newPeer(t, cfg, plugins...)
	begun, release = make(chan struct{}, 100), make(chan struct{})
	tp.RegPull(p.PullRouter, "slow", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
		begun <- struct{}{}
		<-release
		return "done", nil
	})
	return p, begun, release
}

// Close deadlocked with a pull in flight.
func TestCloseWithAPullInFlight(t *testing.T) {
	for _, who := range []string{"server", "client", "both"} {
		t.Run(who, func(t *testing.T) {
			srv, begun, release := slowPeer(t, tp.PeerConfig{})
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			done := make(chan *tp.PullCmd, 1)
			sess.GoPull("/slow", nil, new(string), done)
			receive(t, begun)
			back := only(t, srv)
			closed := make(chan error, 20)
			for _, s := range []tp.Session{sess, back} {
				if who == "server" && s == sess || who == "client" && s == back {
					continue
				}
				for range 5 { // together, and then once more
					go func() { closed <- s.Close() }()
				}
				for range 5 {
					if err := receive(t, closed); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				if err := s.Close(); err != nil || s.IsOk() {
					t.Errorf("Close again: %v, IsOk %v", err, s.IsOk())
				}
			}
			close(release)
			reply, rerr := receive(t, done).Result()
			noRerror(t, rerr)
			if *reply.(*string) != "done" {
				t.Errorf("got %q", *reply.(*string))
			}
			receive(t, sess.CloseNotify())
			receive(t, back.CloseNotify())
		})
	}
}

// So it did from inside a handler; and a hook may close too.
func TestCloseFromInside(t *testing.T) {
	for _, c := range []struct{ where, uri string }{
		{"pull", "/pull"},
		{"inline pull", "/inline"},
		{"ordered pull", "/ordered"},
		{"push", "/push"},
		{"header hook", "/pull"},
		{"PostDisconnect", "/pull"},
	} {
		t.Run(c.where, func(t *testing.T) {
			closed := make(chan error, 1)
			at := func(here string, s interface{ Close() error }) {
				if here == c.where {
					closed <- s.Close()
				}
			}
			srv := newPeer(t, tp.PeerConfig{}, headerHook(func(ctx tp.ReadCtx) { at("header hook", ctx.Session()) }),
				&sessionHooks{gone: func(s tp.PostSession) { at("PostDisconnect", s.(tp.Session)) }})
			handle := func(ctx tp.PullCtx, here *string) (string, *tp.Rerror) {
				at(*here, ctx.Session())
				return "done", nil
			}
			tp.RegPull(srv.PullRouter, "pull", handle)
			tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "inline", handle)
			tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchOrdered), "ordered", handle)
			tp.RegPush(srv.PushRouter, "push", func(ctx tp.PushCtx, here *string) { at(*here, ctx.Session()) })
			sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
			arg := c.where
			if c.uri == "/pull" && arg != "pull" {
				arg = "" // the hook closes, not the handler
			}
			if c.uri == "/push" {
				noRerror(t, sess.Push(c.uri, arg))
			} else if got, rerr := tp.Pull[string](sess, c.uri, arg); rerr != nil || got != "done" {
				t.Errorf("got %q, %v", got, rerr)
			}
			if c.where == "PostDisconnect" {
				_ = sess.Close()
			}
			if err := receive(t, closed); err != nil {
				t.Errorf("Close: %v", err)
			}
			receive(t, sess.CloseNotify())
		})
	}
}

// With a peer that knows GOAWAY, the draining side says so, serves on until
// the other side's, and then closes.
func TestDrainWithGoAway(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{})
	echo(srv)
	w := dialWire(t, serve(t, srv))
	w.send(frame{ptype: tp.TypePong}) // announces
	if f := w.next(); f.ptype != tp.TypePing {
		t.Fatalf("got %+v, want a PING", f)
	}
	w.send(jsonPull(0, "/slow", "1"))
	receive(t, begun)
	if err := only(t, srv).Close(); err != nil {
		t.Fatal(err)
	}
	if f := w.next(); f.ptype != tp.TypeGoAway {
		t.Fatalf("got %+v, want GOAWAY", f)
	}
	w.send(jsonPull(1, "/echo", `"still served"`))
	if f := w.next(); f.seq != 1 || f.body != `"still served"` {
		t.Errorf("got %+v, want the reply", f)
	}
	close(release)
	if f := w.next(); f.seq != 0 || f.body != `"done"` {
		t.Errorf("got %+v, want the reply", f)
	}
	w.send(frame{ptype: tp.TypeGoAway})
	w.wantClosed()
}

// A peer that goes away first is answered, and then bidden farewell.
func TestGoAwayOfTheOtherSide(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{})
	w := dialWire(t, serve(t, srv))
	w.send(jsonPull(0, "/slow", "1"), frame{ptype: tp.TypeGoAway})
	receive(t, begun)
	if f := w.next(); f.ptype != tp.TypePing {
		t.Errorf("got %+v, want a PING", f)
	}
	eventually(t, "the session is closing", func() bool { return srv.CountSession() == 0 })
	close(release)
	if f := w.next(); f.ptype != tp.TypeReply || f.body != `"done"` {
		t.Errorf("got %+v, want the reply", f)
	}
	if f := w.next(); f.ptype != tp.TypeGoAway {
		t.Errorf("got %+v, want GOAWAY", f)
	}
	w.wantClosed()
}

// A peer of 2017 gets its replies and then the end, and never a type above 3.
func TestDrainWithAPeerOf2017(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{})
	w := dialWire(t, serve(t, srv))
	const pulls = 50
	for i := range pulls {
		w.send(jsonPull(uint64(i), "/slow", "1"))
		receive(t, begun)
	}
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	eventually(t, "it drains", func() bool { return srv.CountSession() == 0 })
	close(release)
	seen := make(map[uint64]bool)
	for range pulls {
		f := w.next()
		if f.ptype != tp.TypeReply || f.body != `"done"` {
			t.Errorf("got %+v", f)
		}
		seen[f.seq] = true
	}
	if len(seen) != pulls {
		t.Errorf("%d of %d pulls were answered", len(seen), pulls)
	}
	w.wantClosed()
	_ = w.Close()
	if err := receive(t, closed); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A handler that never returns holds up the drain for CloseTimeout only; and
// so does a peer that never closes.
func TestDrainIsBounded(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{CloseTimeout: 50 * time.Millisecond})
	addr := serve(t, srv)
	defer close(release)
	for _, uri := range []string{"/slow", "/unknown"} {
		w := dialWire(t, addr)
		sess := only(t, srv)
		w.send(jsonPull(0, uri, "1"))
		if uri == "/slow" {
			receive(t, begun)
		} else {
			w.next()
		}
		if err := sess.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		receive(t, sess.CloseNotify())
		w.wantClosed()
	}
}

// After its CloseWrite a closing side still serves what arrives, also when it
// is something that it would answer.
func TestCloseServesWhatStillArrives(t *testing.T) {
	for name, last := range map[string]frame{
		"announcement": {ptype: tp.TypePush, uri: "/note", meta: tp.MetaCapsKey + "=1", codec: 'j', body: "1"},
		"PING":         {ptype: tp.TypePing},
		"refused pull": {ptype: tp.TypePull, uri: "/hold"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{})
			notes := make(chan int, 2)
			tp.RegPush(p.PushRouter, "note", func(_ tp.PushCtx, n *int) { notes <- *n })
			client := dialWire(t, serve(t, p))
			if err := only(t, p).Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := client.nextBytes(); err != io.EOF { // nothing to tell a client that never spoke
				t.Fatalf("got %v, want io.EOF", err)
			}
			client.send(last)
			time.Sleep(50 * time.Millisecond) // a reset would come now
			client.send(frame{ptype: tp.TypePush, uri: "/note", codec: 'j', body: "2"})
			for receive(t, notes) != 2 {
			}
		})
	}
}

// slowFilter changes nothing, and waits before it packs that.
type slowFilter struct{ begun, stop chan struct{} }

func (*slowFilter) Id() byte                          { return 'W' }
func (*slowFilter) OnUnpack(b []byte) ([]byte, error) { return b, nil }
func (f *slowFilter) OnPack(b []byte) ([]byte, error) {
	close(f.begun)
	<-f.stop
	return b, nil
}

// A pull that is refused is answered, also when the session closes meanwhile: it was
// lost to a program of 2017, for which nobody waits until it has its answers.
func TestCloseLosesNoRefusal(t *testing.T) {
	body := strings.Repeat("b", 64<<10)
	for _, test := range []struct {
		name string
		cfg  tp.PeerConfig
		uri  string
		code string
	}{
		{"too many handlers", tp.PeerConfig{MaxHandlers: 1}, "/wait", "503"},
		{"too many bytes", tp.PeerConfig{MaxHandlerBytes: 1}, "/wait", "503"},
		{"URI too long", tp.PeerConfig{UriSizeLimit: 100}, "/" + strings.Repeat("u", 200), "400"},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := newPeer(t, test.cfg)
			g := newGate()
			defer g.unlock()
			tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { g.pass(); return 0, nil })
			addr := serve(t, srv)
			client := dialWire(t, addr)
			served := only(t, srv)
			dialWire(t, addr).send(jsonPull(1, "/wait", body))
			g.await(t, 1)

			filter := &slowFilter{make(chan struct{}), make(chan struct{})}
			xfer.Replace(filter)
			pull := jsonPull(1, test.uri, body).bytes()
			pull = append([]byte{0, 0, 0, 0, 'f', 1, filter.Id()}, pull[6:]...)
			binary.BigEndian.PutUint32(pull, uint32(len(pull)))
			client.sendBytes(pull)
			receive(t, filter.begun)
			closed := make(chan error, 1)
			go func() { closed <- served.Close() }()
			time.Sleep(50 * time.Millisecond) // the answer would be lost now
			close(filter.stop)
			if reply, err := client.nextBytes(); !strings.Contains(string(reply), url.QueryEscape(`"code":`+test.code)) {
				t.Errorf("the answer is %q, %v", reply, err)
			}
			_ = client.Close()
			if err := receive(t, closed); err != nil {
				t.Error(err)
			}
		})
	}
}

// A push is lost only with an error, also while the session closes.
func TestPushWhileClosing(t *testing.T) {
	for range 100 {
		p := newPeer(t, tp.PeerConfig{})
		sess, other := dialedWire(t, p)
		sent := make(chan int)
		go func() {
			n := 0
			for sess.Push("/note", 1) == nil {
				n++
			}
			sent <- n
		}()
		time.Sleep(time.Millisecond)
		_ = sess.Close()
		got := 0
		for {
			if _, err := other.read(); err != nil {
				if err != io.EOF {
					t.Fatalf("got %v, want io.EOF", err)
				}
				break
			}
			got++
		}
		_ = other.Close()
		if n := receive(t, sent); n != got {
			t.Fatalf("%d pushes arrived of %d that were sent", got, n)
		}
	}
}

// The reader that is held back by a long line of pushes is woken by Close,
// with and without a drain.
func TestCloseWhileTheReaderIsHeldBack(t *testing.T) {
	for name, conns := range map[string]func(t testing.TB) (a, b net.Conn){"tcp": tcpPair, "pipe": pipePair} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{PushQueueLimit: 1, CloseTimeout: -1})
			begun := make(chan bool, 1)
			tp.RegPush(p.PushRouter, "wait", func(ctx tp.PushCtx, _ *int) {
				select {
				case begun <- true:
				default:
				}
				<-ctx.Context().Done()
			})
			a, b := conns(t)
			sess := p.ServeConn(a)
			w := newWire(t, b)
			push := frame{ptype: tp.TypePush, uri: "/wait"}
			w.send(push, push, push)
			receive(t, begun)
			time.Sleep(20 * time.Millisecond) // the reader is held back
			_ = sess.Close()
			receive(t, sess.CloseNotify())
		})
	}
}

func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	addr, accept := wireServer(t)
	a, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a, accept().Conn
}

func pipePair(testing.TB) (a, b net.Conn) { return net.Pipe() }

// Close on both sides, with pulls both ways whose handlers pull back: it returns,
// and all that was under way ends.
func TestCloseWithPullsBothWays(t *testing.T) {
	for _, who := range []string{"one", "both"} {
		t.Run(who, func(t *testing.T) {
			srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
			begun, release := make(chan bool, 100), make(chan struct{})
			for _, p := range []*tp.Peer{srv, cli} {
				echo(p)
				tp.RegPull(p.PullRouter, "back", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
					begun <- true
					<-release
					// Refused or answered, but not left to wait.
					ctx.Session().Pull("/echo", nil, nil)
					return 1, nil
				})
			}
			sess := dial(t, cli, serve(t, srv))
			back := only(t, srv)
			done := make(chan *tp.PullCmd, 40)
			for range cap(done) / 2 {
				sess.GoPull("/back", 1, new(int), done)
				back.GoPull("/back", 1, new(int), done)
			}
			for range cap(done) {
				receive(t, begun)
			}
			closed := make(chan error, 2)
			go func() { closed <- sess.Close() }()
			if who == "both" {
				go func() { closed <- back.Close() }()
			}
			if err := receive(t, closed); err != nil {
				t.Error(err)
			}
			close(release)
			for range cap(done) {
				noRerror(t, receive(t, done).Rerror())
			}
			receive(t, sess.CloseNotify())
			receive(t, back.CloseNotify())
		})
	}
}
