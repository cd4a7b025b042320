package heartbeat_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/heartbeat"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

const patience = 20 * time.Second

// newPeer returns a peer without the PING of package tp, which would keep sessions
// open by itself.
func newPeer(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	log, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger, cfg.KeepAliveInterval = log, -1
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func dial(t testing.TB, client *tp.Peer, addr string) tp.Session {
	t.Helper()
	sess, rerr := client.Dial(addr)
	if rerr != nil {
		t.Fatal(rerr)
	}
	return sess
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// beats counts the heartbeats that a peer gets, and keeps the interval of the last.
type beats struct {
	pulls, pushes atomic.Int64
	interval      atomic.Value
}

func (b *beats) serve(p *tp.Peer) {
	tp.RegPull(p.PullRouter, "heartbeat", func(ctx tp.PullCtx, _ *struct{}) (*struct{}, *tp.Rerror) {
		b.interval.Store(ctx.Query().Get("hb_"))
		b.pulls.Add(1)
		return nil, nil
	})
	tp.RegPush(p.PushRouter, "heartbeat", func(ctx tp.PushCtx, _ *struct{}) {
		b.interval.Store(ctx.Query().Get("hb_"))
		b.pushes.Add(1)
	})
}

// A Ping sends pulls, or pushes, on each session, and announces its interval.
func TestPing(t *testing.T) {
	for _, push := range []bool{false, true} {
		server, got := newPeer(t, tp.PeerConfig{}), new(beats)
		got.serve(server)
		addr := tptest.Serve(t, server)
		ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond, Push: push})
		client := newPeer(t, tp.PeerConfig{}, ping)
		one, other := dial(t, client, addr), dial(t, client, addr)
		count, none := &got.pulls, &got.pushes
		if push {
			count, none = none, count
		}
		eventually(t, "heartbeats come", func() bool { return count.Load() >= 10 })
		if none.Load() != 0 {
			t.Errorf("push %v: there were %d of the other kind", push, none.Load())
		}
		if got.interval.Load() != "1" {
			t.Errorf("push %v: an interval of %v was announced, want 1", push, got.interval.Load())
		}
		if err := ping.SetInterval(2500 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other interval is announced", func() bool { return got.interval.Load() == "3" })
		if !one.Health() || !other.Health() {
			t.Error("a session is closed")
		}
	}
}

// pipe returns a session of client with server in memory, which client has dialled:
// tests in a bubble of testing/synctest cannot wait for sockets.
func pipe(t testing.TB, server, client *tp.Peer, dialled tp.PostDialPlugin) tp.Session {
	t.Helper()
	near, far := net.Pipe()
	server.ServeConn(near)
	sess := client.ServeConn(far)
	if dialled != nil {
		if rerr := dialled.PostDial(sess.(tp.PreSession)); rerr != nil {
			t.Fatal(rerr)
		}
	}
	return sess
}

// A session that is in use has the first heartbeat only, which announces; a quiet one
// has one in each interval, of which the jitter takes a fifth at most.
func TestPingWhenQuiet(t *testing.T) {
	for _, c := range []struct {
		name     string
		use      func(server, client tp.Session)
		min, max int64
	}{
		{"pulls", func(_, client tp.Session) { client.Pull("/x", nil, nil) }, 1, 1},
		{"nothing", func(_, _ tp.Session) {}, 100, 126},
		{"only receives", func(server, _ tp.Session) { server.Push("/x", nil) }, 100, 126},
		{"only sends", func(_, client tp.Session) { client.Push("/x", nil) }, 100, 126},
		{"both push", func(server, client tp.Session) { server.Push("/x", nil); client.Push("/x", nil) }, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, got := newPeer(t, tp.PeerConfig{}), new(beats)
				got.serve(server)
				ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: time.Minute})
				client := newPeer(t, tp.PeerConfig{}, ping)
				for _, p := range []*tp.Peer{server, client} {
					tp.RegPull(p.PullRouter, "x", func(tp.PullCtx, *struct{}) (int, *tp.Rerror) { return 0, nil })
					tp.RegPush(p.PushRouter, "x", func(tp.PushCtx, *struct{}) {})
				}
				sess := pipe(t, server, client, ping)
				var back tp.Session
				server.RangeSession(func(s tp.Session) bool { back = s; return true })
				for range 300 {
					time.Sleep(20 * time.Second)
					c.use(back, sess)
				}
				if n := got.pulls.Load(); n < c.min || n > c.max || uint64(n) != ping.Sent() {
					t.Errorf("%d heartbeats came and %d were sent in 100 intervals, want %d to %d", n, ping.Sent(), c.min, c.max)
				}
				if !sess.Health() {
					t.Error("the session is closed")
				}
				_ = client.Close()
				_ = server.Close()
			})
		})
	}
}

// A change of the interval takes effect on sessions that are open, for longer and for
// shorter, and neither side takes the other for dead.
func TestSetInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pong := heartbeat.NewPong(heartbeat.PongConfig{MaxSilence: time.Minute})
		server := newPeer(t, tp.PeerConfig{}, pong)
		pong.Route(server)
		ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: 30 * time.Second})
		client := newPeer(t, tp.PeerConfig{}, ping)
		sess := pipe(t, server, client, ping)
		for _, d := range []time.Duration{5 * time.Minute, time.Second, 9 * time.Minute, 40 * time.Second} {
			if err := ping.SetInterval(d); err != nil {
				t.Fatal(err)
			}
			before := ping.Sent()
			time.Sleep(50 * d)
			if n := ping.Sent() - before; n < 50 || n > 65 {
				t.Errorf("%d heartbeats were sent in 50 intervals of %v", n, d)
			}
			if !sess.Health() || pong.Closed() != 0 {
				t.Fatalf("the session is closed with an interval of %v", d)
			}
		}
		if err := ping.SetInterval(time.Millisecond); err == nil || ping.Interval() != 40*time.Second {
			t.Errorf("got %v and the interval %v for one that is too short", err, ping.Interval())
		}
		_ = client.Close()
		_ = server.Close()
	})
}

// slowDial is a session whose hooks take their time: something happens meanwhile.
type slowDial struct {
	opening
	meanwhile func()
}

// opening is a session for its PostDial.
type opening interface {
	tp.Session
	tp.PreSession
}

func (s slowDial) PublicLen() int {
	s.meanwhile()
	return s.opening.PublicLen()
}

// The interval changes while a session is opened, whose read timeout is that of the new
// one: a shorter one would close it between two heartbeats.
func TestSetIntervalMeanwhile(t *testing.T) {
	ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: time.Minute, Timeout: time.Second})
	sess, _ := tptest.Pair(t, newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{}))
	slow := slowDial{sess.(opening), func() { _ = ping.SetInterval(time.Hour) }}
	if rerr := ping.PostDial(slow); rerr != nil {
		t.Fatal(rerr)
	}
	if got := sess.ReadTimeout(); got != time.Hour+time.Second {
		t.Errorf("the read timeout is %v", got)
	}
}

// A peer that answers with an error is alive.
func TestPingWithoutPong(t *testing.T) {
	var served atomic.Int64
	server := newPeer(t, tp.PeerConfig{})
	server.PullRouter.SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		served.Add(1)
		return nil, tp.NewRerror(tp.CodeNotFound, "nothing here")
	})
	addr := tptest.Serve(t, server)
	sess := dial(t, newPeer(t, tp.PeerConfig{}, heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond})), addr)
	eventually(t, "heartbeats come", func() bool { return served.Load() >= 5 })
	if !sess.Health() {
		t.Error("the session is closed")
	}
}

// mute returns the address of a listener that takes connections, reads, and says
// nothing, as a process that is stopped.
func mute(t testing.TB, conns *atomic.Int64) string {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			defer conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = lis.Close()
		<-ended
	})
	return lis.Addr().String()
}

// The connection to a server that is dead is closed, and a session that dials again
// does.
func TestPingFindsDead(t *testing.T) {
	ping := func() *heartbeat.Ping {
		return heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond, Timeout: 100 * time.Millisecond})
	}
	t.Run("ends", func(t *testing.T) {
		sess := dial(t, newPeer(t, tp.PeerConfig{}, ping()), mute(t, new(atomic.Int64)))
		select {
		case <-sess.CloseNotify():
		case <-time.After(patience):
			t.Error("the session is still open")
		}
	})
	t.Run("dials again", func(t *testing.T) {
		var conns atomic.Int64
		sess := dial(t, newPeer(t, tp.PeerConfig{RedialTimes: -1, CloseTimeout: 100 * time.Millisecond}, ping()), mute(t, &conns))
		eventually(t, "it has dialled again, twice", func() bool { return conns.Load() >= 3 })
		if !sess.IsOk() {
			t.Error("the session is over")
		}
	})
}

// After a redial heartbeats go on.
func TestPingAfterRedial(t *testing.T) {
	server, got := newPeer(t, tp.PeerConfig{}), new(beats)
	got.serve(server)
	addr := tptest.Serve(t, server)
	ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond})
	dial(t, newPeer(t, tp.PeerConfig{RedialTimes: -1}, ping), addr)
	for range 3 {
		before := got.pulls.Load()
		eventually(t, "heartbeats come", func() bool { return got.pulls.Load() >= before+3 })
		server.RangeSession(func(s tp.Session) bool { return s.Close() == nil })
	}
}

// raw is a client that sends packets only when it is told to.
func raw(t testing.TB, addr string) socket.Socket {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := socket.NewSocket(conn)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A client that is silent is closed; one that beats, pulls, pushes or answers is not.
func TestPong(t *testing.T) {
	silent := make(chan tp.Session, 10)
	pong := heartbeat.NewPong(heartbeat.PongConfig{
		MaxSilence: 1500 * time.Millisecond,
		OnSilent:   func(sess tp.Session, _ time.Duration) { silent <- sess },
	})
	server := newPeer(t, tp.PeerConfig{CloseTimeout: 100 * time.Millisecond}, pong)
	pong.Route(server)
	addr := tptest.Serve(t, server)
	ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond})
	alive := dial(t, newPeer(t, tp.PeerConfig{}, ping), addr)
	pushing := heartbeat.NewPing(heartbeat.PingConfig{Interval: 20 * time.Millisecond, Push: true})
	alive2 := dial(t, newPeer(t, tp.PeerConfig{}, pushing), addr)

	s := raw(t, addr)
	if err := s.ReadPacket(socket.NewPacket(socket.WithBody(new([]byte)))); err == nil {
		t.Error("a packet came on a silent connection")
	}
	select {
	case sess := <-silent:
		if sess.RemoteIp() != s.LocalAddr().String() {
			t.Errorf("%s was closed, which is not %s", sess.RemoteIp(), s.LocalAddr())
		}
	case <-time.After(patience):
		t.Fatal("the silent session is not closed")
	}
	sent := ping.Sent()
	eventually(t, "more heartbeats", func() bool { return ping.Sent() > sent+30 })
	if !alive.Health() || !alive2.Health() || pong.Closed() != 1 {
		t.Errorf("%d sessions were closed, want the silent one", pong.Closed())
	}
}

// An OnSilent that panics ended the process.
func TestOnSilentPanics(t *testing.T) {
	tp.SetRawlogLevel("OFF") // it is told
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	var told atomic.Int64
	pong := heartbeat.NewPong(heartbeat.PongConfig{
		MaxSilence: 20 * time.Millisecond,
		OnSilent: func(tp.Session, time.Duration) {
			told.Add(1)
			panic("as told")
		},
	})
	server := newPeer(t, tp.PeerConfig{CloseTimeout: 100 * time.Millisecond}, pong)
	addr := tptest.Serve(t, server)
	for n := range int64(3) {
		dial(t, newPeer(t, tp.PeerConfig{}), addr)
		eventually(t, "it is called", func() bool { return told.Load() == n+1 })
	}
	eventually(t, "all are closed", func() bool { return server.CountSession() == 0 && pong.Closed() == 3 })
}

// What the Ping of teleport v4 sends: it announces how often, without a body or with
// null, and expects a success.
func TestPongTakesOldHeartbeats(t *testing.T) {
	pong := heartbeat.NewPong(heartbeat.PongConfig{MaxInterval: time.Hour})
	server := newPeer(t, tp.PeerConfig{}, pong)
	pong.Route(server)
	s := raw(t, tptest.Serve(t, server))
	for seq, c := range []struct {
		query, body string
		code        int32
	}{
		{"?hb_=3", "", 0},
		{"?hb_=3", "null", 0},
		{"?hb_=0", "", 0},
		{"", "", 0},
		{"?hb_=-1", "", tp.CodeBadPacket},
		{"?hb_=x", "", tp.CodeBadPacket},
		{"?hb_=3601", "", tp.CodeBadPacket},
		{"?hb_=18446744073709551615", "", tp.CodeBadPacket},
	} {
		err := s.WritePacket(socket.NewPacket(
			socket.WithPtype(tp.TypePull), socket.WithSeq(uint64(seq)), socket.WithUri("/heartbeat"+c.query),
			socket.WithBodyCodec('j'), socket.WithBody([]byte(c.body)),
		))
		if err != nil {
			t.Fatal(err)
		}
		in := socket.NewPacket(socket.WithBody(new([]byte)))
		for in.Ptype() != tp.TypeReply {
			if err := s.ReadPacket(in); err != nil {
				t.Fatal(err)
			}
		}
		rerr := tp.NewRerrorFromMeta(in.Meta())
		if c.code == 0 && rerr != nil || c.code != 0 && (rerr == nil || rerr.Code != c.code || !strings.Contains(rerr.Detail, "hb_")) {
			t.Errorf("%s: got %v, want code %d", c.query, rerr, c.code)
		}
	}
}

// A session that announces a longer interval may be silent for longer, and what the
// server pushes counts if it is told so.
func TestPongBounds(t *testing.T) {
	for _, c := range []struct {
		name     string
		announce string
		pushes   bool
		want     time.Duration // after how long it is closed; 0 is never
	}{
		{"by default", "", false, time.Minute},
		{"short", "5", false, time.Minute},
		{"long", "100", false, 200 * time.Second},
		{"too long", "601", false, time.Minute},
		{"pushes", "", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pong := heartbeat.NewPong(heartbeat.PongConfig{MaxSilence: time.Minute})
				server := newPeer(t, tp.PeerConfig{}, pong)
				if c.pushes {
					if err := server.PluginContainer().Add(pong.Pushes()); err != nil {
						t.Fatal(err)
					}
				}
				pong.Route(server)
				client := newPeer(t, tp.PeerConfig{})
				tp.RegPush(client.PushRouter, "x", func(tp.PushCtx, *struct{}) {})
				sess := pipe(t, server, client, nil)
				if c.announce != "" {
					sess.Push("/heartbeat?hb_="+c.announce, nil)
				}
				start := time.Now()
				var back tp.Session
				server.RangeSession(func(s tp.Session) bool { back = s; return true })
				for pong.Closed() == 0 && time.Since(start) < 10*time.Minute {
					time.Sleep(time.Second)
					back.Push("/x", nil)
				}
				took := time.Since(start)
				if c.want == 0 {
					if pong.Closed() != 0 {
						t.Errorf("the session was closed after %v", took)
					}
				} else if took < c.want || took > c.want+2*time.Second {
					t.Errorf("the session was closed after %v, want %v", took, c.want)
				}
				_ = client.Close()
				_ = server.Close()
			})
		})
	}
}

func TestConfigs(t *testing.T) {
	for want, fn := range map[string]func(){
		"PingConfig.Interval":    func() { heartbeat.NewPing(heartbeat.PingConfig{Interval: time.Millisecond}) },
		"PongConfig.MaxSilence":  func() { heartbeat.NewPong(heartbeat.PongConfig{MaxSilence: -1}) },
		"PongConfig.MaxInterval": func() { heartbeat.NewPong(heartbeat.PongConfig{MaxInterval: -1}) },
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, want) {
					t.Errorf("got the panic %q, want %q in it", r, want)
				}
			}()
			fn()
		}()
	}
}
