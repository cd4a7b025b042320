package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
	"github.com/henrylee2cn/teleport/plugin/registry/etcd"
	"github.com/henrylee2cn/teleport/tptest/relay"
)

// watched is what a Watch has told.
type watched struct {
	mu   sync.Mutex
	ids  string
	errs []string
	news int
}

// watch watches the service "test" until the test's end.
func watch(t *testing.T, r *etcd.Registry) *watched {
	t.Helper()
	w := new(watched)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.Watch(ctx, "test", func(all []registry.Instance, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ids = idsOf(all)
			w.news++
			if err != nil {
				w.errs = append(w.errs, err.Error())
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
	})
	return w
}

func idsOf(all []registry.Instance) string {
	var ids []string
	for _, i := range all {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}

// await waits until the watch has told of just those.
func (w *watched) await(t *testing.T, ids string) {
	t.Helper()
	eventually(t, "the watch tells of "+ids, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.news > 0 && w.ids == ids
	})
}

func register(t *testing.T, r *etcd.Registry, id string) registry.Lease {
	t.Helper()
	l, err := r.Register(t.Context(), registry.Instance{Service: "test", ID: id, Addr: "127.0.0.1:1"}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRegisterDiscoverWatch(t *testing.T) {
	s := newEtcd(t)
	r := s.registry()
	w := watch(t, s.registry())
	w.await(t, "")
	full := registry.Instance{
		Service: "test", ID: "unix:///run/a b", Addr: "unix:///run/a b", Weight: 3, Priority: 1,
		Routes: []string{"pull /a", "push /b"}, Meta: map[string]string{"zone": "x/y"},
	}
	first, err := r.Register(t.Context(), full, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	register(t, r, "z")
	w.await(t, "unix:///run/a b z")
	if _, err := r.Register(t.Context(), registry.Instance{Service: "test2", Addr: "a"}, time.Second); err != nil {
		t.Fatal(err)
	}
	all, err := r.Discover(t.Context(), "test")
	if err != nil || len(all) != 2 || !all[0].Equal(full) {
		t.Errorf("Discover: %+v, %v", all, err)
	}

	// One that takes its place stays when the first is withdrawn.
	full.Weight = 7
	second, err := r.Register(t.Context(), full, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := first.Withdraw(t.Context()); err != nil {
			t.Error(err)
		}
	}
	receive(t, first.Done())
	if all, err = r.Discover(t.Context(), "test"); err != nil || len(all) != 2 || all[0].Weight != 7 {
		t.Errorf("Discover: %+v, %v", all, err)
	}
	if err := second.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	w.await(t, "z")
	if all, err := r.Discover(t.Context(), "nothing"); err != nil || len(all) != 0 {
		t.Errorf("of no service: %v, %v", all, err)
	}

	for _, bad := range []registry.Instance{{Service: "a/b", Addr: "x"}, {Service: "test"}} {
		if _, err := r.Register(t.Context(), bad, time.Second); err == nil {
			t.Errorf("registered %+v", bad)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Register(over, full, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("Register: %v", err)
	}
	if _, err := r.Discover(over, "test"); !errors.Is(err, context.Canceled) {
		t.Errorf("Discover: %v", err)
	}
	if _, err := etcd.New(etcd.Config{}); err == nil || !strings.Contains(err.Error(), "Config.Client") {
		t.Errorf("New: %v", err)
	}
}

// A lease is kept alive much longer than it is, and runs out with its program.
func TestLeaseIsKeptAndRunsOut(t *testing.T) {
	s := newEtcd(t)
	w := watch(t, s.registry())
	dying := s.client()
	r, err := etcd.New(etcd.Config{Client: dying})
	if err != nil {
		t.Fatal(err)
	}
	lost := register(t, r, "a")
	kept := register(t, s.registry(), "b")
	w.await(t, "a b")
	if err := dying.Close(); err != nil { // as when the program dies, nothing is withdrawn
		t.Fatal(err)
	}
	receive(t, lost.Done())
	w.await(t, "b") // which outlives it, with the same ttl
	select {
	case <-kept.Done():
		t.Error("the lease is lost")
	default:
	}
}

// A lease that is revoked behind its back is lost.
func TestLeaseLoss(t *testing.T) {
	s := newEtcd(t)
	l := register(t, s.registry(), "a")
	c := s.client()
	leases, err := c.Leases(t.Context())
	if err != nil || len(leases.Leases) != 1 {
		t.Fatal(leases, err)
	}
	if _, err := c.Revoke(t.Context(), leases.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	receive(t, l.Done())
	if err := l.Withdraw(t.Context()); err != nil {
		t.Errorf("Withdraw of one that is lost: %v", err)
	}
}

// Entries that are none are told, and hold up no others.
func TestMalformedEntries(t *testing.T) {
	s := newEtcd(t)
	r, c := s.registry(), s.client()
	w := watch(t, s.registry())
	register(t, r, "a")
	for key, value := range map[string]string{
		"junk": "{", "empty": "", "array": "[]", "other": `{"service":"other","addr":"a"}`, "bare": `{"service":"test"}`,
	} {
		if _, err := c.Put(t.Context(), "/teleport/test/"+key, value); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the watch tells of "+key, func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.errs) > 0 && strings.Contains(w.errs[len(w.errs)-1], "/teleport/test/"+key)
		})
	}
	w.await(t, "a")
	if all, err := r.Discover(t.Context(), "test"); err != nil || idsOf(all) != "a" {
		t.Errorf("Discover: %v, %v", all, err)
	}
	// One that becomes readable counts.
	if _, err := c.Put(t.Context(), "/teleport/test/junk", `{"service":"test","addr":"b"}`); err != nil {
		t.Fatal(err)
	}
	w.await(t, "a b")
}

// A watch that is cut off while etcd compacts what it missed reads all again.
func TestWatchAfterCompaction(t *testing.T) {
	s := newEtcd(t)
	front, err := relay.New(s.addr.Host, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	s.endpoints = []string{front.Addr()}
	behind := s.registry()
	s.endpoints = []string{s.addr.Host}
	r, c := s.registry(), s.client()
	w := watch(t, behind)
	register(t, r, "a")
	w.await(t, "a")

	unused := freeAddr(t)
	front.SetBackend(unused.Host) // nobody listens there
	front.Sever()
	lease := register(t, r, "b")
	register(t, r, "c")
	if err := lease.Withdraw(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compact(t.Context(), got.Header.Revision); err != nil {
		t.Fatal(err)
	}
	front.SetBackend(s.addr.Host)
	w.await(t, "a c")
	register(t, r, "d") // it follows again
	w.await(t, "a c d")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.errs) > 0 {
		t.Errorf("that was no error: %v", w.errs)
	}
}

// A server stays known, and a client served, when etcd restarts, with its data and
// without.
func TestEtcdRestarts(t *testing.T) {
	s := newEtcd(t)
	reg := func() *etcd.Registry {
		r, err := etcd.New(etcd.Config{Client: s.client(), RetryPause: 20 * time.Millisecond, Resync: 300 * time.Millisecond, Timeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	watching := watch(t, reg())
	addr := serve(t, reg())
	client, err := registry.NewClient(quiet(t), registry.ClientConfig{Registry: reg(), Service: "test", OnError: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	check := func(when string) {
		t.Helper()
		got, rerr := tp.Pull[string](client, "/greet", "Ann")
		if rerr != nil || got != "Hello, Ann!" {
			t.Errorf("%s: got %q, %v", when, got, rerr)
		}
	}
	asking := reg()
	known := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		all, err := asking.Discover(ctx, "test")
		return err == nil && slices.ContainsFunc(all, func(i registry.Instance) bool { return i.Addr == addr })
	}
	check("at first")
	for _, lost := range []bool{false, true} {
		watching.mu.Lock()
		told := len(watching.errs)
		watching.mu.Unlock()
		s.stop()
		eventually(t, "the watch tells that etcd is down", func() bool {
			watching.mu.Lock()
			defer watching.mu.Unlock()
			if watching.ids == "" {
				t.Fatal("the watch forgets what it knew")
			}
			return len(watching.errs) > told
		})
		check("while etcd is down")
		if lost {
			s.dir = t.TempDir()
		}
		s.start()
		check("when it is back")
		eventually(t, fmt.Sprintf("it is known again, data lost: %v", lost), known)
		second := serve(t, reg())
		eventually(t, fmt.Sprintf("the client learns of others, data lost: %v", lost), func() bool {
			for _, m := range client.Members() {
				if m.Addr == second && m.Healthy {
					return true
				}
			}
			return false
		})
	}
}

// serve starts a server that announces itself as service "test".
func serve(t *testing.T, reg registry.Registry) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := quiet(t, registry.Announce(registry.AnnounceConfig{
		Registry: reg, Service: "test", TTL: time.Second, Timeout: time.Second, OnError: func(error) {},
	}))
	tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
		return "Hello, " + *name + "!", nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeListener(lis)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return lis.Addr().String()
}
