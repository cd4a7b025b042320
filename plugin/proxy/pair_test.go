package proxy_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/proxy"
	"github.com/henrylee2cn/teleport/tptest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// logBook is where a peer or proxy of a test logs to.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func logger(t testing.TB, b *logBook) tp.Logger {
	t.Helper()
	log, err := tp.NewLogger(b, "TRACE")
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func newPeer(t testing.TB, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	cfg.Logger = logger(t, new(logBook))
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func dial(t testing.TB, p *tp.Peer, addr string) tp.Session {
	t.Helper()
	sess, rerr := p.Dial(addr)
	if rerr != nil {
		t.Fatalf("Dial: %v", rerr)
	}
	return sess
}

// world is a client, a proxy and a backend.
type world struct {
	proxy       *proxy.Proxy
	front, back *tp.Peer
	addr        string     // of the front
	toBackend   tp.Session // of the back
	backend     *tp.Peer
	log         *logBook // of the proxy
}

// newWorld makes a backend that is reached through a proxy, by one session for all
// clients.
func newWorld(t testing.TB, cfg proxy.Config) *world {
	t.Helper()
	w := &world{backend: newPeer(t, tp.PeerConfig{}), log: new(logBook)}
	w.proxyTo(t, tptest.Serve(t, w.backend), cfg)
	return w
}

// proxyTo puts a proxy before what listens on addr.
func (w *world) proxyTo(t testing.TB, addr string, cfg proxy.Config, plugins ...tp.Plugin) {
	t.Helper()
	w.front, w.back = newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{}, plugins...)
	cfg.Logger = logger(t, w.log)
	if cfg.Backend == nil {
		cfg.Backend = func(tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) { return w.toBackend, nil }
	}
	w.proxy = proxy.New(cfg)
	w.proxy.Front(w.front)
	w.proxy.Back(w.back)
	w.toBackend = dial(t, w.back, addr)
	w.addr = tptest.Serve(t, w.front)
}

func (w *world) client(t testing.TB) tp.Session {
	return dial(t, newPeer(t, tp.PeerConfig{}), w.addr)
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing came in %v", patience)
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func wantRerror(t testing.TB, rerr *tp.Rerror, code int32, text string, maybe bool) {
	t.Helper()
	if rerr == nil || rerr.Code != code || !strings.Contains(rerr.Detail, text) {
		t.Fatalf("got %v, want code %d with %q", rerr, code, text)
	}
	if rerr.MaybeSent() != maybe {
		t.Fatalf("MaybeSent of %v is %v", rerr, !maybe)
	}
}

func wantPanic(t testing.TB, text string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r, _ := recover().(string); !strings.Contains(r, text) {
			t.Fatalf("panic %q, want %q in it", r, text)
		}
	}()
	fn()
}
