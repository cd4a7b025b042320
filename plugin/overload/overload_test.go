package overload_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
	"github.com/henrylee2cn/teleport/plugin/overload"
	"github.com/henrylee2cn/teleport/tptest"
)

const patience = 20 * time.Second

// never is a rate at which no token comes while a test runs.
func never(burst int) overload.Rate { return overload.Rate{PerSecond: 1e-6, Burst: burst} }

// newPeer returns a peer with "/a/x", "/a/b/x", "/a/b/y" and "/c" for pulls and pushes, all of
// which count in handled.
func newPeer(t testing.TB, handled *atomic.Int64, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	log, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	p := tp.NewPeer(&tp.PeerConfig{Logger: log}, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	for _, name := range []string{"a/x", "a/b/x", "a/b/y", "c"} {
		tp.RegPull(p.PullRouter, name, func(tp.PullCtx, *struct{}) (bool, *tp.Rerror) {
			handled.Add(1)
			return true, nil
		})
		tp.RegPush(p.PushRouter, name, func(tp.PushCtx, *struct{}) { handled.Add(1) })
	}
	return p
}

func dial(t testing.TB, addr string, plugins ...tp.Plugin) tp.Session {
	t.Helper()
	sess, rerr := newPeer(t, new(atomic.Int64), plugins...).Dial(addr)
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

// passed tells how many of n pulls pass. All others must be answered 503.
func passed(t testing.TB, sess tp.Session, uri string, n int) (ok int) {
	t.Helper()
	for range n {
		_, rerr := tp.Pull[bool](sess, uri, nil)
		switch {
		case rerr == nil:
			ok++
		case rerr.Code != tp.CodeServiceUnavailable || !strings.Contains(rerr.Detail, "overload: more than"):
			t.Errorf("%s: got %v, want 503", uri, rerr)
		case rerr.MaybeSent():
			t.Errorf("%s: a pull that was refused is said to be perhaps executed: %v", uri, rerr)
		}
	}
	return ok
}

func TestRates(t *testing.T) {
	var handled atomic.Int64
	limits := overload.New(overload.Limits{
		Rate: never(15),
		Routes: map[string]overload.Rate{
			"/a/*":   never(5),
			"/a/b/*": never(3),
			"/a/b/x": {}, // only the limit of all
		},
	})
	addr := tptest.Serve(t, newPeer(t, &handled, limits))
	one, other := dial(t, addr), dial(t, addr)
	for _, c := range []struct {
		sess    tp.Session
		uri     string
		n, want int
	}{
		{one, "/a/x", 3, 3},
		{other, "/a/x?y=1", 3, 2}, // the limit is that of all sessions
		{one, "/%61/x", 3, 0},     // and of all that the router takes for the path
		{one, "/a/b/x?y=1", 4, 4},
		{one, "/a/b/y", 4, 3}, // the longest pattern
		{one, "/c", 10, 3},    // what the limit of all has left: 15 - 5 - 4 - 3
		{other, "/c", 1, 0},
		{other, "/a/b/x", 1, 0},
	} {
		if got := passed(t, c.sess, c.uri, c.n); got != c.want {
			t.Errorf("%d of %d pulls of %s have passed, want %d", got, c.n, c.uri, c.want)
		}
	}
	if n := handled.Load(); n != 15 {
		t.Errorf("%d handlers ran, want 15", n)
	}
	got := limits.Counters()
	want := overload.Counters{
		Conns: 2,
		All:   overload.Counts{Passed: 15, Refused: 9},
		Routes: map[string]overload.Counts{
			"/a/*": {Passed: 5, Refused: 4}, "/a/b/*": {Passed: 3, Refused: 1}, "/a/b/x": {Passed: 4},
		},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got the counters\n%v, want\n%v", got, want)
	}
}

// What the limit of all refuses does not use up that of a route.
func TestRouteKeepsTokens(t *testing.T) {
	var handled atomic.Int64
	limits := overload.New(overload.Limits{Rate: never(3), Routes: map[string]overload.Rate{"/c": never(2)}})
	sess := dial(t, tptest.Serve(t, newPeer(t, &handled, limits)))
	for _, step := range []struct {
		uri     string
		n, want int
	}{{"/a/x", 3, 3}, {"/c", 5, 0}} {
		if got := passed(t, sess, step.uri, step.n); got != step.want {
			t.Errorf("%d of %d pulls of %s have passed, want %d", got, step.n, step.uri, step.want)
		}
	}
	want := overload.Counters{Conns: 1, All: overload.Counts{Passed: 3, Refused: 5}, Routes: map[string]overload.Counts{"/c": {}}}
	if got := limits.Counters(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got the counters\n%v, want\n%v", got, want)
	}
	if err := limits.SetLimits(overload.Limits{Routes: limits.Limits().Routes}); err != nil {
		t.Fatal(err)
	}
	if got := passed(t, sess, "/c", 5); got != 2 {
		t.Errorf("%d pulls have passed without the limit of all, want 2", got)
	}
}

// The buckets fill with time.
func TestRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled atomic.Int64
		limits := overload.New(overload.Limits{Rate: overload.Rate{PerSecond: 2, Burst: 4}})
		server, client := newPeer(t, &handled, limits), newPeer(t, &handled)
		near, far := net.Pipe()
		server.ServeConn(near)
		sess := client.ServeConn(far)
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 4}, {0, 0}, {time.Second, 2}, {time.Hour, 4}} {
			time.Sleep(step.after)
			if got := passed(t, sess, "/c", 10); got != step.want {
				t.Errorf("after %v %d of 10 pulls have passed, want %d", step.after, got, step.want)
			}
		}
		_ = client.Close()
		_ = server.Close()
	})
}

// Limits change while pulls run. A change gives nobody tokens.
func TestSetLimits(t *testing.T) {
	var handled atomic.Int64
	limits := overload.New(overload.Limits{})
	sess := dial(t, tptest.Serve(t, newPeer(t, &handled, limits)))
	set := func(l overload.Limits) {
		t.Helper()
		if err := limits.SetLimits(l); err != nil {
			t.Fatal(err)
		}
	}
	if got := passed(t, sess, "/c", 50); got != 50 {
		t.Errorf("%d of 50 pulls have passed without a limit", got)
	}
	set(overload.Limits{Rate: never(7)}) // there was no limit, so the bucket is full
	if got := passed(t, sess, "/c", 10); got != 7 {
		t.Errorf("%d pulls have passed, want 7", got)
	}
	set(overload.Limits{Routes: map[string]overload.Rate{"/c": never(5)}})
	if got := passed(t, sess, "/c", 10); got != 5 {
		t.Errorf("%d pulls have passed, want 5", got)
	}
	set(overload.Limits{Routes: map[string]overload.Rate{"/c": never(9)}})
	if got := passed(t, sess, "/c", 10); got != 0 {
		t.Errorf("%d pulls have passed after a change, want none", got)
	}
	set(overload.Limits{Routes: map[string]overload.Rate{"/c": {PerSecond: 1e6, Burst: 9}}})
	if got := passed(t, sess, "/c", 10); got == 0 {
		t.Error("no pull has passed at a rate of a million")
	}
	set(overload.Limits{})
	if got := passed(t, sess, "/c", 10); got != 10 {
		t.Errorf("%d pulls have passed, want 10", got)
	}

	if err := limits.SetLimits(overload.Limits{Conns: -1}); err == nil {
		t.Error("limits that cannot work are no error")
	}
	if l := limits.Limits(); l.Conns != 0 {
		t.Errorf("got the limits %v after an error", l)
	}
	mine := map[string]overload.Rate{"/c": never(1)}
	set(overload.Limits{Routes: mine})
	mine["/c"] = overload.Rate{}
	if l := limits.Limits(); l.Routes["/c"] != never(1) {
		t.Errorf("the limits have changed with the map of the caller: %v", l)
	}

	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 100 {
				if i == 0 {
					_ = limits.SetLimits(overload.Limits{Rate: overload.Rate{PerSecond: float64(1 + n)}})
					_ = limits.Counters()
				} else {
					passed(t, sess, "/c", 1)
				}
			}
		})
	}
	wg.Wait()
}

// Pushes pass unless the limits say that they are to be dropped.
func TestPushes(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprint("drop ", drop), func(t *testing.T) {
			var handled atomic.Int64
			limits := overload.New(overload.Limits{Rate: never(4), DropPushes: drop})
			sess := dial(t, tptest.Serve(t, newPeer(t, &handled, limits)))
			for range 10 {
				if rerr := sess.Push("/c", nil); rerr != nil {
					t.Fatal(rerr)
				}
			}
			if got := passed(t, sess, "/c", 1); got != 0 {
				t.Error("a pull has passed after pushes that took all tokens")
			}
			want := map[bool]int64{false: 10, true: 4}[drop]
			eventually(t, "the pushes are handled", func() bool { return handled.Load() == want })
			if got := limits.Counters().PushesDropped; got != uint64(10-want) {
				t.Errorf("%d pushes are counted as dropped, want %d", got, 10-want)
			}
		})
	}
}

func TestConns(t *testing.T) {
	var handled atomic.Int64
	limits := overload.New(overload.Limits{Conns: 3})
	server := newPeer(t, &handled, limits)
	addr := tptest.Serve(t, server)
	var open []tp.Session
	for range 3 {
		sess := dial(t, addr)
		if got := passed(t, sess, "/c", 1); got != 1 {
			t.Fatal("a pull did not pass")
		}
		open = append(open, sess)
	}
	// Which of the two it is depends on whether the refusal or the pull is first.
	_, rerr := tp.Pull[bool](dial(t, addr), "/c", nil)
	if rerr == nil || rerr.Code != tp.CodeServiceUnavailable && rerr.Code != tp.CodeConnClosed {
		t.Errorf("got %v on a connection too many", rerr)
	}
	if c := limits.Counters(); c.Conns != 3 || c.ConnsRefused != 1 {
		t.Errorf("got the counters %+v, want 3 conns and one refused", c)
	}

	// One that ends makes room, and the limit may change.
	_ = open[0].Close()
	eventually(t, "there is room", func() bool { return limits.Counters().Conns == 2 })
	if got := passed(t, dial(t, addr), "/c", 1); got != 1 {
		t.Error("a pull did not pass")
	}
	if err := limits.SetLimits(overload.Limits{Conns: 1}); err != nil {
		t.Fatal(err)
	}
	if got := passed(t, open[1], "/c", 1); got != 1 {
		t.Error("a session that was open was closed by a change of the limits")
	}
	if _, rerr := tp.Pull[bool](dial(t, addr), "/c", nil); rerr == nil {
		t.Error("a connection too many was let in")
	}
}

// A client with package auth is told why it is refused.
func TestConnsWithAuth(t *testing.T) {
	limits := overload.New(overload.Limits{Conns: 1})
	addr := tptest.Serve(t, newPeer(t, new(atomic.Int64), limits,
		auth.NewServer(auth.ServerConfig{Check: auth.Tokens(map[string]any{"s3cret": "ann"})})))
	shows := func(token string) *auth.Client { return auth.NewClient(auth.ClientConfig{Token: auth.Token(token)}) }

	// What another plugin refuses leaves room.
	for range 5 {
		if _, rerr := newPeer(t, new(atomic.Int64), shows("guess")).Dial(addr); rerr == nil || rerr.Code != tp.CodeUnauthorized {
			t.Fatalf("got %v, want 401", rerr)
		}
		eventually(t, "there is room", func() bool { return limits.Counters().Conns == 0 })
	}
	sess := dial(t, addr, shows("s3cret"))
	if !sess.Health() {
		t.Error("the session is not open")
	}
	_, rerr := newPeer(t, new(atomic.Int64), shows("s3cret")).Dial(addr)
	if rerr == nil || rerr.Code != tp.CodeServiceUnavailable || !strings.Contains(rerr.Detail, "there are 1 connections") {
		t.Errorf("got %v, want 503", rerr)
	}
}

// Many connections at once: never more than the limit.
func TestConnsAtOnce(t *testing.T) {
	limits := overload.New(overload.Limits{Conns: 7})
	server := newPeer(t, new(atomic.Int64), limits)
	addr := tptest.Serve(t, server)
	client := newPeer(t, new(atomic.Int64))
	var in atomic.Int64
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			sess, rerr := client.Dial(addr)
			if rerr != nil {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if _, rerr := tp.Pull[bool](sess, "/c", nil, tp.WithContext(ctx)); rerr == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if n := in.Load(); n != 7 {
		t.Errorf("%d connections were let in, want 7", n)
	}
	if c := limits.Counters(); c.Conns != 7 || c.ConnsRefused != 53 {
		t.Errorf("got the counters %+v, want 7 conns and 53 refused", c)
	}
	_ = client.Close()
	eventually(t, "all are gone", func() bool { return limits.Counters().Conns == 0 })
}

func TestValidate(t *testing.T) {
	for want, l := range map[string]overload.Limits{
		"Limits.Conns":              {Conns: -1},
		"Limits.Rate.PerSecond":     {Rate: overload.Rate{PerSecond: math.NaN()}},
		"Limits.Rate.Burst":         {Rate: overload.Rate{Burst: -1}},
		`Limits.Routes["x"]`:        {Routes: map[string]overload.Rate{"x": {}}},
		`Limits.Routes["/*/x"]`:     {Routes: map[string]overload.Rate{"/*/x": {}}},
		`Limits.Routes["/x"].Burst`: {Routes: map[string]overload.Rate{"/x": {Burst: -1}}},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	if err := (overload.Limits{Routes: map[string]overload.Rate{"/*": {PerSecond: 0.1}}}).Validate(); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("New does not panic")
		}
	}()
	overload.New(overload.Limits{Conns: -1})
}
