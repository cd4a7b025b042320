package tp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// station is an address at which one server after the other serves, as a process
// and the next one that inherits its listener.
type station struct {
	t   testing.TB
	lis *net.TCPListener
}

func newStation(t testing.TB) *station {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &station{t, lis.(*net.TCPListener)}
	t.Cleanup(s.leave)
	return s
}

func (s *station) addr() string { return s.lis.Addr().String() }

// leave refuses connections unless a peer serves.
func (s *station) leave() { _ = s.lis.Close() }

// returns listens again after leave.
func (s *station) returns() {
	s.t.Helper()
	lis, err := net.Listen("tcp", s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.lis = lis.(*net.TCPListener)
}

// open makes another peer serve, with "/echo" and what register adds.
func (s *station) open(register func(*tp.Peer), plugins ...tp.Plugin) *tp.Peer {
	s.t.Helper()
	f, err := s.lis.File()
	if err != nil {
		s.t.Fatal(err)
	}
	lis, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	p := tp.NewPeer(&tp.PeerConfig{Logger: new(logBook)}, plugins...)
	echo(p)
	if register != nil {
		register(p)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.ServeListener(lis)
	}()
	s.t.Cleanup(func() {
		_ = p.Close() // it may have been cut off before
		<-ended
	})
	eventually(s.t, "it listens", func() bool { return len(p.Addrs()) == 1 })
	return p
}

// crash ends all connections of the peer at once, and the peer.
func crash(t testing.TB, p *tp.Peer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.Shutdown(ctx)
}

// A session outlives its connection: its id, what the user keeps on it and its pulls.
func TestRedialAfterALoss(t *testing.T) {
	at := newStation(t)
	var running <-chan tp.PullCtx
	srv := at.open(func(p *tp.Peer) { running, _ = waits(p) })
	redials := make(chan *tp.Rerror, 100)
	hello := &hookPlugin{}
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1, OnRedial: func(sess tp.Session, rerr *tp.Rerror) { redials <- rerr }}, hello)
	sess := dial(t, cli, at.addr())
	sess.Public().Store("mine", 1)
	id := sess.Id()
	sess.SetReadTimeout(time.Hour)
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())

	underWay := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, underWay)
	receive(t, running)
	at.leave()
	crash(t, srv)
	cmd := receive(t, underWay)
	wantCode(t, cmd.Rerror(), tp.CodeConnClosed, "")
	if !cmd.Rerror().MaybeSent() {
		t.Errorf("%v is said not to have been executed", cmd.Rerror())
	}
	eventually(t, "the loss is seen", func() bool { return !sess.Health() })
	if !sess.IsOk() {
		t.Error("a session that dials again takes no pulls")
	}

	waiting := make(chan *tp.PullCmd, 2)
	sess.GoPull("/echo", []byte("later"), new([]byte), waiting)
	go func() { waiting <- sess.Pull("/echo", []byte("later"), new([]byte)) }()
	pushed := make(chan *tp.Rerror, 1)
	go func() { pushed <- sess.Push("/none", 1) }()
	select {
	case cmd := <-waiting:
		t.Errorf("a pull without a connection ended with %v", cmd.Rerror())
	case rerr := <-pushed:
		t.Errorf("a push without a connection ended with %v", rerr)
	case <-time.After(50 * time.Millisecond):
	}
	at.returns()
	at.open(nil)
	for range 2 {
		cmd := receive(t, waiting)
		reply, rerr := cmd.Result()
		noRerror(t, rerr)
		if got := string(*reply.(*[]byte)); got != "later" {
			t.Errorf("got %q", got)
		}
	}
	noRerror(t, receive(t, pushed))
	if v, _ := sess.Public().Load("mine"); v != 1 || sess.Id() != id || sess.ReadTimeout() != time.Hour {
		t.Errorf("after the redial: %v on it, id %q, read timeout %v", v, sess.Id(), sess.ReadTimeout())
	}
	if found, ok := cli.GetSession(id); !ok || found != sess || cli.CountSession() != 1 || !sess.Health() {
		t.Errorf("found %v, healthy %v", ok, sess.Health())
	}
	if n := hello.dials.Load(); n != 2 {
		t.Errorf("PostDial ran %d times, want twice", n)
	}
	eventually(t, "OnRedial tells the success", func() bool {
		select {
		case rerr := <-redials:
			return rerr == nil
		default:
			return false
		}
	})
	select {
	case <-sess.CloseNotify():
		t.Error("the session is said to be over")
	default:
	}
	if hello.ends.Load() != 0 {
		t.Error("PostDisconnect ran for a session that goes on")
	}
	_ = sess.Close()
	receive(t, sess.CloseNotify())
	if n := hello.ends.Load(); n != 1 {
		t.Errorf("PostDisconnect ran %d times, want once", n)
	}
}

// hookPlugin counts the begins and ends of sessions.
type hookPlugin struct{ dials, ends atomic.Int32 }

func (*hookPlugin) Name() string { return "hooks" }
func (h *hookPlugin) PostDial(s tp.PreSession) *tp.Rerror {
	h.dials.Add(1)
	if s.Id() == "" || s.RemoteIp() == "" || s.LocalIp() == "" || !s.IsOk() {
		return tp.NewRerror(1000, "not a session", "")
	}
	return nil
}

func (h *hookPlugin) PostDisconnect(tp.PostSession) *tp.Rerror {
	h.ends.Add(1)
	return nil
}

// A pull that may be executed twice is sent again, also one of GoPull; its deadline
// holds. Another is not.
func TestIdempotentPullsAreSentAgain(t *testing.T) {
	at := newStation(t)
	var life atomic.Int32
	begun := make(chan int32, 100)
	open := func() *tp.Peer {
		life.Add(1)
		n := life.Load()
		return at.open(func(p *tp.Peer) {
			tp.RegPull(p.PullRouter, "which", func(ctx tp.PullCtx, _ *[]byte) (int32, *tp.Rerror) {
				begun <- n
				if n == 1 {
					<-ctx.Context().Done()
				}
				return n, nil
			})
		})
	}
	srv := open()
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	sess := dial(t, cli, at.addr())
	type result struct {
		n    int32
		rerr *tp.Rerror
	}
	results := make(chan result, 2)
	go func() {
		n, rerr := tp.Pull[int32](sess, "/which", nil, tp.WithIdempotent())
		results <- result{n, rerr}
	}()
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/which", nil, new(int32), done, tp.WithIdempotent())
	plain := make(chan *tp.PullCmd, 1)
	sess.GoPull("/which", nil, nil, plain)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	bounded := make(chan *tp.PullCmd, 1)
	sess.GoPull("/which", nil, nil, bounded, tp.WithIdempotent(), tp.WithContext(ctx))
	for range 4 {
		receive(t, begun)
	}
	crash(t, srv)
	wantCode(t, receive(t, plain).Rerror(), tp.CodeConnClosed, "")
	rerr := receive(t, bounded).Rerror()
	wantCode(t, rerr, tp.CodeTimeout, "")
	if !rerr.MaybeSent() {
		t.Errorf("%v: it was sent once", rerr)
	}
	open()
	if r := receive(t, results); r.n != 2 || r.rerr != nil {
		t.Errorf("got %+v", r)
	}
	cmd := receive(t, done)
	noRerror(t, cmd.Rerror())
	if reply, _ := cmd.Result(); *reply.(*int32) != 2 {
		t.Errorf("got %v", reply)
	}
	_ = cli.Close() // before it loses the last server
}

// A pull that was perhaps executed by a server that is lost may have been executed,
// whatever the next one answers.
func TestMaybeSentOfAPullSentAgain(t *testing.T) {
	for _, answers := range []string{"nothing is registered", "not executed: its turn came too late"} {
		at := newStation(t)
		srv := at.open(func(p *tp.Peer) { tp.RegPull(p.PullRouter, "order", untilDone) })
		cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
		sess := dial(t, cli, at.addr())
		done := make(chan *tp.PullCmd, 2)
		sess.GoPull("/order", nil, nil, done, tp.WithIdempotent())
		go func() { done <- sess.Pull("/order", nil, nil, tp.WithIdempotent()) }()
		eventually(t, "both run", func() bool { return srv.Stats().Handlers == 2 })
		crash(t, srv)
		at.open(func(p *tp.Peer) {
			if answers != "nothing is registered" {
				tp.RegPull(p.PullRouter, "order", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
					return 0, tp.NewRerror(tp.CodeTimeout, "late", answers)
				})
			}
		})
		for range 2 {
			if rerr := receive(t, done).Rerror(); rerr == nil || !rerr.MaybeSent() {
				t.Errorf("%s: %v is said not to have been executed", answers, rerr)
			}
		}
		_ = cli.Close()
	}
}

// untilDone is a handler that never answers.
func untilDone(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
	<-ctx.Context().Done()
	return 0, nil
}

// A server that goes away in good order, with another in its place, costs its
// clients nothing: no pull fails, no push is lost.
func TestRedialWithoutALoss(t *testing.T) {
	const restarts, callers = 10, 20
	at := newStation(t)
	var pushed, arrived atomic.Int64
	open := func() *tp.Peer {
		return at.open(func(p *tp.Peer) {
			tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *int) { arrived.Add(1) })
		})
	}
	srv := open()
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	sess := dial(t, cli, at.addr())
	idle := dial(t, cli, at.addr())
	noRerror(t, idle.Pull("/echo", nil, nil).Rerror())
	var stop atomic.Bool
	var calls atomic.Int64
	var callersDone sync.WaitGroup
	for range callers {
		callersDone.Go(func() {
			for !stop.Load() {
				if rerr := sess.Pull("/echo", []byte("x"), nil).Rerror(); rerr != nil {
					t.Errorf("a pull failed: %v", rerr)
					return
				}
				if rerr := sess.Push("/note", 1); rerr != nil {
					t.Errorf("a push failed: %v", rerr)
					return
				}
				pushed.Add(1)
				calls.Add(1)
			}
		})
	}
	for range restarts {
		n := calls.Load()
		eventually(t, "it is used", func() bool { return calls.Load() > n+100 })
		next := open()
		if err := srv.Close(); err != nil {
			t.Errorf("a server was cut off: %v", err)
		}
		srv = next
	}
	stop.Store(true)
	callersDone.Wait()
	if err := sess.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "all pushes arrive", func() bool { return arrived.Load() == pushed.Load() })
	noRerror(t, idle.Pull("/echo", nil, nil).Rerror())
	if err := cli.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d restarts, %d pulls, %d pushes", restarts, calls.Load(), pushed.Load())
}

// A server that goes away in good order before there is another is not held up by
// clients that dial again, and costs them nothing but the wait.
func TestRedialOverAGap(t *testing.T) {
	const restarts, callers = 3, 10
	at := newStation(t)
	var pushed, arrived atomic.Int64
	open := func() *tp.Peer {
		return at.open(func(p *tp.Peer) {
			tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *int) { arrived.Add(1) })
			tp.RegPull(p.PullRouter, "back", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
				return tp.Pull[[]byte](ctx.Session(), "/back", nil)
			})
		})
	}
	srv := open()
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	echo(cli)
	asking := make(chan struct{}, 1)
	goOn := make(chan struct{})
	tp.RegPull(cli.PullRouter, "back", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		asking <- struct{}{}
		<-goOn
		return tp.Pull[[]byte](ctx.Session(), "/echo", []byte("the last one")) // of the side that goes away
	})
	sess := dial(t, cli, at.addr())
	idle := dial(t, cli, at.addr())
	noRerror(t, idle.Pull("/echo", nil, nil).Rerror())
	var stop atomic.Bool
	var calls atomic.Int64
	var callersDone sync.WaitGroup
	for range callers {
		callersDone.Go(func() {
			for !stop.Load() {
				if rerr := sess.Pull("/echo", []byte("x"), nil).Rerror(); rerr != nil {
					t.Errorf("a pull failed: %v", rerr)
					return
				}
				if rerr := sess.Push("/note", 1); rerr != nil {
					t.Errorf("a push failed: %v", rerr)
					return
				}
				pushed.Add(1)
				calls.Add(1)
			}
		})
	}
	for range restarts {
		n := calls.Load()
		eventually(t, "it is used", func() bool { return calls.Load() > n+100 })
		back := make(chan *tp.PullCmd, 1)
		idle.GoPull("/back", nil, new([]byte), back)
		receive(t, asking)
		at.leave()
		closed := make(chan error, 1)
		go func() { closed <- srv.Close() }()
		eventually(t, "it goes away", func() bool { return len(srv.Addrs()) == 0 })
		goOn <- struct{}{}
		cmd := receive(t, back)
		noRerror(t, cmd.Rerror())
		if err := receive(t, closed); err != nil {
			t.Errorf("a server was cut off: %v", err)
		}
		at.returns()
		srv = open()
	}
	stop.Store(true)
	callersDone.Wait()
	if err := sess.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "all pushes arrive", func() bool { return arrived.Load() == pushed.Load() })
	if err := cli.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d restarts, %d pulls", restarts, calls.Load())
}

// The attempts end: then the session does, and all who wait for it.
func TestRedialEnds(t *testing.T) {
	at := newStation(t)
	srv := at.open(nil)
	attempts := make(chan *tp.Rerror, 10)
	cli := newPeer(t, tp.PeerConfig{RedialTimes: 2, OnRedial: func(_ tp.Session, rerr *tp.Rerror) { attempts <- rerr }})
	sess := dial(t, cli, at.addr())
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	at.leave()
	crash(t, srv)
	eventually(t, "the loss is seen", func() bool { return !sess.Health() })
	cmd := sess.Pull("/echo", nil, nil)
	wantCode(t, cmd.Rerror(), tp.CodeConnClosed, "")
	if cmd.Rerror().MaybeSent() || !errors.Is(cmd.Rerror().ToError(), net.ErrClosed) {
		t.Errorf("got %v", cmd.Rerror())
	}
	receive(t, sess.CloseNotify())
	if len(attempts) != 2 {
		t.Errorf("%d attempts, want 2", len(attempts))
	}
	for range 2 {
		wantCode(t, <-attempts, tp.CodeDialFailed, "")
	}
	if sess.IsOk() || cli.CountSession() != 0 {
		t.Error("it is still there")
	}
	wantCode(t, sess.Push("/x", nil), tp.CodeConnClosed, "closed")
}

// The attempts while the other side goes away, and those after it is gone, are of
// one row.
func TestRedialTimesOfAServerThatGoesAway(t *testing.T) {
	at := newStation(t)
	srv := at.open(func(p *tp.Peer) { tp.RegPull(p.PullRouter, "wait", untilDone) })
	attempts := make(chan *tp.Rerror, 10)
	cli := newPeer(t, tp.PeerConfig{RedialTimes: 2, OnRedial: func(_ tp.Session, rerr *tp.Rerror) { attempts <- rerr }})
	sess := dial(t, cli, at.addr())
	underWay := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, underWay)
	eventually(t, "it runs", func() bool { return srv.Stats().Handlers == 1 })
	at.leave()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	wantCode(t, receive(t, attempts), tp.CodeDialFailed, "")
	cancel()
	receive(t, ended)
	receive(t, sess.CloseNotify())
	if n := 1 + len(attempts); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
	wantCode(t, receive(t, underWay).Rerror(), tp.CodeConnClosed, "")
}

// A server that lets in and sends away at once is not dialled without a pause: the
// one says so by GOAWAY, the other only closes.
func TestRedialOfAServerThatSendsAway(t *testing.T) {
	const times, minPause = 3, 100 * time.Millisecond
	for _, goesAway := range []bool{true, false} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var accepted atomic.Int32
		var serving sync.WaitGroup
		srv := newPeer(t, tp.PeerConfig{}, authorize())
		serving.Go(func() {
			for conn, err := lis.Accept(); err == nil; conn, err = lis.Accept() {
				accepted.Add(1)
				serving.Go(func() {
					if !goesAway {
						_ = srv.ServeConn(conn).Close()
						return
					}
					c := socket.NewConn(conn, socket.Options{})
					_ = c.WritePacket(socket.NewPacket(socket.WithPtype(tp.TypeGoAway)))
					_ = c.ReadPacket(new(socket.Packet))
					_ = c.Close()
				})
			}
		})
		var plugins []tp.Plugin
		if !goesAway {
			plugins = append(plugins, present("let me in"))
		}
		redials := make(chan struct{}, 1000000)
		cli := newPeer(t, tp.PeerConfig{RedialTimes: times, OnRedial: func(tp.Session, *tp.Rerror) { redials <- struct{}{} }}, plugins...)
		begun := time.Now()
		sess := dial(t, cli, lis.Addr().String())
		if goesAway {
			for range times {
				receive(t, redials)
			}
			if d := time.Since(begun); d < times*minPause {
				t.Errorf("it was dialled again %d times in %v", times, d)
			}
		} else {
			receive(t, sess.CloseNotify())
			if n := accepted.Load(); n != 1+times {
				t.Errorf("%d connections, want one and %d more", n, times)
			}
		}
		_ = sess.Close()
		_ = lis.Close()
		serving.Wait()
	}
}

// Sessions over which nothing is to go lose one server after the other: what was up
// for a while counts as an attempt that came to something, or they would be away for
// longer each time, and in the end for good.
func TestRedialOfIdleSessions(t *testing.T) {
	const up = 600 * time.Millisecond // longer than the second pause
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	redials := make(chan *tp.Rerror, 100)
	cli := newPeer(t, tp.PeerConfig{RedialTimes: 2, OnRedial: func(_ tp.Session, rerr *tp.Rerror) { redials <- rerr }})
	var sess tp.Session
	for n := range 6 {
		if n == 0 {
			go func() {
				var rerr *tp.Rerror
				sess, rerr = cli.Dial(lis.Addr().String())
				redials <- rerr
			}()
		}
		_ = lis.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		conn, err := lis.Accept()
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		noRerror(t, receive(t, redials))
		time.Sleep(up)
		_ = conn.Close()
	}
	_ = lis.Close()
	receive(t, sess.CloseNotify())
}

// Close ends a redial, and so does that of the peer; a wait ends with its context.
func TestCloseDuringRedial(t *testing.T) {
	for _, whole := range []bool{false, true} {
		at := newStation(t)
		srv := at.open(nil)
		cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
		sess := dial(t, cli, at.addr())
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
		at.leave()
		crash(t, srv)
		eventually(t, "the loss is seen", func() bool { return !sess.Health() })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		cmd := sess.Pull("/echo", nil, nil, tp.WithContext(ctx))
		wantCode(t, cmd.Rerror(), tp.CodeTimeout, "no connection")
		if cmd.Rerror().MaybeSent() {
			t.Errorf("%v was not sent", cmd.Rerror())
		}
		wantCode(t, sess.Push("/x", 1, tp.WithContext(ctx)), tp.CodeTimeout, "")
		waiting := make(chan *tp.PullCmd, 1)
		sess.GoPull("/echo", nil, nil, waiting)
		if whole {
			if err := cli.Close(); err != nil {
				t.Error(err)
			}
		} else if err := sess.Close(); err != nil {
			t.Error(err)
		}
		receive(t, sess.CloseNotify())
		wantCode(t, receive(t, waiting).Rerror(), tp.CodeConnClosed, "")
	}
}

// A pull whose goroutine a hook ends, as it is sent after a loss, is delivered, and
// the reply that comes later does not change it.
func TestHookEndsAPullSentAfterALoss(t *testing.T) {
	at := newStation(t)
	srv := at.open(nil)
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1}, exitingPlugin{})
	sess := dial(t, cli, at.addr())
	at.leave()
	crash(t, srv)
	eventually(t, "the loss is seen", func() bool { return !sess.Health() })
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/held", nil, nil, done)
	at.returns()
	release := make(chan struct{})
	at.open(func(p *tp.Peer) {
		tp.RegPull(p.PullRouter, "held", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
			<-release
			return 1, nil
		})
	})
	cmd := receive(t, done)
	wantCode(t, cmd.Rerror(), tp.CodeInternalServerError, "ended its goroutine")
	close(release)
	eventually(t, "the late reply is dropped", func() bool { return cli.Stats().Refused["late_replies"] == 1 })
	if cmd.Input().Ptype() != tp.TypeUndefined {
		t.Error("the reply went into a pull that had been delivered")
	}
	_ = cli.Close()
}

// exitingPlugin ends the goroutines that send pulls, once they have sent them.
type exitingPlugin struct{}

func (exitingPlugin) Name() string                         { return "exiting" }
func (exitingPlugin) PostWritePull(tp.WriteCtx) *tp.Rerror { runtime.Goexit(); return nil }

// The PostDial hooks of a redial speak over the new connection, and may refuse it.
func TestPostDialOfARedial(t *testing.T) {
	at := newStation(t)
	srv := at.open(nil, authorize())
	var refused atomic.Int32
	auth := &dialAuth{refuse: func() bool { return refused.Add(1) == 2 }}
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1}, auth)
	sess := dial(t, cli, at.addr())
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	crash(t, srv)
	eventually(t, "the loss is seen", func() bool { return !sess.Health() }) // or the pull may be lost with it
	at.open(nil, authorize())
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	if n := refused.Load(); n != 3 {
		t.Errorf("PostDial ran %d times, want 3: dialled, refused, taken", n)
	}
	_ = cli.Close()
}

// dialAuth shows a token, as authorize wants.
type dialAuth struct{ refuse func() bool }

func (*dialAuth) Name() string { return "auth" }
func (d *dialAuth) PostDial(s tp.PreSession) *tp.Rerror {
	if d.refuse() {
		return tp.NewRerror(1001, "not today", "")
	}
	return present("let me in").PostDial(s)
}

// With RedialTimes, a session ends with nothing left, whatever order things take.
func TestRedialTurmoil(t *testing.T) {
	at := newStation(t)
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1, DefaultPullTimeout: 5 * time.Second})
	srv := at.open(nil)
	var wg sync.WaitGroup
	for i := range 8 {
		sess := dial(t, cli, at.addr())
		wg.Go(func() {
			for range 50 {
				sess.Pull("/echo", []byte(fmt.Sprint(i)), nil, tp.WithIdempotent())
			}
			_ = sess.Close()
			receive(t, sess.CloseNotify())
		})
	}
	for i := range 5 {
		next := at.open(nil)
		if i%2 == 0 {
			crash(t, srv)
		} else {
			_ = srv.Close()
		}
		srv = next
	}
	wg.Wait()
	if n := cli.CountSession(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// Close from what a redial calls ends it: from OnRedial, and from a PostDial hook.
func TestCloseFromInsideARedial(t *testing.T) {
	for _, where := range []string{"OnRedial", "PostDial"} {
		t.Run(where, func(t *testing.T) {
			at := newStation(t)
			srv := at.open(nil)
			var sess tp.Session
			closed := make(chan error, 10)
			var dials atomic.Int32
			cli := newPeer(t, tp.PeerConfig{RedialTimes: -1, OnRedial: func(s tp.Session, _ *tp.Rerror) {
				if where == "OnRedial" {
					closed <- s.Close()
				}
			}}, &sessionHooks{dial: func(tp.PreSession) *tp.Rerror {
				if dials.Add(1) > 1 && where == "PostDial" {
					closed <- sess.Close()
				}
				return nil
			}})
			sess = dial(t, cli, at.addr())
			noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
			crash(t, srv)
			at.open(nil)
			if err := receive(t, closed); err != nil {
				t.Errorf("Close: %v", err)
			}
			receive(t, sess.CloseNotify())
			if n := cli.CountSession(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// What is set on a session while it dials again is meant for its next connection too.
func TestTimeoutsSetDuringARedial(t *testing.T) {
	at := newStation(t)
	srv := at.open(nil)
	in, out := make(chan int, 10), make(chan int)
	var dials atomic.Int32
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1}, &sessionHooks{dial: func(s tp.PreSession) *tp.Rerror {
		if dials.Add(1) == 2 {
			in <- 1
			<-out
		}
		return nil
	}})
	sess := dial(t, cli, at.addr())
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	at.open(nil)
	crash(t, srv)
	receive(t, in)
	sess.SetWriteTimeout(77 * time.Second)
	close(out)
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	if d := sess.WriteTimeout(); d != 77*time.Second {
		t.Errorf("write timeout %v", d)
	}
	_ = cli.Close()
}
