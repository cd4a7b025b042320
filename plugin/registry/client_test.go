package registry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
	"github.com/henrylee2cn/teleport/transport"
)

// three starts three servers and a registry that has them.
func three(t *testing.T, cfg tp.PeerConfig, set func(i int, inst *registry.Instance)) ([]*server, *registry.Static) {
	t.Helper()
	reg := new(registry.Static)
	var servers []*server
	var instances []registry.Instance
	for i := range 3 {
		s := start(t, "127.0.0.1:0", cfg)
		servers = append(servers, s)
		inst := s.instance()
		if set != nil {
			set(i, &inst)
		}
		instances = append(instances, inst)
	}
	if err := reg.Set("test", instances...); err != nil {
		t.Fatal(err)
	}
	return servers, reg
}

func TestRoundRobin(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 3)
	got := who(t, c, 30)
	for _, s := range servers {
		if got[s.addr] != 10 {
			t.Errorf("%s answered %d of 30", s.addr, got[s.addr])
		}
	}
}

func TestWeighted(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, func(i int, inst *registry.Instance) { inst.Weight = []int{5, 0, 2}[i] })
	c := newClient(t, registry.ClientConfig{Registry: reg, Choice: registry.Weighted})
	healthy(t, c, 3)
	got := who(t, c, 80)
	for i, s := range servers {
		if want := []int{50, 10, 20}[i]; got[s.addr] != want {
			t.Errorf("server %d answered %d of 80, want %d", i, got[s.addr], want)
		}
	}
}

func TestLeastPending(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg, Choice: registry.LeastPending})
	healthy(t, c, 3)
	done := make(chan *tp.PullCmd, 12)
	for i := range 12 { // each to the one with the fewest
		c.GoPull("/wait", struct{}{}, new(string), done)
		eventually(t, "it is under way", func() bool {
			n := 0
			for _, m := range c.Members() {
				n += m.Pending
			}
			return n == i+1
		})
	}
	for _, m := range c.Members() {
		if m.Pending != 4 {
			t.Errorf("%s has %d of 12 pulls", m.Addr, m.Pending)
		}
	}
	servers[1].release() // its four are over, so that it has the fewest
	for range 4 {
		receive(t, done)
	}
	if got := who(t, c, 8); got[servers[1].addr] != 8 {
		t.Errorf("the idle one answered %d of 8", got[servers[1].addr])
	}
	servers[0].release()
	servers[2].release()
	for range 8 {
		if rerr := receive(t, done).Rerror(); rerr != nil {
			t.Error(rerr)
		}
	}
	for _, m := range c.Members() {
		if m.Pending != 0 {
			t.Errorf("%s has %d pulls when all are over", m.Addr, m.Pending)
		}
	}
}

// A key stays with its member; when one goes, only its keys move; when it comes
// back, they come back.
func TestConsistentHash(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg, Choice: registry.ConsistentHash})
	other := newClient(t, registry.ClientConfig{Registry: reg, Choice: registry.ConsistentHash})
	healthy(t, c, 3)
	healthy(t, other, 3)
	const keys = 300
	ask := func(c *registry.Client) (owners [keys]string) {
		for k := range owners {
			addr, rerr := tp.Pull[string](c, "/who", struct{}{}, tp.WithContext(t.Context()), registry.WithKey(fmt.Sprint("user-", k)))
			if rerr != nil {
				t.Fatal(rerr)
			}
			owners[k] = addr
		}
		return owners
	}
	before := ask(c)
	if ask(c) != before || ask(other) != before {
		t.Error("a key is not always with the same member")
	}
	share := map[string]int{}
	for _, addr := range before {
		share[addr]++
	}
	for _, s := range servers {
		if share[s.addr] < keys/6 {
			t.Errorf("%s has %d of %d keys", s.addr, share[s.addr], keys)
		}
	}
	sess, rerr := c.Session(registry.ContextWithKey(t.Context(), "user-7"))
	if rerr != nil || sess.RemoteIp() != before[7] {
		t.Errorf("Session: %v, want one of %s", rerr, before[7])
	}

	gone := servers[1]
	if err := reg.Set("test", servers[0].instance(), servers[2].instance()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return len(c.Members()) == 2 })
	for k, addr := range ask(c) {
		if before[k] != gone.addr && addr != before[k] {
			t.Errorf("key %d moved, though its member stayed", k)
		}
		if addr == gone.addr {
			t.Errorf("key %d is with a member that is gone", k)
		}
	}
	if err := reg.Set("test", servers[0].instance(), gone.instance(), servers[2].instance()); err != nil {
		t.Fatal(err)
	}
	healthy(t, c, 3)
	if ask(c) != before {
		t.Error("the keys did not come back")
	}

	// Without a key it is round-robin.
	if got := who(t, c, 30); len(got) != 3 {
		t.Errorf("without a key %d members answered", len(got))
	}
}

// Weights share out the keys.
func TestConsistentHashHasWeights(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, func(i int, inst *registry.Instance) { inst.Weight = []int{1, 8, 1}[i] })
	c := newClient(t, registry.ClientConfig{Registry: reg, Choice: registry.ConsistentHash})
	healthy(t, c, 3)
	count := map[string]int{}
	for k := range 1000 {
		sess, rerr := c.Session(registry.ContextWithKey(t.Context(), fmt.Sprint(k)))
		if rerr != nil {
			t.Fatal(rerr)
		}
		count[sess.RemoteIp()]++
	}
	if n := count[servers[1].addr]; n < 700 || n > 900 {
		t.Errorf("with 8 of 10 weights it has %d of 1000 keys", n)
	}
}

// Of another priority only those are used whose betters have no connection.
func TestPriority(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, func(i int, inst *registry.Instance) { inst.Priority = i })
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 3)
	for i, s := range servers {
		if got := who(t, c, 5); got[s.addr] != 5 {
			t.Errorf("server %d answered %d of 5", i, got[s.addr])
		}
		s.stop()
		healthy(t, c, 2-i)
	}
}

// While servers die and come back, no call is lost that could be saved.
func TestFailover(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 3)
	stop := make(chan struct{})
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if rerr := c.Pull("/who", struct{}{}, new(string), tp.WithIdempotent()).Rerror(); rerr != nil {
					t.Errorf("a pull was lost: %v", rerr)
					return
				}
				calls.Add(1)
			}
		})
	}
	more := func() {
		was := calls.Load()
		eventually(t, "calls go on", func() bool { return calls.Load() > was+100 || t.Failed() })
	}
	more()
	servers[0].kill()
	more()
	servers[1].stop() // it says goodbye
	more()
	start(t, servers[0].addr, tp.PeerConfig{})
	start(t, servers[1].addr, tp.PeerConfig{})
	healthy(t, c, 3)
	servers[2].kill()
	more()
	close(stop)
	wg.Wait()
}

// What may have been executed is not sent again, unless it may be executed twice.
func TestFailoverOfWhatWasSent(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprint(idempotent), func(t *testing.T) {
			first, second := start(t, "127.0.0.1:0", tp.PeerConfig{CloseTimeout: -1}), start(t, "127.0.0.1:0", tp.PeerConfig{})
			a, b := first.instance(), second.instance()
			b.Priority = 1
			second.release()
			for _, redial := range []int{0, -1} { // a session that dials again does not hold it up
				peer := quiet(t, tp.PeerConfig{RedialTimes: redial, CloseTimeout: time.Second})
				c := newClientOf(t, peer, registry.ClientConfig{Registry: registry.NewStatic(a, b)})
				healthy(t, c, 2)
				setting := tp.WithAddMeta("k", "v")
				if idempotent {
					setting = tp.WithIdempotent()
				}
				done := make(chan *tp.PullCmd, 1)
				reply := ""
				c.GoPull("/wait", struct{}{}, &reply, done, setting)
				receive(t, first.waits)
				cut(first)
				rerr := receive(t, done).Rerror()
				switch {
				case idempotent && (rerr != nil || reply != second.addr):
					t.Errorf("got %q, %v; want the answer of the other", reply, rerr)
				case !idempotent && (rerr == nil || rerr.Code != tp.CodeConnClosed || !rerr.MaybeSent()):
					t.Errorf("got %q, %v; want that it is lost", reply, rerr)
				}
				_ = c.Close()
			}
		})
	}
}

// cut closes the connections of a server that has no CloseTimeout, which says no
// goodbye.
func cut(s *server) {
	s.peer.RangeSession(func(sess tp.Session) bool {
		_ = sess.Close()
		return true
	})
}

// An error of a handler, or a path that nobody serves, is not tried elsewhere; that a
// server has too much to do is.
func TestWhatIsTriedElsewhere(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{MaxSessionHandlers: 1}, func(i int, inst *registry.Instance) { inst.Priority = i })
	c := newClient(t, registry.ClientConfig{Registry: reg, Attempts: 2})
	healthy(t, c, 3)
	rerr := c.Pull("/fails", struct{}{}, nil).Rerror()
	if rerr == nil || rerr.Code != 1234 || rerr.Message != "from "+servers[0].addr {
		t.Errorf("got %v, want the error of the first", rerr)
	}
	if rerr := c.Pull("/nowhere", struct{}{}, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeNotFound {
		t.Errorf("got %v", rerr)
	}

	done := make(chan *tp.PullCmd, 2)
	for i := range 2 { // the second finds the first server busy
		c.GoPull("/wait", struct{}{}, new(string), done)
		receive(t, servers[i].waits)
	}
	// Two are busy, and it may be tried twice.
	if rerr := c.Pull("/who", struct{}{}, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeServiceUnavailable {
		t.Errorf("got %v, want 503", rerr)
	}
	servers[0].release()
	servers[1].release()
	for range 2 {
		receive(t, done)
	}
}

// After an attempt that may have been executed, no error says that it was not.
func TestMaybeSentOutlivesAttempts(t *testing.T) {
	first, second := start(t, "127.0.0.1:0", tp.PeerConfig{CloseTimeout: -1}), start(t, "127.0.0.1:0", tp.PeerConfig{MaxSessionHandlers: 1})
	a, b := first.instance(), second.instance()
	b.Priority = 1
	peer := quiet(t, tp.PeerConfig{})
	c := newClientOf(t, peer, registry.ClientConfig{Registry: registry.NewStatic(a, b)})
	healthy(t, c, 2)
	done := make(chan *tp.PullCmd, 2)
	c.GoPull("/wait", struct{}{}, nil, done, tp.WithIdempotent())
	receive(t, first.waits)
	var sess tp.Session
	peer.RangeSession(func(s tp.Session) bool {
		if s.RemoteIp() == second.addr {
			sess = s
		}
		return true
	})
	sess.GoPull("/wait", struct{}{}, nil, done) // that one is busy
	receive(t, second.waits)
	cut(first)
	rerr := receive(t, done).Rerror()
	if rerr == nil || rerr.Code != tp.CodeConnClosed || !rerr.MaybeSent() {
		t.Errorf("got %v, want that the first attempt is lost", rerr)
	}
	second.release()
	receive(t, done)
}

func TestPush(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 3)
	push := func(n int) {
		for range n {
			if rerr := c.Push("/note", "hello"); rerr != nil {
				t.Fatal(rerr)
			}
		}
	}
	push(9)
	for _, s := range servers {
		eventually(t, "each has three", func() bool { return s.noted() == 3 })
	}
	servers[0].stop()
	push(10)
	eventually(t, "the others have the rest", func() bool { return servers[1].noted()+servers[2].noted() == 16 })
	if rerr := c.Push("", "hello"); rerr == nil || rerr.Code != tp.CodeBadPacket {
		t.Errorf("got %v", rerr)
	}
}

// A member that the registry has no more gets no calls, and finishes those that it has.
func TestRemovedMemberIsDrained(t *testing.T) {
	servers, reg := three(t, tp.PeerConfig{}, nil)
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 3)
	done := make(chan *tp.PullCmd, 3)
	for range 3 {
		c.GoPull("/wait", struct{}{}, new(string), done)
	}
	receive(t, servers[2].waits)
	if err := reg.Set("test", servers[0].instance(), servers[1].instance()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is removed", func() bool { return len(c.Members()) == 2 })
	if got := who(t, c, 20); got[servers[2].addr] != 0 {
		t.Error("a member that is removed got calls")
	}
	servers[2].release()
	cmd := receive(t, done)
	if got, rerr := cmd.Result(); rerr != nil || *got.(*string) != servers[2].addr {
		t.Errorf("what was under way ended with %v, %v", got, rerr)
	}
	eventually(t, "its session is over", func() bool { return servers[2].peer.CountSession() == 0 })
	servers[0].release()
	servers[1].release()
	receive(t, done)
	receive(t, done)
}

// A server that is replaced on its address, as by a reboot, is dialled again at once,
// while the one before drains.
func TestGoingAway(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	c := newClient(t, registry.ClientConfig{Registry: registry.NewStatic(s.instance())})
	healthy(t, c, 1)
	done := make(chan *tp.PullCmd, 1)
	c.GoPull("/wait", struct{}{}, new(string), done)
	receive(t, s.waits)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = s.peer.Close() // waits for the handler
	}()
	eventually(t, "it listens no more", func() bool { return len(s.peer.Addrs()) == 0 })
	start(t, s.addr, tp.PeerConfig{})
	if got := who(t, c, 5); got[s.addr] != 5 {
		t.Errorf("got %v", got)
	}
	s.release()
	if rerr := receive(t, done).Rerror(); rerr != nil {
		t.Errorf("what was under way: %v", rerr)
	}
	receive(t, closed)
}

// Without a member a call waits, as long as it is told to.
func TestNoMember(t *testing.T) {
	reg := new(registry.Static)
	c := newClient(t, registry.ClientConfig{Registry: reg, WaitTimeout: -1})
	check := func(rerr *tp.Rerror, code int32, text string) {
		t.Helper()
		if rerr == nil || rerr.Code != code || rerr.MaybeSent() || !strings.Contains(rerr.Detail, text) {
			t.Errorf("got %v, want code %d, %q", rerr, code, text)
		}
	}
	none := "none of the 0 members of service test has a connection"
	check(c.Pull("/who", struct{}{}, nil).Rerror(), tp.CodeDialFailed, none)
	check(c.Push("/note", "a"), tp.CodeDialFailed, none)
	_, rerr := c.Session(t.Context())
	check(rerr, tp.CodeDialFailed, none)

	waiting := newClient(t, registry.ClientConfig{Registry: reg, PullTimeout: 10 * time.Millisecond})
	check(waiting.Pull("/who", struct{}{}, nil).Rerror(), tp.CodeTimeout, none)
	short := newClient(t, registry.ClientConfig{Registry: reg, WaitTimeout: time.Millisecond})
	check(short.Pull("/who", struct{}{}, nil).Rerror(), tp.CodeDialFailed, none)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(newClient(t, registry.ClientConfig{Registry: reg}).Pull("/who", struct{}{}, nil, tp.WithContext(ctx)).Rerror(), tp.CodeCanceled, none)

	// Who waits is served by a member that comes.
	late := newClient(t, registry.ClientConfig{Registry: reg, WaitTimeout: patience})
	done := make(chan *tp.PullCmd, 1)
	late.GoPull("/who", struct{}{}, new(string), done)
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	if _, err := reg.Register(t.Context(), s.instance(), 0); err != nil {
		t.Fatal(err)
	}
	if rerr := receive(t, done).Rerror(); rerr != nil {
		t.Error(rerr)
	}

	_ = late.Close()
	check(late.Pull("/who", struct{}{}, nil).Rerror(), tp.CodeConnClosed, "is closed")
	check(late.Push("/note", "a"), tp.CodeConnClosed, "is closed")
}

// A pull that hangs ends with the deadline of the whole.
func TestPullTimeout(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	c := newClient(t, registry.ClientConfig{Registry: registry.NewStatic(s.instance()), PullTimeout: 50 * time.Millisecond})
	healthy(t, c, 1)
	if rerr := c.Pull("/wait", struct{}{}, nil, tp.WithIdempotent()).Rerror(); rerr == nil || rerr.Code != tp.CodeTimeout {
		t.Errorf("got %v", rerr)
	}
	s.release()
}

// A done without room holds up neither the client nor its end.
func TestGoPullWithoutRoom(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	warned := make(chan error, 10)
	c := newClient(t, registry.ClientConfig{Registry: registry.NewStatic(s.instance()), OnError: func(err error) { warned <- err }})
	healthy(t, c, 1)
	done := make(chan *tp.PullCmd)
	c.GoPull("/who", struct{}{}, new(string), done)
	c.GoPull("/who", struct{}{}, new(string), done)
	receive(t, done)
	who(t, c, 3)
	_ = c.Close()
	if err := receive(t, warned); !strings.Contains(err.Error(), "nobody took it") {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil done is fine")
		}
	}()
	c.GoPull("/who", nil, nil, nil)
}

// What is wrong is told once, not at each attempt.
func TestErrorsAreTold(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	s.stop()
	told := make(chan error, 100)
	reg := &brokenRegistry{Static: registry.NewStatic(s.instance()), err: errors.New("it rains")}
	c := newClient(t, registry.ClientConfig{Registry: reg, OnError: func(err error) { told <- err }, WaitTimeout: -1})
	seen := receive(t, told).Error() + receive(t, told).Error()
	if !strings.Contains(seen, "it rains") || !strings.Contains(seen, "cannot dial "+s.addr) {
		t.Errorf("told %q", seen)
	}
	if rerr := c.Pull("/who", nil, nil).Rerror(); rerr == nil || !strings.Contains(rerr.Detail, "it rains") {
		t.Errorf("got %v", rerr)
	}
	eventually(t, "it was tried again", func() bool { return reg.watches.Load() > 2 })
	if len(told) != 0 {
		t.Errorf("told again: %v", <-told)
	}
}

// brokenRegistry finds its instances, and then something is wrong.
type brokenRegistry struct {
	*registry.Static
	err     error
	watches atomic.Int64
}

func (b *brokenRegistry) Watch(ctx context.Context, service string, changed func([]registry.Instance, error)) error {
	b.watches.Add(1)
	all, _ := b.Discover(ctx, service)
	changed(all, b.err)
	return b.err
}

func TestClientConfig(t *testing.T) {
	peer := quiet(t, tp.PeerConfig{})
	reg := new(registry.Static)
	for field, cfg := range map[string]registry.ClientConfig{
		"Registry": {Service: "s"},
		"Service":  {Registry: reg},
		"Choice":   {Registry: reg, Service: "s", Choice: "best"},
		"Attempts": {Registry: reg, Service: "s", Attempts: -1},
	} {
		if c, err := registry.NewClient(peer, cfg); c != nil || err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := registry.NewClient(nil, registry.ClientConfig{Registry: reg, Service: "s"}); err == nil {
		t.Error("a nil peer is fine")
	}
}

// hanging is a Transport whose Dial hangs until it is called off.
type hanging struct{ begun, calledOff chan string }

func (hanging) Listen(string, *tls.Config) (net.Listener, error) { return nil, errors.ErrUnsupported }

func (h hanging) Dial(ctx context.Context, addr string, _ *tls.Config) (net.Conn, error) {
	h.begun <- addr
	<-ctx.Done()
	h.calledOff <- addr
	return nil, ctx.Err()
}

var schemes atomic.Int32 // each run of a test registers its own

// A dial that is under way is called off when the registry has the address no more, and
// when the client is closed; neither is told as an error.
func TestDialIsCalledOff(t *testing.T) {
	h := hanging{make(chan string, 9), make(chan string, 9)}
	scheme := fmt.Sprintf("hanging%d", schemes.Add(1))
	transport.Reg(scheme, h)
	reg := registry.NewStatic(registry.Instance{Service: "test", Addr: scheme + "://a"})
	told := make(chan error, 9)
	peer := quiet(t, tp.PeerConfig{DefaultDialTimeout: time.Hour})
	c := newClientOf(t, peer, registry.ClientConfig{Registry: reg, OnError: func(err error) { told <- err }})
	a := receive(t, h.begun)
	done := make(chan *tp.PullCmd, 1)
	c.GoPull("/who", struct{}{}, nil, done)
	if err := reg.Set("test", registry.Instance{Addr: scheme + "://b"}); err != nil {
		t.Fatal(err)
	}
	if off := receive(t, h.calledOff); off != a {
		t.Errorf("the dial of %s was called off", off)
	}
	b := receive(t, h.begun)
	if m := c.Members(); len(m) != 1 || m[0].Addr != scheme+"://b" || m[0].Healthy {
		t.Errorf("the members are %+v", m)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if off := receive(t, h.calledOff); off != b || a == b {
		t.Errorf("the dial of %s was called off", off)
	}
	if rerr := receive(t, done).Rerror(); rerr == nil || rerr.Code != tp.CodeConnClosed || rerr.MaybeSent() {
		t.Errorf("the pull that waited got %v", rerr)
	}
	if len(told) != 0 {
		t.Errorf("told: %v", <-told)
	}
}

// Addresses that come and go leave nothing behind.
func TestChurn(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	reg := registry.NewStatic(s.instance())
	peer := quiet(t, tp.PeerConfig{})
	c := newClientOf(t, peer, registry.ClientConfig{Registry: reg, Choice: registry.Weighted})
	healthy(t, c, 1)
	before := runtime.NumGoroutine()
	for i := range 200 {
		gone := registry.Instance{Addr: fmt.Sprintf("mem://nobody-%d", i)}
		if err := reg.Set("test", s.instance(), gone); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is a member", func() bool {
			return len(c.Members()) == 2 && slices.ContainsFunc(c.Members(), func(m registry.Member) bool { return m.Addr == gone.Addr })
		})
		if got := who(t, c, 1); got[s.addr] != 1 {
			t.Errorf("got %v", got)
		}
	}
	eventually(t, "their goroutines have ended", func() bool { return runtime.NumGoroutine() < before+20 })
	if n := peer.CountSession(); n != 1 {
		t.Errorf("there are %d sessions", n)
	}
}
