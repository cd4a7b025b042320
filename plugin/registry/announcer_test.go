package registry_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
)

// known returns what the registry has of the service "test".
func known(t testing.TB, reg registry.Registry) []registry.Instance {
	t.Helper()
	all, err := reg.Discover(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func addrsOf(all []registry.Instance) string {
	var addrs []string
	for _, i := range all {
		addrs = append(addrs, i.Addr)
	}
	slices.Sort(addrs)
	return strings.Join(addrs, " ")
}

// awaitKnown waits until the registry has just those addresses.
func awaitKnown(t testing.TB, reg registry.Registry, addrs ...string) []registry.Instance {
	t.Helper()
	slices.Sort(addrs)
	var all []registry.Instance
	eventually(t, "the registry has "+strings.Join(addrs, " "), func() bool {
		all = known(t, reg)
		return addrsOf(all) == strings.Join(addrs, " ")
	})
	return all
}

func TestAnnounce(t *testing.T) {
	reg := new(registry.Static)
	a := registry.Announce(registry.AnnounceConfig{
		Registry: reg, Service: "test", Weight: 3, Priority: 2, Meta: map[string]string{"zone": "a"},
	})
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, a)
	got := awaitKnown(t, reg, s.addr)[0]
	if got.Weight != 3 || got.Priority != 2 || got.Meta["zone"] != "a" || !strings.HasSuffix(got.ID, "-"+s.addr) {
		t.Errorf("announced %+v", got)
	}
	if want := "pull /fails,pull /wait,pull /who,push /note"; strings.Join(got.Routes, ",") != want {
		t.Errorf("routes %q, want %s", got.Routes, want)
	}

	// A route that comes later, and an address.
	s.peer.PullRouter.Group("any").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
	s.peer.PushRouter.SetUnknown(func(tp.UnknownPushCtx) {})
	eventually(t, "the routes are announced", func() bool {
		routes := known(t, reg)[0].Routes
		return slices.Contains(routes, "pull /any/*") && slices.Contains(routes, "push /*")
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.peer.ServeListener(lis)
	}()
	all := awaitKnown(t, reg, s.addr, lis.Addr().String())
	if all[0].ID == all[1].ID || all[0].ID[:16] != all[1].ID[:16] {
		t.Errorf("ids %q and %q", all[0].ID, all[1].ID)
	}

	// What the registry loses is announced again.
	for range 3 {
		if err := reg.Set("test"); err != nil {
			t.Fatal(err)
		}
		awaitKnown(t, reg, s.addr, lis.Addr().String())
	}
	s.stop()
	awaitKnown(t, reg)
	receive(t, ended)
}

// It withdraws while it still serves, and before it drains.
func TestWithdrawBeforeDrain(t *testing.T) {
	reg := new(registry.Static)
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test"}))
	other := start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test"}))
	awaitKnown(t, reg, s.addr, other.addr)
	c := newClient(t, registry.ClientConfig{Registry: reg})
	healthy(t, c, 2)
	done := make(chan *tp.PullCmd, 2)
	c.GoPull("/wait", struct{}{}, new(string), done)
	c.GoPull("/wait", struct{}{}, new(string), done)
	receive(t, s.waits)
	other.release()
	receive(t, done)

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = s.peer.Close()
	}()
	awaitKnown(t, reg, other.addr) // though a handler runs
	eventually(t, "the client knows", func() bool { return len(c.Members()) == 1 })
	if got := who(t, c, 10); got[other.addr] != 10 {
		t.Errorf("got %v", got)
	}
	s.release()
	if rerr := receive(t, done).Rerror(); rerr != nil {
		t.Errorf("what was under way: %v", rerr)
	}
	receive(t, closed)
}

// faultyRegistry is a registry that fails when it is told to.
type faultyRegistry struct {
	*registry.Static
	refuse atomic.Bool
	hang   atomic.Bool
}

func (f *faultyRegistry) Register(ctx context.Context, i registry.Instance, ttl time.Duration) (registry.Lease, error) {
	if f.refuse.Load() {
		return nil, errors.New("out of order")
	}
	lease, err := f.Static.Register(ctx, i, ttl)
	return faultyLease{lease, f}, err
}

type faultyLease struct {
	registry.Lease
	registry *faultyRegistry
}

func (l faultyLease) Withdraw(ctx context.Context) error {
	if l.registry.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return l.Lease.Withdraw(ctx)
}

// A registry that is out of order keeps nobody from serving, nor from closing.
func TestAnnounceThroughOutage(t *testing.T) {
	reg := &faultyRegistry{Static: new(registry.Static)}
	reg.refuse.Store(true)
	told := make(chan error, 100)
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{
		Registry: reg, Service: "test", OnError: func(err error) { told <- err }, Timeout: 20 * time.Millisecond,
	}))
	if err := receive(t, told); !strings.Contains(err.Error(), "out of order") || !strings.Contains(err.Error(), s.addr) {
		t.Error(err)
	}
	c := newClient(t, registry.ClientConfig{Registry: registry.NewStatic(s.instance())})
	if got := who(t, c, 2); got[s.addr] != 2 {
		t.Errorf("got %v", got)
	}
	reg.refuse.Store(false)
	awaitKnown(t, reg, s.addr)
	reg.hang.Store(true)
	if err := s.peer.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnnouncedAddrs(t *testing.T) {
	reg := new(registry.Static)
	start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{
		Registry: reg, Service: "test", Addrs: []string{"a.example.org:1", "tls://b.example.org:2"},
	}))
	awaitKnown(t, reg, "a.example.org:1", "tls://b.example.org:2")

	// An unspecified host is no address that others can dial.
	reg = new(registry.Static)
	s := start(t, "0.0.0.0:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test", Host: "node7"}))
	_, port, _ := net.SplitHostPort(s.addr)
	awaitKnown(t, reg, "node7:"+port)

	reg = new(registry.Static)
	told := make(chan error, 100)
	start(t, "[::]:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test", OnError: func(err error) { told <- err }}))
	eventually(t, "it is announced, or has no address", func() bool {
		select {
		case err := <-told:
			return strings.Contains(err.Error(), "AnnounceConfig.Host")
		default:
		}
		all := known(t, reg)
		if len(all) == 0 {
			return false
		}
		host, _, err := net.SplitHostPort(all[0].Addr)
		if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() || ip.IsLoopback() {
			t.Errorf("announced %s", all[0].Addr)
		}
		return true
	})

	// A unix socket.
	reg = new(registry.Static)
	path := t.TempDir() + "/s"
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	peer := quiet(t, tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test"}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = peer.ServeListener(lis)
	}()
	awaitKnown(t, reg, "unix://"+path)
	_ = peer.Close()
	receive(t, ended)
}

func TestAnnouncerBelongsToOnePeer(t *testing.T) {
	reg := new(registry.Static)
	a := registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test"})
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, a)
	awaitKnown(t, reg, s.addr)
	other := quiet(t, tp.PeerConfig{}, a)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.ServeListener(lis); err == nil || !strings.Contains(err.Error(), "belongs to one peer") {
		t.Errorf("got %v", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	awaitKnown(t, reg, s.addr) // that is not withdrawn with the other
}

func TestAnnounceConfig(t *testing.T) {
	for text, cfg := range map[string]registry.AnnounceConfig{
		"Registry": {Service: "s"},
		"Service":  {Registry: new(registry.Static)},
		"Weight":   {Registry: new(registry.Static), Service: "s", Weight: -1},
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, text) {
					t.Errorf("%s: panic %q", text, got)
				}
			}()
			registry.Announce(cfg)
		}()
	}
	// A peer that never listens.
	if err := quiet(t, tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: new(registry.Static), Service: "s"})).Close(); err != nil {
		t.Error(err)
	}
}

// losingRegistry loses each lease at once.
type losingRegistry struct {
	*registry.Static
	registers atomic.Int64
}

func (r *losingRegistry) Register(ctx context.Context, i registry.Instance, ttl time.Duration) (registry.Lease, error) {
	r.registers.Add(1)
	lease, err := r.Static.Register(ctx, i, ttl)
	if err == nil {
		err = lease.Withdraw(ctx)
	}
	return lease, err
}

// A registry that loses each lease at once is not asked without a pause.
func TestAnnouncerPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &losingRegistry{Static: new(registry.Static)}
		peer := quiet(t, tp.PeerConfig{ListenAddrs: []string{"mem://" + t.Name()}}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test"}))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = peer.Listen()
		}()
		time.Sleep(10 * time.Second)
		if n := reg.registers.Load(); n < 2 || n > 51 {
			t.Errorf("in 10 s it was asked %d times", n)
		}
		_ = peer.Close()
		<-ended
	})
}

// stuckRegistry is a Registry of which one lease cannot be withdrawn at first.
type stuckRegistry struct {
	*registry.Static
	addr  string
	begun chan struct{} // the withdrawal that hangs
	tries atomic.Int64
}

func (r *stuckRegistry) Register(ctx context.Context, i registry.Instance, ttl time.Duration) (registry.Lease, error) {
	lease, err := r.Static.Register(ctx, i, ttl)
	if err == nil && i.Addr == r.addr {
		lease = stuckLease{lease, r}
	}
	return lease, err
}

type stuckLease struct {
	registry.Lease
	registry *stuckRegistry
}

func (l stuckLease) Withdraw(ctx context.Context) error {
	if l.registry.tries.Add(1) == 1 {
		close(l.registry.begun)
		<-ctx.Done()
		return ctx.Err()
	}
	return l.Lease.Withdraw(ctx)
}

// What was just being withdrawn when the peer shuts down is withdrawn by that.
func TestShutdownDuringWithdraw(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reg := &stuckRegistry{Static: new(registry.Static), addr: lis.Addr().String(), begun: make(chan struct{})}
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test", Timeout: patience}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.peer.ServeListener(lis)
	}()
	awaitKnown(t, reg, s.addr, reg.addr)
	_ = lis.Close()
	receive(t, ended)
	tp.RegPush(s.peer.PushRouter, "other", func(tp.PushCtx, *int) {}) // it looks again
	receive(t, reg.begun)
	if err := s.peer.Close(); err != nil {
		t.Error(err)
	}
	if all := known(t, reg); len(all) != 0 {
		t.Errorf("these are still known: %v", all)
	}
}
