package tp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/transport"
)

// newPool returns a pool of n sessions of a peer with the configuration.
func newPool(t *testing.T, cfg tp.PeerConfig, addr string, n int) *tp.Pool {
	t.Helper()
	pool, rerr := newPeer(t, cfg).NewPool(addr, n)
	noRerror(t, rerr)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// One caller has one session; callers at once have more of them, and no more than the
// pool may have.
func TestPoolGrows(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{})
	echo(srv)
	pool := newPool(t, tp.PeerConfig{}, serve(t, srv), 3)
	for range 20 {
		noRerror(t, pool.Pull("/echo", nil, nil).Rerror())
	}
	if n := pool.Len(); n != 1 {
		t.Errorf("one caller has %d sessions", n)
	}
	// Of nine pulls each session gets three.
	done := make(chan *tp.PullCmd, 9)
	for i := range cap(done) {
		pool.GoPull("/slow", nil, nil, done)
		receive(t, begun)
		// The second finds one under way on the only session, the fourth on both.
		want := map[int]int{0: 1, 1: 2, 2: 2}[i]
		if want == 0 {
			want = 3
		}
		eventually(t, "the pool has grown", func() bool { return pool.Len() == want })
	}
	if n := pool.Len(); n != 3 || srv.CountSession() != 3 || len(pool.Sessions()) != 3 {
		t.Errorf("it has %d sessions, the server %d", n, srv.CountSession())
	}
	close(release)
	perSession := map[string]int{}
	for range cap(done) {
		cmd := receive(t, done)
		noRerror(t, cmd.Rerror())
		perSession[cmd.Session().Id()]++
	}
	for id, n := range perSession {
		if n != 3 {
			t.Errorf("session %s had %d pulls", id, n)
		}
	}
}

// A pull goes to the session with the fewest under way.
func TestPoolChoosesTheLeastPending(t *testing.T) {
	srv, begun, release := slowPeer(t, tp.PeerConfig{})
	echo(srv)
	pool := newPool(t, tp.PeerConfig{}, serve(t, srv), 2)
	done := make(chan *tp.PullCmd, 100)
	pool.GoPull("/slow", nil, nil, done)
	receive(t, begun)
	noRerror(t, pool.Pull("/echo", nil, nil).Rerror()) // the second one is dialled
	eventually(t, "it has two", func() bool { return pool.Len() == 2 })
	sess, rerr := pool.Session(t.Context())
	noRerror(t, rerr)
	for range 10 {
		cmd := pool.Pull("/echo", nil, nil)
		noRerror(t, cmd.Rerror())
		if cmd.Session() != sess {
			t.Error("a pull went to the session that has one under way")
		}
	}
	for range 4 { // with the first one, that is two on one and three on the other
		pool.GoPull("/slow", nil, nil, done)
		receive(t, begun)
	}
	close(release)
	counts := map[tp.Session]int{}
	for range 5 {
		counts[receive(t, done).Session()]++
	}
	if n := counts[sess]; n != 2 && n != 3 {
		t.Errorf("of five pulls the second session got %d", n)
	}
}

// Sessions that are over are replaced when a call needs one; without a server it fails,
// and was not sent.
func TestPoolDialsAgain(t *testing.T) {
	addr := fmt.Sprintf("mem://%s", t.Name())
	start := func() *tp.Peer {
		srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{addr}})
		echo(srv)
		tp.RegPush(srv.PushRouter, "note", func(tp.PushCtx, *int) {})
		listen(t, srv, 1)
		return srv
	}
	srv := start()
	pool := newPool(t, tp.PeerConfig{}, addr, 2)
	noRerror(t, pool.Pull("/echo", nil, nil).Rerror())
	noError(t, srv.Close())
	eventually(t, "its session is over", func() bool { return pool.Len() == 0 && !pool.Health() })
	cmd := pool.Pull("/echo", nil, nil)
	wantCode(t, cmd.Rerror(), tp.CodeDialFailed, "refused")
	if cmd.Rerror().MaybeSent() || cmd.Session() == nil || cmd.Session().IsOk() || cmd.Ip() == "" || cmd.Output().Uri() != "/echo" {
		t.Errorf("the PullCmd is %+v", cmd)
	}
	wantCode(t, pool.Push("/note", 1), tp.CodeDialFailed, "refused")
	done := make(chan *tp.PullCmd, 1)
	pool.GoPull("/echo", nil, nil, done)
	wantCode(t, receive(t, done).Rerror(), tp.CodeDialFailed, "refused")
	if _, rerr := pool.Session(t.Context()); rerr == nil {
		t.Error("there is a session")
	}
	start()
	for _, call := range []func() *tp.Rerror{
		func() *tp.Rerror { return pool.Pull("/echo", nil, nil).Rerror() },
		func() *tp.Rerror { return pool.Push("/note", 1) },
		func() *tp.Rerror { pool.GoPull("/echo", nil, nil, done); return receive(t, done).Rerror() },
		func() *tp.Rerror { _, rerr := pool.Session(t.Context()); return rerr },
	} {
		for _, sess := range pool.Sessions() {
			_ = sess.Close()
		}
		noRerror(t, call())
		if !pool.Health() || pool.Len() != 1 {
			t.Errorf("it has %d sessions, and health %v", pool.Len(), pool.Health())
		}
	}
}

// With RedialTimes the sessions outlive their connections, and calls wait for that.
func TestPoolOfSessionsThatRedial(t *testing.T) {
	addr := fmt.Sprintf("mem://%s", t.Name())
	start := func() *tp.Peer {
		srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{addr}})
		echo(srv)
		listen(t, srv, 1)
		return srv
	}
	srv := start()
	pool := newPool(t, tp.PeerConfig{RedialTimes: -1}, addr, 2)
	sess, rerr := pool.Session(t.Context())
	noRerror(t, rerr)
	noError(t, srv.Close())
	eventually(t, "it is unwell", func() bool { return !pool.Health() })
	done := make(chan *tp.PullCmd, 1)
	pool.GoPull("/echo", nil, nil, done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantCode(t, pool.Pull("/echo", nil, nil, tp.WithContext(ctx)).Rerror(), tp.CodeTimeout, "")
	if pool.Len() != 1 || pool.Sessions()[0] != sess {
		t.Error("the session was forgotten")
	}
	start()
	noRerror(t, receive(t, done).Rerror())
	noRerror(t, pool.Pull("/echo", nil, nil).Rerror())
}

// Servers that end one after the other, in order, lose no call of a pool.
func TestPoolLosesNoCall(t *testing.T) {
	addr := fmt.Sprintf("mem://%s", t.Name())
	var served atomic.Int64
	start := func() *tp.Peer {
		srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{addr}})
		tp.RegPull(srv.PullRouter, "count", func(tp.PullCtx, *int) (int, *tp.Rerror) {
			served.Add(1)
			return 1, nil
		})
		listen(t, srv, 1)
		return srv
	}
	srv := start()
	pool := newPool(t, tp.PeerConfig{RedialTimes: -1}, addr, 4)
	var callers sync.WaitGroup
	var over atomic.Bool
	var made atomic.Int64
	for range 8 {
		callers.Go(func() {
			for !over.Load() {
				if rerr := pool.Pull("/count", 1, nil).Rerror(); rerr != nil {
					t.Errorf("after %d calls: %v", made.Load(), rerr)
					return
				}
				made.Add(1)
			}
		})
	}
	for range 3 {
		before := made.Load()
		eventually(t, "calls are made", func() bool { return made.Load() > before+50 })
		noError(t, srv.Close())
		srv = start()
	}
	over.Store(true)
	callers.Wait()
	if made.Load() != served.Load() {
		t.Errorf("%d calls were made and %d served", made.Load(), served.Load())
	}
}

// hanging is a Transport whose second Dial hangs until it is called off.
type hanging struct {
	dials  *atomic.Int32
	addr   string
	begun  chan struct{}
	called chan struct{}
}

func (h hanging) Listen(string, *tls.Config) (net.Listener, error) { return nil, errors.ErrUnsupported }

func (h hanging) Dial(ctx context.Context, _ string, _ *tls.Config) (net.Conn, error) {
	if h.dials.Add(1) == 1 {
		return new(net.Dialer).DialContext(ctx, "tcp", h.addr)
	}
	h.begun <- struct{}{}
	<-ctx.Done()
	h.called <- struct{}{}
	return nil, ctx.Err()
}

// A call waits for a dial within its context; Close calls the dial off, and nothing comes
// after it.
func TestPoolClose(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	h := hanging{new(atomic.Int32), serve(t, srv), make(chan struct{}, 9), make(chan struct{}, 9)}
	scheme := fmt.Sprintf("hanging%d", schemes.Add(1))
	transport.Reg(scheme, h)
	pool := newPool(t, tp.PeerConfig{DefaultDialTimeout: time.Hour}, scheme+"://x", 2)
	sess, rerr := pool.Session(t.Context())
	noRerror(t, rerr)
	noRerror(t, pool.Pull("/echo", nil, nil).Rerror())
	_ = sess.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	rerr = pool.Pull("/echo", nil, nil, tp.WithContext(ctx)).Rerror()
	if wantCode(t, rerr, tp.CodeTimeout, "no connection came about"); rerr.MaybeSent() {
		t.Errorf("%v may have been sent", rerr)
	}
	wantCode(t, pool.Push("/note", 1, tp.WithContext(ctx)), tp.CodeTimeout, "no connection came about")
	waits := make(chan *tp.PullCmd, 1)
	pool.GoPull("/echo", nil, nil, waits)
	receive(t, h.begun)
	noError(t, pool.Close())
	receive(t, h.called)
	if rerr := receive(t, waits).Rerror(); rerr == nil || rerr.MaybeSent() {
		t.Errorf("the pull that waited got %v", rerr)
	}
	noError(t, pool.Close())
	wantCode(t, pool.Pull("/echo", nil, nil).Rerror(), tp.CodeConnClosed, "the pool is closed")
	wantCode(t, pool.Push("/note", nil), tp.CodeConnClosed, "the pool is closed")
	if pool.Len() != 0 || len(h.begun) != 0 {
		t.Errorf("it has %d sessions, and %d dials were begun", pool.Len(), len(h.begun))
	}
	receive(t, sess.CloseNotify())
}

func TestNewPoolFails(t *testing.T) {
	cli := newPeer(t, tp.PeerConfig{})
	_, rerr := cli.NewPool("mem://nobody", 2)
	wantCode(t, rerr, tp.CodeDialFailed, "refused")
	wantPanic(t, func() { _, _ = cli.NewPool("mem://nobody", 0) }, "NewPool: n = 0")
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	pool, rerr := cli.NewPool(serve(t, srv, newLineProto), 2, newLineProto)
	noRerror(t, rerr)
	wantPanic(t, func() { pool.GoPull("/echo", nil, nil, nil) }, "done is nil")
	var got string
	noRerror(t, pool.Pull("/echo", "line", &got, tp.WithBodyCodec('s')).Rerror())
	noError(t, cli.Close())
	wantCode(t, pool.Pull("/echo", nil, nil).Rerror(), tp.CodeDialFailed, "the peer is closed")
}

// A ProtoFunc that panics fails the calls that wait, and ends nobody.
func TestPoolOfAProtoThatPanics(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	var dials atomic.Int32
	pool, rerr := newPeer(t, tp.PeerConfig{}).NewPool(serve(t, srv), 2, func(rw io.ReadWriter) socket.Proto {
		if dials.Add(1) > 1 {
			panic("of a test")
		}
		return socket.NewFastProto(rw)
	})
	noRerror(t, rerr)
	for _, sess := range pool.Sessions() {
		_ = sess.Close()
	}
	wantCode(t, pool.Pull("/echo", nil, nil).Rerror(), tp.CodeDialFailed, "has panicked")
}

// closesFirst is a plugin that closes the session of the first pull and of the first push
// before they are sent.
type closesFirst struct{ pulls, pushes atomic.Int32 }

func (*closesFirst) Name() string { return "closes-first" }

func (p *closesFirst) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	if p.pulls.Add(1) == 1 {
		_ = ctx.Session().Close()
		<-ctx.Session().CloseNotify()
	}
	return nil
}

func (p *closesFirst) PreWritePush(ctx tp.WriteCtx) *tp.Rerror {
	if p.pushes.Add(1) == 1 {
		_ = ctx.Session().Close()
		<-ctx.Session().CloseNotify()
	}
	return nil
}

// What was not sent, since its session ended just then, is sent on another one.
func TestPoolTriesAnother(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	noted := make(chan int, 1)
	tp.RegPush(srv.PushRouter, "note", func(_ tp.PushCtx, n *int) { noted <- *n })
	hooks := new(closesFirst)
	pool, rerr := newPeer(t, tp.PeerConfig{}, hooks).NewPool(serve(t, srv), 2)
	noRerror(t, rerr)
	noRerror(t, pool.Pull("/echo", nil, nil).Rerror())
	noRerror(t, pool.Push("/note", 7))
	if n := receive(t, noted); n != 7 || hooks.pulls.Load() != 2 || hooks.pushes.Load() != 2 {
		t.Errorf("got %d after %d and %d attempts", n, hooks.pulls.Load(), hooks.pushes.Load())
	}
}

// counting returns a setting that adds to the meta data and counts how often it runs.
func counting() (socket.PacketSetting, *atomic.Int32) {
	runs := new(atomic.Int32)
	return func(p *socket.Packet) {
		runs.Add(1)
		p.Meta().Add("k", "v")
	}, runs
}

// The settings of a call run once for each packet, whether it finds a session, waits for
// one or fails.
func TestPoolRunsSettingsOnce(t *testing.T) {
	addr := fmt.Sprintf("mem://%s", t.Name())
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{addr}})
	came := make(chan string, 9)
	tp.RegPull(srv.PullRouter, "meta", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		came <- string(ctx.GetMeta("k"))
		return 1, nil
	})
	tp.RegPush(srv.PushRouter, "meta", func(ctx tp.PushCtx, _ *int) { came <- string(ctx.GetMeta("k")) })
	listen(t, srv, 1)
	pool := newPool(t, tp.PeerConfig{DefaultPullTimeout: time.Minute}, addr, 2)
	done := make(chan *tp.PullCmd, 1)
	calls := map[string]func(...socket.PacketSetting) *tp.Rerror{
		"Pull": func(set ...socket.PacketSetting) *tp.Rerror { return pool.Pull("/meta", 1, nil, set...).Rerror() },
		"GoPull": func(set ...socket.PacketSetting) *tp.Rerror {
			pool.GoPull("/meta", 1, nil, done, set...)
			return receive(t, done).Rerror()
		},
		"Push": func(set ...socket.PacketSetting) *tp.Rerror { return pool.Push("/meta", 1, set...) },
	}
	for name, call := range calls {
		for _, wait := range []bool{false, true} {
			for _, sess := range pool.Sessions() {
				if wait {
					_ = sess.Close()
				}
			}
			set, runs := counting()
			noRerror(t, call(set))
			if meta := receive(t, came); meta != "v" || runs.Load() != 1 {
				t.Errorf("%s, waits: %v: the settings ran %d times, and the meta data is %s", name, wait, runs.Load(), meta)
			}
		}
	}
	noError(t, srv.Close())
	eventually(t, "the sessions are over", func() bool { return pool.Len() == 0 })
	for name, call := range calls {
		set, runs := counting()
		if wantCode(t, call(set), tp.CodeDialFailed, "refused"); runs.Load() != 1 {
			t.Errorf("%s that fails: the settings ran %d times", name, runs.Load())
		}
	}
}

// The deadline of all attempts is that of the first; hooks see the context of the user.
func TestPoolContext(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	hooks := new(closesFirst)
	pool, rerr := newPeer(t, tp.PeerConfig{DefaultPullTimeout: time.Hour}, hooks).NewPool(serve(t, srv), 2)
	noRerror(t, rerr)
	defer pool.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := pool.Pull("/echo", nil, nil, tp.WithContext(ctx))
	noRerror(t, cmd.Rerror())
	if hooks.pulls.Load() != 2 || cmd.Context() != ctx {
		t.Errorf("after %d attempts the context is %v", hooks.pulls.Load(), cmd.Context())
	}
	if _, bounded := cmd.Output().Context().Deadline(); !bounded {
		t.Error("the second attempt has no deadline")
	}
}

// GoPull without a session: a setting that panics does so in its caller, as with a
// session, and what ends the goroutine later leaves nobody without the PullCmd.
func TestPoolGoPullIsDelivered(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	open := func(plugins ...tp.Plugin) *tp.Pool {
		pool, rerr := newPeer(t, tp.PeerConfig{}, plugins...).NewPool(addr, 2)
		noRerror(t, rerr)
		for _, sess := range pool.Sessions() {
			_ = sess.Close()
		}
		return pool
	}
	done := make(chan *tp.PullCmd, 1)
	wantPanic(t, func() {
		open().GoPull("/echo", nil, nil, done, func(*socket.Packet) { panic("as asked") })
	}, "as asked")

	exit := oneHook("exit", "PreWritePull", func(interface{}) *tp.Rerror { runtime.Goexit(); return nil })
	open(exit).GoPull("/echo", nil, nil, done)
	wantCode(t, receive(t, done).Rerror(), tp.CodeInternalServerError, "ended its goroutine")

	// The first attempt finds its session closed, and the setting panics for the second.
	for _, end := range []func(){runtime.Goexit, func() { panic("as asked") }} {
		runs := 0
		open(new(closesFirst)).GoPull("/echo", nil, nil, done, func(*socket.Packet) {
			if runs++; runs == 2 {
				end()
			}
		})
		cmd := receive(t, done)
		wantCode(t, cmd.Rerror(), tp.CodeInternalServerError, "ended its goroutine")
		if cmd.Output().Uri() != "/echo" {
			t.Errorf("it is the pull of %q", cmd.Output().Uri())
		}
	}
}
