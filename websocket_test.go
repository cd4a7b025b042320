package tp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// serveWebSocket makes the peer, one of whose ListenAddrs is of the scheme, listen, and
// returns the address.
func serveWebSocket(t testing.TB, p *tp.Peer, scheme string) string {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.Listen() }()
	t.Cleanup(func() {
		_ = p.Close()
		if err := receive(t, ended); !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("Listen returned %v", err)
		}
	})
	eventually(t, "the peer listens", func() bool { return len(p.Addrs()) > 0 })
	return scheme + "://" + p.Addrs()[0].String() + "/tp"
}

// serveListener makes the peer serve the listener until the test's end.
func serveListener(t testing.TB, p *tp.Peer, lis net.Listener) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.ServeListener(lis)
	}()
	t.Cleanup(func() {
		_ = p.Close()
		<-ended
	})
}

// proxyTo returns the address of a reverse proxy before a WebSocket address. It
// says that all come from the IP address client.
func proxyTo(t testing.TB, addr, client string) string {
	t.Helper()
	target, err := url.Parse("http" + strings.TrimPrefix(addr, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Header["X-Forwarded-For"] = []string{client}
	}})
	t.Cleanup(proxy.Close)
	return "ws" + strings.TrimPrefix(proxy.URL, "http") + target.Path
}

// A session over a WebSocket is one like any other.
func TestWebSocketSession(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	for _, way := range []string{"ws", "wss", "proxy"} {
		t.Run(way, func(t *testing.T) {
			scheme := "ws"
			if way == "wss" {
				scheme = way
			}
			log := new(logBook)
			// The peers have TLS in any case, which counts for wss only.
			srv := newPeer(t, tp.PeerConfig{
				Logger: log, TlsCertFile: certFile, TlsKeyFile: keyFile,
				ListenAddrs: []string{scheme + "://127.0.0.1:0/tp"},
			})
			cli := newPeer(t, tp.PeerConfig{Logger: log})
			cli.SetTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
			echo(srv)
			started, gone := make(chan struct{}), make(chan struct{})
			tp.RegPull(srv.PullRouter, "hang", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
				close(started)
				<-ctx.Context().Done()
				close(gone)
				return 0, nil
			})
			pushed := make(chan int, 100)
			for _, p := range []*tp.Peer{srv, cli} {
				tp.RegPush(p.PushRouter, "note", func(_ tp.PushCtx, n *int) { pushed <- *n })
			}
			addr := serveWebSocket(t, srv, scheme)
			if way == "proxy" {
				addr = proxyTo(t, addr, "192.0.2.7")
			}
			sess := dial(t, cli, addr)

			for _, size := range []int{0, 1, 1 << 20, 10 << 20} {
				body := strings.Repeat("x", size)
				if got, rerr := tp.Pull[string](sess, "/echo", body); rerr != nil || got != body {
					t.Errorf("got %d bytes of %d, %v", len(got), size, rerr)
				}
			}
			wantCode(t, sess.Pull("/nowhere", nil, nil).Rerror(), tp.CodeNotFound, "/nowhere")
			var callers sync.WaitGroup
			for i := range 500 {
				callers.Go(func() {
					want := fmt.Sprint(i)
					if got, rerr := tp.Pull[string](sess, "/echo", want); rerr != nil || got != want {
						t.Errorf("got %q, %v, want %q", got, rerr, want)
					}
				})
			}
			callers.Wait()
			back := only(t, srv)
			for i := range 50 {
				noRerror(t, sess.Push("/note", i))
				noRerror(t, back.Push("/note", i))
			}
			for range 100 {
				receive(t, pushed)
			}
			ctx, cancel := context.WithCancel(context.Background())
			failed := make(chan *tp.Rerror, 1)
			go func() { failed <- sess.Pull("/hang", 0, nil, tp.WithContext(ctx)).Rerror() }()
			receive(t, started)
			cancel()
			wantCode(t, receive(t, failed), tp.CodeCanceled, "")
			receive(t, gone)

			if err := sess.Close(); err != nil {
				t.Error(err)
			}
			receive(t, sess.CloseNotify())
			receive(t, back.CloseNotify())
			if log.contains("WARN") || log.contains("ERROR") {
				t.Errorf("the log is not clean:\n%s", log)
			}
		})
	}
}

// A server that shuts down answers what is under way, and its sessions end in order,
// from whichever side.
func TestWebSocketDrain(t *testing.T) {
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log, ListenAddrs: []string{"ws://127.0.0.1:0/tp"}})
	cli := newPeer(t, tp.PeerConfig{Logger: log})
	started, finish := make(chan struct{}, 20), make(chan struct{})
	tp.RegPull(srv.PullRouter, "slow", func(_ tp.PullCtx, n *int) (int, *tp.Rerror) {
		started <- struct{}{}
		<-finish
		return *n, nil
	})
	addr := serveWebSocket(t, srv, "ws")
	var sessions []tp.Session
	var callers sync.WaitGroup
	for i := range 20 {
		sess := dial(t, cli, addr)
		sessions = append(sessions, sess)
		callers.Go(func() {
			if n, rerr := tp.Pull[int](sess, "/slow", i); rerr != nil || n != i {
				t.Errorf("got %d, %v, want %d", n, rerr, i)
			}
		})
	}
	for range 20 {
		receive(t, started)
	}
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	for eventuallyClosed := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := websocket.Dial(context.Background(), addr, nil); err != nil {
			break
		}
		if time.Now().After(eventuallyClosed) {
			t.Fatal("the server is open")
		}
	}
	close(finish)
	callers.Wait()
	if err := receive(t, closed); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, sess := range sessions {
		receive(t, sess.CloseNotify())
	}
	if log.contains("WARN") || log.contains("ERROR") {
		t.Errorf("the log is not clean:\n%s", log)
	}
}

// With a trusted proxy RemoteIp is the client's, and so is what MaxOpeningPerIP counts.
func TestWebSocketBehindProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		hold := make(chan struct{})
		entered := make(chan string, 10)
		gate := &gatePlugin{entered: entered, hold: hold}
		srv := newPeer(t, tp.PeerConfig{MaxOpeningPerIP: 1, AcceptTimeout: -1}, gate)
		config := new(websocket.Config)
		if trusted {
			config.TrustedProxies = []string{"127.0.0.0/8"}
		}
		lis, err := websocket.NewListener(config)
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewServer(lis)
		serveListener(t, srv, lis)
		addr := "ws" + strings.TrimPrefix(front.URL, "http")
		ann, bob := proxyTo(t, addr, "192.0.2.1"), proxyTo(t, addr, "192.0.2.2")
		cli := newPeer(t, tp.PeerConfig{})
		dial(t, cli, ann)
		first := receive(t, entered)
		want := map[bool]string{true: "192.0.2.1:", false: "127.0.0.1:"}[trusted]
		if !strings.HasPrefix(first, want) {
			t.Errorf("RemoteIp is %s, want %s", first, want)
		}
		time.Sleep(300 * time.Millisecond) // from then on it counts
		receive(t, dial(t, cli, ann).CloseNotify())
		other := dial(t, cli, bob)
		if trusted {
			if second := receive(t, entered); !strings.HasPrefix(second, "192.0.2.2:") {
				t.Errorf("RemoteIp is %s", second)
			}
		} else {
			receive(t, other.CloseNotify()) // all have the address of the proxy
		}
		close(hold)
		front.Close()
	}
}

// gatePlugin tells who comes in, and holds them.
type gatePlugin struct {
	entered chan string
	hold    chan struct{}
}

var _ tp.PostAcceptPlugin = new(gatePlugin)

func (*gatePlugin) Name() string { return "gate" }

func (g *gatePlugin) PostAccept(sess tp.PreSession) *tp.Rerror {
	g.entered <- sess.RemoteIp()
	<-g.hold
	return nil
}

// A page of another origin gets no session, whatever cookies its browser has.
func TestWebSocketForeignOrigin(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"ws://127.0.0.1:0/tp"}})
	addr := serveWebSocket(t, srv, "ws")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := websocket.Dial(ctx, addr, &websocket.Config{Header: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("Dial returned %v", err)
	}
	if n := srv.CountSession(); n != 0 {
		t.Errorf("the peer has %d sessions", n)
	}
}

// A session with redial finds its server again, and its id and Public stay.
func TestWebSocketRedial(t *testing.T) {
	below, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := below.Addr().String()
	cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
	var sess tp.Session
	for i := range 2 {
		srv := newPeer(t, tp.PeerConfig{})
		echo(srv)
		if i > 0 {
			if below, err = net.Listen("tcp", addr); err != nil {
				t.Fatal(err)
			}
		}
		lis, err := websocket.Serve(below, nil)
		if err != nil {
			t.Fatal(err)
		}
		serveListener(t, srv, lis)
		if sess == nil {
			sess = dial(t, cli, "ws://"+addr)
			sess.Public().Store("who", "Ann")
		}
		got, rerr := tp.Pull[string](sess, "/echo", "x", tp.WithContext(t.Context()))
		if rerr != nil || got != "x" {
			t.Errorf("got %q, %v", got, rerr)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
	if who, _ := sess.Public().Load("who"); who != "Ann" {
		t.Errorf("Public has %v", who)
	}
}

// The WebSockets of a peer with TLS come through an HTTP server without it, as behind a
// proxy that has taken the TLS off.
func TestWebSocketHandlerOfPeerWithTLS(t *testing.T) {
	certFile, keyFile, _ := newCert(t)
	srv := newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile})
	echo(srv)
	lis, err := websocket.NewListener(nil)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(lis)
	defer front.Close()
	serveListener(t, srv, lis)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), "ws"+strings.TrimPrefix(front.URL, "http"))
	noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
}
