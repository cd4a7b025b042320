package tp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// authorize asks for a token before the session opens, and shows that the
// methods of an opened session are not for that.
func authorize() *sessionHooks {
	return &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		var token string
		if err := s.Receive(socket.NewPacket(socket.WithBody(&token))); err != nil {
			return tp.ToRerror(err)
		}
		if token != "let me in" {
			_ = s.Send(socket.NewPacket(socket.WithBody("no")))
			return tp.NewRerror(tp.CodeUnauthorized, "no", token)
		}
		if err := s.Send(socket.NewPacket(socket.WithBody("welcome"))); err != nil {
			return tp.ToRerror(err)
		}
		s.SetId("guest")
		return nil
	}}
}

func present(token string) *sessionHooks {
	return &sessionHooks{dial: func(s tp.PreSession) *tp.Rerror {
		if err := s.Send(socket.NewPacket(socket.WithBody(token))); err != nil {
			return tp.ToRerror(err)
		}
		var answer string
		if err := s.Receive(socket.NewPacket(socket.WithBody(&answer))); err != nil {
			return tp.ToRerror(err)
		}
		if answer != "welcome" {
			return tp.NewRerror(tp.CodeUnauthorized, "refused", answer)
		}
		return nil
	}}
}

func TestHandshake(t *testing.T) {
	for name, proto := range map[string]socket.ProtoFunc{"fast": socket.NewFastProto, "line": newLineProto} {
		t.Run(name, func(t *testing.T) {
			srv := newPeer(t, tp.PeerConfig{}, authorize())
			echo(srv)
			addr := serve(t, srv, proto)
			sess := dial(t, newPeer(t, tp.PeerConfig{}, present("let me in")), addr, proto)
			if got, rerr := tp.Pull[string](sess, "/echo", "x"); rerr != nil || got != "x" {
				t.Errorf("got %q, %v", got, rerr)
			}
			back, ok := srv.GetSession("guest")
			if !ok {
				t.Fatal("the id that PostAccept set is not found")
			}
			for _, s := range []tp.Session{sess, back} {
				pre := s.(tp.PreSession)
				if err := pre.Send(new(socket.Packet)); err == nil {
					t.Error("Send on an open session is no error")
				}
				if err := pre.Receive(new(socket.Packet)); err == nil {
					t.Error("Receive on an open session is no error")
				}
			}
			refused := newPeer(t, tp.PeerConfig{}, present("sesame"))
			if s, rerr := refused.Dial(addr, proto); s != nil || rerr == nil || rerr.Code != tp.CodeUnauthorized {
				t.Errorf("refused, Dial returned %v, %v", s, rerr)
			}
			if srv.CountSession() != 1 || refused.CountSession() != 0 {
				t.Errorf("%d sessions, and %d of who was refused", srv.CountSession(), refused.CountSession())
			}
		})
	}
}

// The packet of a handshake and the first pulls may come in one segment.
func TestHandshakeLeavesNothingBehind(t *testing.T) {
	var fast, line []byte
	add := func(f frame) {
		fast = append(fast, f.bytes()...)
		b, err := json.Marshal(jsonLine{f.seq, f.ptype, f.uri, f.meta, f.codec, []byte(f.body)})
		if err != nil {
			t.Fatal(err)
		}
		line = append(append(line, b...), '\n')
	}
	const pulls = 20
	add(frame{codec: 'j', body: `"let me in"`})
	for i := range pulls {
		add(jsonPull(uint64(i), "/count", "1"))
	}
	for name, c := range map[string]struct {
		proto socket.ProtoFunc
		bytes []byte
	}{"fast": {socket.NewFastProto, fast}, "line": {newLineProto, line}} {
		t.Run(name, func(t *testing.T) {
			srv := newPeer(t, tp.PeerConfig{}, authorize())
			came := make(chan uint64, pulls)
			tp.RegPull(srv.PullRouter, "count", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
				came <- ctx.Seq()
				return 0, nil
			})
			w := dialWire(t, serve(t, srv, c.proto))
			w.sendBytes(c.bytes)
			seen := make(map[uint64]bool)
			for range pulls {
				seen[receive(t, came)] = true
			}
			if len(seen) != pulls {
				t.Errorf("%d of %d pulls came", len(seen), pulls)
			}
		})
	}
}

// A peer that never speaks is cut off in PostAccept.
func TestAcceptTimeout(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{AcceptTimeout: 20 * time.Millisecond}, authorize())
	addr := serve(t, srv)
	silent := dialWire(t, addr)
	half := dialWire(t, addr)
	half.sendBytes([]byte{0, 0, 0})
	silent.wantClosed()
	half.wantClosed()
	noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}, present("let me in")), addr).Push("/x", nil))
}

func TestServeConnVeto(t *testing.T) {
	ended := make(chan struct{})
	p := newPeer(t, tp.PeerConfig{}, &sessionHooks{
		accept: func(tp.PreSession) *tp.Rerror { return tp.NewRerror(tp.CodeUnauthorized, "no", "") },
		gone:   func(tp.PostSession) { close(ended) },
	})
	near, far := net.Pipe()
	defer far.Close()
	s := p.ServeConn(near)
	if s == nil || s.IsOk() || s.Health() || p.CountSession() != 0 {
		t.Errorf("refused, ServeConn returned %v", s)
	}
	receive(t, s.CloseNotify())
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the conn is not closed: %v", err)
	}
	wantCode(t, s.Pull("/x", nil, nil).Rerror(), tp.CodeConnClosed, "")
	wantCode(t, s.Push("/x", nil), tp.CodeConnClosed, "")
	select {
	case <-ended:
		t.Error("PostDisconnect ran for a session that was not let in")
	default:
	}
	wantPanic(t, func() { p.ServeConn(nil) }, "conn is nil")
}

func TestFlush(t *testing.T) {
	sess, w := dialedWire(t, newPeer(t, tp.PeerConfig{DefaultWriteTimeout: patience}))
	noRerror(t, sess.Push("/x", "1"))
	if err := sess.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
	w.next()
	// With a context that can end, Push does not wait for the kernel.
	noRerror(t, sess.Push("/x", make([]byte, 15<<20), tp.WithContext(t.Context())))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := sess.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush to who reads nothing: %v", err)
	}
	_ = w.Close()
	receive(t, sess.CloseNotify())
	if err := sess.Flush(t.Context()); err == nil {
		t.Error("Flush of what is lost is no error")
	}
}

// The library's own time. Pipes, since synctest cannot wait for sockets.
func TestReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, tp.PeerConfig{DefaultReadTimeout: time.Minute})
		near, far := net.Pipe()
		defer far.Close()
		sess := p.ServeConn(near)
		if got := sess.ReadTimeout(); got != time.Minute {
			t.Errorf("ReadTimeout %v", got)
		}
		for range 3 {
			time.Sleep(59 * time.Second)
			_, _ = far.Write(frame{ptype: tp.TypePush, uri: "/x", codec: 'j'}.bytes())
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if !sess.Health() {
			t.Error("closed though packets came")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if sess.Health() || sess.IsOk() {
			t.Error("open after a minute of silence")
		}
	})
}

func TestFrameTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, tp.PeerConfig{FrameTimeout: time.Minute})
		near, far := net.Pipe()
		defer far.Close()
		sess := p.ServeConn(near)
		time.Sleep(time.Hour) // no read timeout
		b := frame{ptype: tp.TypePush, uri: "/x", codec: 'j'}.bytes()
		for i := range b {
			if _, err := far.Write(b[i : i+1]); err != nil {
				break
			}
			time.Sleep(5 * time.Second) // each byte comes soon, but not all
		}
		synctest.Wait()
		if sess.Health() {
			t.Error("open after a packet that took more than a minute")
		}
	})
}

func TestTimeoutsOfHandshakeAndPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict := newPeer(t, tp.PeerConfig{}, authorize())
		near, far := net.Pipe()
		defer far.Close()
		begin := time.Now()
		if s := strict.ServeConn(near); s.IsOk() || time.Since(begin) != 5*time.Second {
			t.Errorf("a silent peer was cut off after %v", time.Since(begin))
		}

		p := newPeer(t, tp.PeerConfig{DefaultPullTimeout: time.Minute})
		near, far2 := net.Pipe()
		defer far2.Close()
		go func() { _, _ = io.Copy(io.Discard, far2) }()
		sess := p.ServeConn(near)
		begin = time.Now()
		cmd := sess.Pull("/never", nil, nil)
		wantCode(t, cmd.Rerror(), tp.CodeTimeout, "")
		if d := time.Since(begin); d != time.Minute || cmd.CostTime() != d {
			t.Errorf("the pull took %v, CostTime %v, want a minute", d, cmd.CostTime())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		wantCode(t, sess.Pull("/never", nil, nil, tp.WithContext(ctx)).Rerror(), tp.CodeTimeout, "")
		if d := time.Since(begin); d != time.Second {
			t.Errorf("the pull took %v, want a second", d)
		}
	})
}

func TestPublicAndAddresses(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	addr := serve(t, srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	back := only(t, srv)
	if sess.RemoteIp() != addr || back.LocalIp() != addr || sess.LocalIp() != back.RemoteIp() {
		t.Errorf("addresses: %s -> %s, and %s -> %s", sess.LocalIp(), sess.RemoteIp(), back.LocalIp(), back.RemoteIp())
	}
	if sess.PublicLen() != 0 {
		t.Error("Public is not empty")
	}
	sess.Public().Store("k", 1)
	if v, ok := sess.Public().Load("k"); !ok || v != 1 || sess.PublicLen() != 1 || back.PublicLen() != 0 {
		t.Errorf("Public has %v", v)
	}
	if !strings.Contains(sess.Id(), ":") || sess.Peer() == nil {
		t.Errorf("Id %q", sess.Id())
	}
}

// Durations were int32: 5 minutes became -647 ms.
func TestDurationsAreWhole(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{DefaultReadTimeout: 5 * time.Minute, DefaultWriteTimeout: 300 * 24 * time.Hour})
	sess, w := pipedWire(t, p)
	if r, w := sess.ReadTimeout(), sess.WriteTimeout(); r != 5*time.Minute || w != 300*24*time.Hour {
		t.Errorf("timeouts %v and %v", r, w)
	}
	sess.SetReadTimeout(-1)
	sess.SetWriteTimeout(time.Hour)
	if r, w := sess.ReadTimeout(), sess.WriteTimeout(); r != 0 || w != time.Hour {
		t.Errorf("timeouts %v and %v, after setting -1 and 1h", r, w)
	}
	_ = w.Close()
}

func TestIsOkAfterGoAway(t *testing.T) {
	sess, other := dialBare(t, newPeer(t, tp.PeerConfig{}))
	if !sess.IsOk() {
		t.Error("a new session is not ok")
	}
	if err := other.WritePacket(socket.NewPacket(socket.WithPtype(tp.TypeGoAway))); err != nil {
		t.Fatal(err)
	}
	// The other side has not closed yet, so the session is not over.
	eventually(t, "the session is not ok", func() bool { return !sess.IsOk() })
	wantCode(t, sess.Push("/a", 1), tp.CodeConnClosed, "closing")
}

// BenchmarkIdleSession measures the memory of a session that has done one pull
// and waits. Both ends of each connection are here; what the kernel holds does
// not count.
func BenchmarkIdleSession(b *testing.B) {
	idleSessions(b) // what the runtime never gives back, such as its list of goroutines
	var all idleCost
	rounds := 0.0
	for b.Loop() {
		one := idleSessions(b)
		all.heap += one.heap
		all.stack += one.stack
		all.goroutines += one.goroutines
		rounds++
	}
	b.ReportMetric((all.heap+all.stack)/rounds, "B/session")
	b.ReportMetric(all.heap/rounds, "heap-B/session")
	b.ReportMetric(all.stack/rounds, "stack-B/session")
	b.ReportMetric(all.goroutines/rounds, "goroutines/session")
	b.ReportMetric(0, "ns/op") // it says nothing
}

// idleCost is what there is in the process, or for a session.
type idleCost struct{ heap, stack, goroutines float64 }

func idleCostNow() idleCost {
	runtime.GC()
	runtime.GC() // what pools hold goes at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return idleCost{float64(m.HeapAlloc), float64(m.StackInuse), float64(runtime.NumGoroutine())}
}

// idleSessions opens a thousand connections between two peers, pulls once on
// each, and returns what one end costs.
func idleSessions(b *testing.B) idleCost {
	const conns = 1_000
	const ends = 2 * conns
	srv, cli := newPeer(b, tp.PeerConfig{}), newPeer(b, tp.PeerConfig{})
	echo(srv)
	addr := serve(b, srv)
	before := idleCostNow()
	for range conns {
		_, rerr := tp.Pull[[]byte](dial(b, cli, addr), "/echo", benchBody)
		noRerror(b, rerr)
	}
	after := idleCostNow()
	for _, p := range []*tp.Peer{cli, srv} {
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return idleCost{
		(after.heap - before.heap) / ends,
		(after.stack - before.stack) / ends,
		(after.goroutines - before.goroutines) / ends,
	}
}
