package registry_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// quiet returns a peer that logs to nowhere and is closed at the test's end.
func quiet(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	logger, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = logger
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// server is a server of the service "test".
type server struct {
	peer  *tp.Peer
	addr  string
	ended chan struct{}

	mu     sync.Mutex
	pushes []string
	hold   chan struct{} // closed to let the handlers of /wait return
	waits  chan struct{} // one for each that runs
}

// start starts a server at an address; "127.0.0.1:0" is any.
func start(t testing.TB, addr string, cfg tp.PeerConfig, plugins ...tp.Plugin) *server {
	t.Helper()
	var lis net.Listener
	eventually(t, "the address is free", func() bool {
		var err error
		lis, err = net.Listen("tcp", addr)
		return err == nil
	})
	s := &server{peer: quiet(t, cfg, plugins...), addr: lis.Addr().String(), ended: make(chan struct{}), hold: make(chan struct{}), waits: make(chan struct{}, 1000)}
	tp.RegPull(s.peer.PullRouter, "who", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) { return s.addr, nil })
	tp.RegPull(s.peer.PullRouter, "wait", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		s.waits <- struct{}{}
		<-s.hold
		return s.addr, nil
	})
	tp.RegPull(s.peer.PullRouter, "fails", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		return "", tp.NewRerror(1234, "from "+s.addr)
	})
	tp.RegPush(s.peer.PushRouter, "note", func(_ tp.PushCtx, text *string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pushes = append(s.pushes, *text)
	})
	go func() {
		defer close(s.ended)
		_ = s.peer.ServeListener(lis)
	}()
	t.Cleanup(func() { <-s.ended })
	t.Cleanup(s.stop)
	return s
}

// release lets the handlers of /wait return.
func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.hold:
	default:
		close(s.hold)
	}
}

func (s *server) stop() {
	s.release()
	_ = s.peer.Close()
}

// kill cuts all off, as the death of the process does.
func (s *server) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.peer.Shutdown(ctx)
}

func (s *server) instance() registry.Instance {
	return registry.Instance{Service: "test", Addr: s.addr}
}

func (s *server) noted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pushes)
}

// newClient returns a client of the service "test", closed at the test's end.
func newClient(t testing.TB, cfg registry.ClientConfig) *registry.Client {
	t.Helper()
	return newClientOf(t, quiet(t, tp.PeerConfig{}), cfg)
}

func newClientOf(t testing.TB, peer *tp.Peer, cfg registry.ClientConfig) *registry.Client {
	t.Helper()
	cfg.Service = "test"
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	c, err := registry.NewClient(peer, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// healthy waits until so many members, and no more, have a session.
func healthy(t testing.TB, c *registry.Client, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d members are healthy", n), func() bool {
		have := 0
		for _, m := range c.Members() {
			if m.Healthy {
				have++
			}
		}
		return have == n
	})
}

// who asks n times who answers, and returns how often each did.
func who(t testing.TB, c *registry.Client, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		addr, rerr := tp.Pull[string](c, "/who", struct{}{})
		if rerr != nil {
			t.Fatal(rerr)
		}
		count[addr]++
	}
	return count
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func receive[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("nothing came in %v", patience)
	}
	return v
}
