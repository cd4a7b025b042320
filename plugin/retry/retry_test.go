package retry_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/retry"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

const patience = 20 * time.Second

func newPeer(t testing.TB, cfg tp.PeerConfig) *tp.Peer {
	t.Helper()
	log, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = log
	p := tp.NewPeer(&cfg)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// hang is a code with which the handler does not answer.
const hang = -1

// backend answers the pulls of "/x" with codes, one after the other, and then with
// success.
type backend struct {
	*tp.Peer
	mu    sync.Mutex
	codes []int32
	calls int
	came  []time.Time
}

func newBackend(t testing.TB) *backend {
	b := &backend{Peer: newPeer(t, tp.PeerConfig{})}
	tp.RegPull(b.PullRouter, "x", func(ctx tp.PullCtx, n *int) (int, *tp.Rerror) {
		b.mu.Lock()
		code := int32(0)
		if b.calls < len(b.codes) {
			code = b.codes[b.calls]
		}
		b.calls++
		b.came = append(b.came, time.Now())
		b.mu.Unlock()
		switch code {
		case 0:
			return *n + 1, nil
		case hang:
			<-ctx.Context().Done()
			return 0, nil
		}
		return 0, tp.NewRerror(code, "as told")
	})
	return b
}

// answer sets the codes of the pulls that follow.
func (b *backend) answer(codes ...int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.codes, b.calls, b.came = codes, 0, nil
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// inBubble runs fn in a bubble of testing/synctest with a session of a backend.
func inBubble(t *testing.T, fn func(t *testing.T, b *backend, sess tp.Session)) {
	synctest.Test(t, func(t *testing.T) {
		b, client := newBackend(t), newPeer(t, tp.PeerConfig{})
		near, far := net.Pipe()
		b.ServeConn(near)
		fn(t, b, client.ServeConn(far))
		_ = client.Close()
		_ = b.Close()
	})
}

func code(rerr *tp.Rerror) int32 {
	if rerr == nil {
		return 0
	}
	return rerr.Code
}

// What is repeated, and how often.
func TestRepeats(t *testing.T) {
	idempotent := []socket.PacketSetting{tp.WithIdempotent()}
	for _, c := range []struct {
		name     string
		uri      string
		codes    []int32
		settings []socket.PacketSetting
		calls    int
		want     int32
	}{
		{"success", "/x", nil, nil, 1, 0},
		{"not executed", "/x", []int32{503, 503}, nil, 3, 0},
		{"too often", "/x", []int32{503, 503, 503}, nil, 3, 503},
		{"perhaps executed", "/x", []int32{502}, nil, 1, 502},
		{"perhaps executed, idempotent", "/x", []int32{502, 502}, idempotent, 3, 0},
		{"a deadline of the handler's", "/x", []int32{408}, nil, 1, 408},
		{"a deadline of the handler's, idempotent", "/x", []int32{408}, idempotent, 2, 0},
		{"a bug", "/x", []int32{500}, idempotent, 1, 500},
		{"a code of one's own", "/x", []int32{1001}, idempotent, 1, 1001},
		{"bad args", "/x", []int32{400}, idempotent, 1, 400},
		{"no such handler", "/nowhere", nil, idempotent, 0, 404},
		{"no uri", "", nil, idempotent, 0, 400},
		{"what was unsure stays so", "/x", []int32{502, 503, 503}, idempotent, 3, 502},
		{"until it is sure", "/x", []int32{502, 500}, idempotent, 2, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
				b.answer(c.codes...)
				retrier := retry.New(retry.Config{})
				got, rerr := retry.Pull[int](retrier, sess, c.uri, 41, c.settings...)
				if code(rerr) != c.want || rerr == nil && got != 42 {
					t.Errorf("got %d, %v, want code %d", got, rerr, c.want)
				}
				if n := b.count(); n != c.calls || n > 0 && retrier.Repeated() != uint64(n-1) {
					t.Errorf("the handler ran %d times, want %d; %d repetitions are counted", n, c.calls, retrier.Repeated())
				}
			})
		})
	}
}

// The pauses grow, are shorter by a half at most, and have a bound.
func TestPauses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{Attempts: 6, MinPause: 100 * time.Millisecond, MaxPause: 500 * time.Millisecond, Burst: 1000})
		want := []time.Duration{100, 200, 400, 500, 500} // milliseconds
		differ := map[time.Duration]bool{}
		for range 50 {
			b.answer(503, 503, 503, 503, 503)
			if rerr := retrier.Pull(sess, "/x", 1, nil).Rerror(); rerr != nil {
				t.Fatal(rerr)
			}
			for i, most := range want {
				most *= time.Millisecond
				pause := b.came[i+1].Sub(b.came[i])
				if pause < most/2 || pause > most {
					t.Errorf("pause %d was %v, want %v to %v", i+1, pause, most/2, most)
				}
				differ[pause] = true
			}
		}
		if len(differ) < 200 {
			t.Errorf("there were only %d different pauses of 250", len(differ))
		}
	})
}

// The deadline is that of all attempts together, and no attempt begins that could not
// be over before.
func TestDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{Attempts: 100, MinPause: time.Second, MaxPause: time.Second, Burst: 1000})
		b.answer(make503(100)...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		rerr := retrier.Pull(sess, "/x", 1, nil, tp.WithContext(ctx)).Rerror()
		if code(rerr) != 503 || ctx.Err() != nil || time.Since(start) >= 10*time.Second {
			t.Errorf("got %v after %v", rerr, time.Since(start))
		}
		if n := b.count(); n < 9 || n > 21 {
			t.Errorf("there were %d attempts", n)
		}

		b.answer(hang)
		hung, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if rerr := retrier.Pull(sess, "/x", 1, nil, tp.WithContext(hung), tp.WithIdempotent()).Rerror(); code(rerr) != tp.CodeTimeout || b.count() != 1 {
			t.Errorf("got %v after %d attempts", rerr, b.count())
		}
	})
}

func make503(n int) (codes []int32) {
	for range n {
		codes = append(codes, 503)
	}
	return codes
}

// An attempt that hangs is given up, and repeated if the pull is idempotent.
func TestAttemptTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{AttemptTimeout: time.Second})
		for _, c := range []struct {
			settings []socket.PacketSetting
			calls    int
			want     int32
		}{{nil, 1, tp.CodeTimeout}, {[]socket.PacketSetting{tp.WithIdempotent()}, 2, 0}} {
			b.answer(hang)
			start := time.Now()
			rerr := retrier.Pull(sess, "/x", 1, nil, c.settings...).Rerror()
			if code(rerr) != c.want || b.count() != c.calls || time.Since(start) > 2*time.Second {
				t.Errorf("got %v after %d attempts and %v, want code %d after %d", rerr, b.count(), time.Since(start), c.want, c.calls)
			}
		}
	})
}

// A caller who gives up, and a session that is closed, end the pause.
func TestPauseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{MinPause: time.Hour, MaxPause: time.Hour, Burst: 1})
		for _, end := range []func(cancel func()){
			func(cancel func()) { cancel() },
			func(func()) { _ = sess.Close() },
		} {
			b.answer(503)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, func() { end(cancel) })
			start := time.Now()
			rerr := retrier.Pull(sess, "/x", 1, nil, tp.WithContext(ctx)).Rerror()
			if code(rerr) != 503 || time.Since(start) > 2*time.Minute {
				t.Errorf("got %v after %v", rerr, time.Since(start))
			}
			cancel()
		}
		if retrier.Repeated() != 0 {
			t.Errorf("%d repetitions are counted", retrier.Repeated())
		}
		if retrier.Spent() != 0 {
			t.Error("a repetition that did not come about has taken off the budget")
		}
		start := time.Now()
		if rerr := retrier.Pull(sess, "/x", 1, nil).Rerror(); code(rerr) != tp.CodeConnClosed || time.Since(start) > time.Minute {
			t.Errorf("got %v of a closed session after %v", rerr, time.Since(start))
		}
	})
}

// When all fails, there are no more repetitions than the budget has, and a peer that
// works fills it again.
func TestBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{Share: 0.25, Burst: 5})
		b.answer(make503(1000)...)
		for range 100 {
			retrier.Pull(sess, "/x", 1, nil)
		}
		// 5 at once, and a quarter of 100, but not that of those which found it full.
		if n := retrier.Repeated(); n < 29 || n > 30 || uint64(b.count()) != 100+n {
			t.Errorf("%d repetitions of 100 pulls, and %d attempts; want 30", n, b.count())
		}
		if retrier.Spent() < 70 {
			t.Errorf("%d repetitions were left out", retrier.Spent())
		}
		b.answer()
		for range 100 {
			retrier.Pull(sess, "/x", 1, nil)
		}
		before := retrier.Repeated()
		b.answer(make503(1000)...)
		for range 10 {
			retrier.Pull(sess, "/x", 1, nil)
		}
		if n := retrier.Repeated() - before; n < 5 || n > 8 {
			t.Errorf("%d repetitions of 10 pulls after a while that went well, want 7", n)
		}
	})
}

// A program may have codes of its own that pass.
func TestPasses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend, sess tp.Session) {
		retrier := retry.New(retry.Config{Passes: func(rerr *tp.Rerror) bool { return rerr.Code == 1001 }})
		b.answer(1001, 503)
		if rerr := retrier.Pull(sess, "/x", 1, nil, tp.WithIdempotent()).Rerror(); code(rerr) != 1001 || b.count() != 2 {
			// The second attempt was certainly not executed, the first one perhaps.
			t.Errorf("got %v after %d attempts, want 1001 after 2", rerr, b.count())
		}
		b.answer(1001)
		if rerr := retrier.Pull(sess, "/x", 1, nil).Rerror(); code(rerr) != 1001 || b.count() != 1 {
			t.Errorf("got %v after %d attempts, want 1001 after 1: it is not idempotent", rerr, b.count())
		}
	})
}

// The session of a Retrier repeats with tp.Pull too; GoPull goes to the one below.
func TestSession(t *testing.T) {
	b := newBackend(t)
	plain, rerr := newPeer(t, tp.PeerConfig{}).Dial(tptest.Serve(t, b.Peer))
	if rerr != nil {
		t.Fatal(rerr)
	}
	sess := retry.New(retry.Config{MinPause: time.Millisecond}).Session(plain)
	b.answer(503, 503)
	if got, rerr := tp.Pull[int](sess, "/x", 1); rerr != nil || got != 2 || b.count() != 3 {
		t.Errorf("got %d, %v after %d attempts", got, rerr, b.count())
	}
	b.answer(503)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/x", 1, nil, done)
	if cmd := <-done; code(cmd.Rerror()) != 503 || b.count() != 1 {
		t.Errorf("got %v of GoPull after %d attempts", cmd.Rerror(), b.count())
	}
	if sess.Id() != plain.Id() {
		t.Error("it has another id")
	}
}

// Handlers that are refused for lack of room, by a real peer: all callers get through.
func TestTooManyHandlers(t *testing.T) {
	server := newPeer(t, tp.PeerConfig{MaxSessionHandlers: 2})
	var ran atomic.Int64
	tp.RegPull(server.PullRouter, "x", func(_ tp.PullCtx, n *int) (int, *tp.Rerror) {
		time.Sleep(time.Millisecond)
		ran.Add(1)
		return *n, nil
	})
	sess, rerr := newPeer(t, tp.PeerConfig{}).Dial(tptest.Serve(t, server))
	if rerr != nil {
		t.Fatal(rerr)
	}
	retrier := retry.New(retry.Config{Attempts: 1 << 20, MinPause: time.Millisecond, MaxPause: 8 * time.Millisecond, Burst: 1 << 20})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, rerr := retry.Pull[int](retrier, sess, "/x", 1, tp.WithContext(ctx)); rerr != nil {
				t.Error(rerr)
			}
		})
	}
	wg.Wait()
	if ran.Load() != 40 {
		t.Errorf("the handler ran %d times for 40 pulls", ran.Load())
	}
}

// pullFunc is a Puller of the program's own.
type pullFunc func(uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd

func (f pullFunc) Pull(uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd {
	return f(uri, args, reply, setting...)
}

// One may fail before it has made a packet.
func TestPullerWithoutPacket(t *testing.T) {
	client := newPeer(t, tp.PeerConfig{})
	retrier := retry.New(retry.Config{MinPause: time.Millisecond})
	none := pullFunc(func(uri string, args, reply interface{}, _ ...socket.PacketSetting) *tp.PullCmd {
		return client.FailedPull(uri, args, reply, tp.NewRerror(tp.CodeDialFailed, "nobody is there"))
	})
	if rerr := retrier.Pull(none, "/x", 1, nil).Rerror(); code(rerr) != tp.CodeDialFailed || retrier.Repeated() != 2 {
		t.Errorf("got %v after %d repetitions", rerr, retrier.Repeated())
	}
}

// One may make several packets in an attempt. The contexts of all end with it: their
// timers would stay for AttemptTimeout.
func TestPullerWithSeveralPackets(t *testing.T) {
	b := newBackend(t)
	sess, rerr := newPeer(t, tp.PeerConfig{}).Dial(tptest.Serve(t, b.Peer))
	if rerr != nil {
		t.Fatal(rerr)
	}
	var made []context.Context
	several := pullFunc(func(uri string, args, reply interface{}, setting ...socket.PacketSetting) (cmd *tp.PullCmd) {
		for range 3 {
			cmd = sess.Pull(uri, args, reply, append(setting, func(p *socket.Packet) { made = append(made, p.Context()) })...)
		}
		return cmd
	})
	if rerr := retry.New(retry.Config{AttemptTimeout: time.Hour}).Pull(several, "/x", 1, nil).Rerror(); rerr != nil {
		t.Fatal(rerr)
	}
	for i, ctx := range made {
		if ctx.Err() == nil {
			t.Errorf("the context of packet %d has not ended", i)
		}
	}
	if len(made) != 3 {
		t.Errorf("%d packets were made", len(made))
	}
}

func TestConfigs(t *testing.T) {
	for want, cfg := range map[string]retry.Config{
		"Config.Attempts":       {Attempts: -1},
		"Config.MinPause":       {MinPause: -1},
		"Config.MaxPause":       {MinPause: 2, MaxPause: 1},
		"Config.AttemptTimeout": {AttemptTimeout: -1},
		"Config.Share":          {Share: -1},
		"Config.Burst":          {Burst: -1},
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, want) {
					t.Errorf("got the panic %q, want %q in it", r, want)
				}
			}()
			retry.New(cfg)
		}()
	}
}

// The pulls of a pool are repeated on another session when that of the first attempt is
// gone.
func TestPool(t *testing.T) {
	b := newBackend(t)
	addr := tptest.Serve(t, b.Peer)
	pool, rerr := newPeer(t, tp.PeerConfig{}).NewPool(addr, 2)
	if rerr != nil {
		t.Fatal(rerr)
	}
	b.codes = []int32{tp.CodeServiceUnavailable}
	r := retry.New(retry.Config{MinPause: time.Millisecond})
	if n, rerr := retry.Pull[int](r, pool, "/x", 1); n != 2 || rerr != nil || r.Repeated() != 1 {
		t.Errorf("got %d, %v after %d repetitions", n, rerr, r.Repeated())
	}
	for _, sess := range pool.Sessions() {
		_ = sess.Close()
		<-sess.CloseNotify()
	}
	if n, rerr := retry.Pull[int](r, pool, "/x", 2); n != 3 || rerr != nil {
		t.Errorf("got %d, %v", n, rerr)
	}
	if n, rerr := tp.Pull[int](pool, "/x", 3); n != 4 || rerr != nil {
		t.Errorf("got %d, %v", n, rerr)
	}
}
