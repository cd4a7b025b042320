package breaker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/breaker"
	"github.com/henrylee2cn/teleport/tptest"
)

const patience = 20 * time.Second

func newPeer(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	log, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = log
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// backend is a server whose handler "/x" answers with a code, 0 for success, and counts
// what came.
type backend struct {
	*tp.Peer
	code  atomic.Int32
	calls atomic.Int64
}

// hang is a code with which the handler does not answer.
const hang = -1

func newBackend(t testing.TB) *backend {
	b := &backend{Peer: newPeer(t, tp.PeerConfig{CloseTimeout: -1})}
	for _, name := range []string{"x", "y"} {
		tp.RegPull(b.PullRouter, name, func(ctx tp.PullCtx, _ *struct{}) (int, *tp.Rerror) {
			b.calls.Add(1)
			switch code := b.code.Load(); {
			case code == 0 || ctx.Path() == "/y":
				return 1, nil
			case code == hang:
				<-ctx.Context().Done()
				return 0, nil
			default:
				return 0, tp.NewRerror(code, "as told")
			}
		})
	}
	return b
}

// pulls pulls n times and returns how many reached the backend. Those that did not must
// have failed with the breaker's error.
func (b *backend) pulls(t testing.TB, sess tp.Session, uri string, n int) int {
	t.Helper()
	before := b.calls.Load()
	stopped := 0
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, rerr := tp.Pull[int](sess, uri, nil, tp.WithContext(ctx))
		cancel()
		if rerr != nil && strings.Contains(rerr.Detail, "breaker") {
			if rerr.Code != tp.CodeServiceUnavailable || rerr.MaybeSent() {
				t.Errorf("got %v of the breaker", rerr)
			}
			stopped++
		}
	}
	reached := int(b.calls.Load() - before)
	if reached+stopped != n {
		t.Errorf("%d pulls have reached the backend and %d were stopped, of %d", reached, stopped, n)
	}
	return reached
}

// A bubble of testing/synctest with a backend, and a session of it with the plugin.
func inBubble(t *testing.T, cfg breaker.Config, fn func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session)) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBackend(t), breaker.New(cfg)
		client := newPeer(t, tp.PeerConfig{CloseTimeout: -1}, p)
		near, far := net.Pipe()
		b.ServeConn(near)
		fn(t, b, p, client.ServeConn(far))
		_ = client.Close()
		_ = b.Close()
	})
}

func fixed(tp.WriteCtx) string { return "k" }

// From closed to open, half-open, open again, half-open and closed.
func TestStates(t *testing.T) {
	var changes []string
	cfg := breaker.Config{
		Key: fixed, MinPulls: 4, FailureRate: 0.5, Window: time.Minute, OpenFor: 10 * time.Second, Probes: 2,
		OnChange: func(key string, from, to breaker.State) {
			changes = append(changes, fmt.Sprint(key, " ", from, " ", to))
		},
	}
	inBubble(t, cfg, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		for _, step := range []struct {
			code    int32
			n, want int
			state   breaker.State
			after   time.Duration
		}{
			{0, 3, 3, breaker.Closed, 0},
			{500, 2, 2, breaker.Closed, 0}, // 2 of 5
			{500, 10, 1, breaker.Open, 0},  // 3 of 6
			{0, 10, 0, breaker.Open, 9 * time.Second},
			{500, 10, 1, breaker.Open, 2 * time.Second}, // a probe that fails
			{0, 1, 0, breaker.Open, 9 * time.Second},
			{0, 1, 1, breaker.HalfOpen, 2 * time.Second}, // the first probe
			{0, 10, 10, breaker.Closed, 0},
		} {
			time.Sleep(step.after)
			b.code.Store(step.code)
			if got := b.pulls(t, sess, "/x", step.n); got != step.want || p.State("k") != step.state {
				t.Errorf("%+v: %d pulls have passed, and the breaker is %v", step, got, p.State("k"))
			}
		}
		if got, want := fmt.Sprint(changes), "[k closed open k open half-open k half-open open k open half-open k half-open closed]"; got != want {
			t.Errorf("got the changes %s, want %s", got, want)
		}
		if c := p.Counters(); c != (breaker.Counters{Refused: 29, Keys: 1}) {
			t.Errorf("got the counters %+v", c)
		}
	})
}

// Failures count for a Window.
func TestWindow(t *testing.T) {
	inBubble(t, breaker.Config{Key: fixed, MinPulls: 5, Window: 10 * time.Second}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(500)
		for range 20 {
			b.pulls(t, sess, "/x", 1)
			time.Sleep(3 * time.Second) // 4 in a window
		}
		if p.State("k") != breaker.Closed {
			t.Error("the breaker has opened by failures of long ago")
		}
		b.pulls(t, sess, "/x", 5)
		if p.State("k") != breaker.Open {
			t.Error("the breaker is closed")
		}
	})
}

// A pull counts when it is over, however long it took: peers that are stuck are found by
// deadlines, which may be longer than a Window.
func TestLongPulls(t *testing.T) {
	inBubble(t, breaker.Config{Key: fixed, MinPulls: 3, Window: time.Second}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan *tp.PullCmd, 3)
		for range cap(done) {
			sess.GoPull("/x", nil, nil, done, tp.WithContext(ctx))
		}
		for range cap(done) {
			<-done
		}
		if got := p.State("k"); got != breaker.Open {
			t.Errorf("the breaker is %v after 3 deadlines", got)
		}
	})
}

// One that began before the breaker opened does not count for what it is later.
func TestLatePulls(t *testing.T) {
	inBubble(t, breaker.Config{Key: fixed, MinPulls: 3, OpenFor: time.Second}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		late := make(chan *tp.PullCmd, 5)
		for range cap(late) {
			sess.GoPull("/x", nil, nil, late, tp.WithContext(ctx))
		}
		synctest.Wait()
		b.code.Store(500)
		b.pulls(t, sess, "/x", 3)
		time.Sleep(2 * time.Second)
		b.code.Store(0)
		b.pulls(t, sess, "/x", 1)
		if p.State("k") != breaker.Closed {
			t.Fatal("the breaker is not closed again")
		}
		for range cap(late) {
			<-late
		}
		if got := p.State("k"); got != breaker.Closed {
			t.Errorf("the breaker is %v by pulls of before", got)
		}
	})
}

// Functions of the program that panic cost neither a pull nor the breaker.
func TestPanics(t *testing.T) {
	tp.SetRawlogLevel("OFF") // it is told of OnChange
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	cfg := breaker.Config{
		Key: fixed, MinPulls: 1, OpenFor: time.Second,
		Failed:   func(*tp.Rerror) bool { panic("as told") },
		OnChange: func(string, breaker.State, breaker.State) { panic("as told") },
	}
	inBubble(t, cfg, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(500)
		for range 2 { // the second one is a probe
			if got := b.pulls(t, sess, "/x", 3); got != 1 || p.State("k") != breaker.Open {
				t.Errorf("%d of 3 pulls have passed, and the breaker is %v", got, p.State("k"))
			}
			time.Sleep(2 * time.Second)
		}
		b.code.Store(0)
		if got := b.pulls(t, sess, "/x", 3); got != 3 || p.State("k") != breaker.Closed {
			t.Errorf("%d of 3 pulls have passed, and the breaker is %v", got, p.State("k"))
		}
	})
}

// What counts as a failure, and what does not.
func TestCodes(t *testing.T) {
	for code, want := range map[int32]breaker.State{
		tp.CodeInternalServerError: breaker.Open,
		tp.CodeBadGateway:          breaker.Open,
		tp.CodeServiceUnavailable:  breaker.Open,
		tp.CodeTimeout:             breaker.Open,
		tp.CodeBadPacket:           breaker.Closed,
		tp.CodeUnauthorized:        breaker.Closed,
		tp.CodeNotFound:            breaker.Closed,
		1001:                       breaker.Closed,
	} {
		inBubble(t, breaker.Config{Key: fixed, MinPulls: 3}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
			b.code.Store(code)
			b.pulls(t, sess, "/x", 3)
			if got := p.State("k"); got != want {
				t.Errorf("after code %d the breaker is %v, want %v", code, got, want)
			}
		})
	}
	inBubble(t, breaker.Config{
		Key: fixed, MinPulls: 3, Failed: func(rerr *tp.Rerror) bool { return rerr.Code == 1001 },
	}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(500)
		b.pulls(t, sess, "/x", 3)
		if p.State("k") != breaker.Closed {
			t.Error("a code that is no failure has opened the breaker")
		}
		b.code.Store(1001)
		b.pulls(t, sess, "/x", 3)
		if p.State("k") != breaker.Open {
			t.Error("the breaker is closed after failures of the program's own code")
		}
	})
}

// A deadline without a reply is a failure; a caller who gives up says nothing about the
// other side, and as a probe makes room for another one.
func TestNoReply(t *testing.T) {
	cfg := breaker.Config{Key: fixed, MinPulls: 3, Window: time.Hour, OpenFor: time.Second}
	inBubble(t, cfg, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(hang)
		cancelled := func() {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if rerr := sess.Pull("/x", nil, nil, tp.WithContext(ctx)).Rerror(); rerr == nil || rerr.Code != tp.CodeCanceled {
				t.Errorf("got %v", rerr)
			}
		}
		for range 5 {
			cancelled()
		}
		if p.State("k") != breaker.Closed {
			t.Error("callers that gave up have opened the breaker")
		}
		b.pulls(t, sess, "/x", 3) // each until its deadline
		if p.State("k") != breaker.Open {
			t.Error("the breaker is closed after deadlines")
		}
		time.Sleep(2 * time.Second)
		cancelled() // the probe
		if p.State("k") != breaker.HalfOpen {
			t.Errorf("the breaker is %v after a probe that was given up", p.State("k"))
		}
		b.code.Store(0)
		if got := b.pulls(t, sess, "/x", 2); got != 2 {
			t.Errorf("%d of 2 pulls have passed", got)
		}
		if p.State("k") != breaker.Closed {
			t.Error("the breaker is not closed again")
		}
	})
}

// While a probe is under way, no other pull passes.
func TestOneProbe(t *testing.T) {
	inBubble(t, breaker.Config{Key: fixed, MinPulls: 1, OpenFor: time.Second}, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		b.code.Store(500)
		b.pulls(t, sess, "/x", 1)
		time.Sleep(2 * time.Second)
		b.code.Store(hang)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *tp.PullCmd, 1)
		sess.GoPull("/x", nil, nil, done, tp.WithContext(ctx))
		synctest.Wait()
		if got := b.pulls(t, sess, "/y", 5); got != 0 {
			t.Errorf("%d pulls have passed beside the probe", got)
		}
		cancel()
		<-done
		if got := b.pulls(t, sess, "/y", 5); got != 5 {
			t.Errorf("%d of 5 pulls have passed after it", got)
		}
	})
}

// Each key has a breaker of its own.
func TestKeys(t *testing.T) {
	for name, c := range map[string]struct {
		key                     func(tp.WriteCtx) string
		sameSession, otherRoute int // how many of 5 pass when "/x" of another session has failed
		otherSession, otherPeer int
	}{
		"address": {nil, 0, 0, 0, 5},
		"session": {breaker.BySession, 0, 0, 5, 5},
		"route":   {breaker.ByRoute, 0, 5, 0, 5},
		"none":    {func(tp.WriteCtx) string { return "" }, 5, 5, 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			client := newPeer(t, tp.PeerConfig{}, breaker.New(breaker.Config{Key: c.key, MinPulls: 3, OpenFor: time.Hour}))
			one, two := newBackend(t), newBackend(t)
			addr := tptest.Serve(t, one.Peer)
			var sessions []tp.Session
			for _, addr := range []string{addr, addr, tptest.Serve(t, two.Peer)} {
				sess, rerr := client.Dial(addr)
				if rerr != nil {
					t.Fatal(rerr)
				}
				sessions = append(sessions, sess)
			}
			one.code.Store(500)
			one.pulls(t, sessions[0], "/x", 3)
			for _, step := range []struct {
				what string
				b    *backend
				sess tp.Session
				uri  string
				want int
			}{
				{"the same", one, sessions[0], "/x?a=1", c.sameSession},
				{"another route", one, sessions[0], "/y", c.otherRoute},
				{"another session", one, sessions[1], "/x", c.otherSession},
				{"another peer", two, sessions[2], "/x", c.otherPeer},
			} {
				step.b.code.Store(0)
				if got := step.b.pulls(t, step.sess, step.uri, 5); got != step.want {
					t.Errorf("%s: %d of 5 pulls have passed, want %d", step.what, got, step.want)
				}
			}
		})
	}
}

// A connection that is lost is a failure, also when a session that dials again sends
// the pull once more.
func TestLostConnections(t *testing.T) {
	b := newBackend(t)
	b.code.Store(hang)
	p := breaker.New(breaker.Config{Key: fixed, MinPulls: 3, FailureRate: 1, OpenFor: time.Hour})
	client := newPeer(t, tp.PeerConfig{RedialTimes: -1}, p)
	sess, rerr := client.Dial(tptest.Serve(t, b.Peer))
	if rerr != nil {
		t.Fatal(rerr)
	}
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/x", nil, nil, done, tp.WithIdempotent())
	for n := int64(1); ; n++ {
		for end := time.Now().Add(patience); b.calls.Load() < n && len(done) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the pull has come %d times only", b.calls.Load())
			}
		}
		if len(done) > 0 {
			break
		}
		b.RangeSession(func(s tp.Session) bool { _ = s.Close(); return true }) // at once: the CloseTimeout is so
	}
	if rerr := (<-done).Rerror(); rerr == nil || !strings.Contains(rerr.Detail, "breaker") {
		t.Errorf("got %v, want the error of the breaker", rerr)
	}
	if n := b.calls.Load(); n != 3 || p.State("k") != breaker.Open {
		t.Errorf("the pull was sent %d times, and the breaker is %v", n, p.State("k"))
	}
}

// There are never more breakers than allowed, those of no use make room, and pulls
// without one pass.
func TestMaxKeys(t *testing.T) {
	var key atomic.Value
	cfg := breaker.Config{
		Key: func(tp.WriteCtx) string { return key.Load().(string) }, MaxKeys: 3, MinPulls: 1, Window: 10 * time.Second, OpenFor: time.Hour,
	}
	inBubble(t, cfg, func(t *testing.T, b *backend, p *breaker.Plugin, sess tp.Session) {
		key.Store("bad")
		b.code.Store(500)
		b.pulls(t, sess, "/x", 1)
		b.code.Store(0)
		for i := range 10 {
			key.Store(fmt.Sprint("k", i))
			if got := b.pulls(t, sess, "/x", 1); got != 1 {
				t.Error("a pull was stopped")
			}
		}
		if c := p.Counters(); c.Keys != 3 || c.Unguarded != 8 {
			t.Errorf("got the counters %+v, want 3 keys and 8 unguarded", c)
		}
		time.Sleep(time.Minute)
		key.Store("k0") // is in use
		b.pulls(t, sess, "/x", 1)
		key.Store("later")
		b.pulls(t, sess, "/x", 1)
		if c := p.Counters(); c.Keys != 3 || c.Unguarded != 8 { // not k1 any more
			t.Errorf("got the counters %+v, want 3 keys and 8 unguarded", c)
		}
		key.Store("bad")
		if got := b.pulls(t, sess, "/x", 1); got != 0 {
			t.Error("an open breaker was forgotten")
		}
	})
}

// Many callers at once, of several sessions.
func TestConcurrent(t *testing.T) {
	b := newBackend(t)
	b.code.Store(500)
	p := breaker.New(breaker.Config{MinPulls: 20, OpenFor: time.Hour})
	client := newPeer(t, tp.PeerConfig{}, p)
	addr := tptest.Serve(t, b.Peer)
	var wg sync.WaitGroup
	for range 4 {
		sess, rerr := client.Dial(addr)
		if rerr != nil {
			t.Fatal(rerr)
		}
		for range 8 {
			wg.Go(func() {
				for range 50 {
					sess.Pull("/x", nil, nil)
				}
			})
		}
	}
	wg.Wait()
	n := uint64(b.calls.Load())
	if n < 20 || n > 20+32 || n+p.Counters().Refused != 1600 || p.State(addr) != breaker.Open {
		t.Errorf("%d pulls have passed, %d were refused, and the breaker is %v", n, p.Counters().Refused, p.State(addr))
	}
}

func TestConfigs(t *testing.T) {
	for want, cfg := range map[string]breaker.Config{
		"Config.FailureRate": {FailureRate: 1.5},
		"Config.MinPulls":    {MinPulls: -1},
		"Config.Probes":      {Probes: -1},
		"Config.MaxKeys":     {MaxKeys: -1},
		"Config.Window":      {Window: -1},
		"Config.OpenFor":     {OpenFor: time.Microsecond},
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, want) {
					t.Errorf("got the panic %q, want %q in it", r, want)
				}
			}()
			breaker.New(cfg)
		}()
	}
}
