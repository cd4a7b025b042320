package tp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/sniff"
	"github.com/henrylee2cn/teleport/socket"
)

// port makes the peer serve what sniff finds on a port of loopback.
func port(t *testing.T, p *tp.Peer, cfg sniff.Config) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	one, err := sniff.New(lis, &cfg)
	noError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- p.ServeListener(one) }()
	t.Cleanup(func() {
		_ = p.Close()
		if err := receive(t, ended); !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("ServeListener returned %v", err)
		}
	})
	return lis.Addr().String()
}

// website returns the branch of an HTTP server, which answers: "web" and its path, or for a
// WebSocket what it says, once.
func website(t *testing.T) *sniff.Branch {
	t.Helper()
	web := sniff.NewBranch(&net.TCPAddr{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(w, "web ", r.URL.Path)
			return
		}
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		line, _ := buf.ReadString('\n')
		fmt.Fprint(buf, line)
		_ = buf.Flush()
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(web) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return web
}

// visit gets a page over a connection of its own.
func visit(t *testing.T, url string, config *tls.Config) string {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
	noError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	noError(t, err)
	return string(b)
}

// upgrade opens a WebSocket, or what looks like one, and returns what it says to "hello".
func upgrade(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /tp HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	noError(t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("the WebSocket got %s", resp.Status)
	}
	line, err := r.ReadString('\n')
	noError(t, err)
	return line
}

// One address serves sessions in two formats, an HTTP server and WebSockets, each with
// TLS and without.
func TestOnePortManyProtocols(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			cfg, configs := tp.PeerConfig{}, []*tls.Config{nil}
			if secure {
				cfg.TlsCertFile, cfg.TlsKeyFile = certFile, keyFile
				configs = append(configs, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
			}
			srv := newPeer(t, cfg)
			echo(srv)
			web, sockets := website(t), website(t)
			addr := port(t, srv, sniff.Config{PlainToo: true, Rules: []sniff.Rule{
				{Match: sniff.WebSocket, Handle: sockets.Hand},
				{Match: sniff.HTTP, Handle: web.Hand},
				{Match: sniff.JSON, Proto: newLineProto},
				{Match: sniff.Fast},
			}})
			for _, config := range configs {
				cli := newPeer(t, tp.PeerConfig{})
				cli.SetTLSConfig(config)
				fast, line := dial(t, cli, addr), dial(t, cli, addr, newLineProto)
				for _, sess := range []tp.Session{fast, line} {
					want := strings.Repeat("body ", 1000)
					var got string
					noRerror(t, sess.Pull("/echo", want, &got, tp.WithBodyCodec('s')).Rerror())
					if got != want {
						t.Errorf("got %q", got)
					}
				}
				conn, err := net.Dial("tcp", addr)
				noError(t, err)
				url := "http://"
				if config != nil {
					url = "https://"
					conn = tls.Client(conn, config)
				}
				if got := visit(t, url+addr+"/page", config); got != "web /page" {
					t.Errorf("got %q", got)
				}
				if got := upgrade(t, conn); got != "hello\n" {
					t.Errorf("the WebSocket says %q", got)
				}
			}
			eventually(t, "all are in", func() bool { return srv.Stats().Opening == 0 })
			for reason, n := range srv.Stats().Refused {
				if n > 0 {
					t.Errorf("%d are counted as refused: %s", n, reason)
				}
			}
		})
	}
}

// On a peer that has TLS, what is plain is closed unless that is allowed.
func TestOnePortIsNotPlain(t *testing.T) {
	certFile, keyFile, _ := newCert(t)
	book := new(logBook)
	srv := newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile, Logger: book})
	echo(srv)
	addr := port(t, srv, sniff.Config{Rules: []sniff.Rule{{Match: sniff.Any}}})
	if rerr := dial(t, newPeer(t, tp.PeerConfig{}), addr).Pull("/echo", nil, nil).Rerror(); rerr == nil {
		t.Error("a session without TLS is served")
	}
	if !book.contains("not accepted", "not TLS", `begins with`) {
		t.Errorf("the log: %s", book)
	}
}

// What no rule matches is closed, and the log says how it begins.
func TestOnePortWithoutRule(t *testing.T) {
	book := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: book})
	addr := port(t, srv, sniff.Config{Rules: []sniff.Rule{{Match: sniff.Fast}, {Match: sniff.HTTP, Handle: func(context.Context, net.Conn) error {
		return errors.New("nobody is at home")
	}}}})
	w := dialWire(t, addr)
	w.sendBytes([]byte("SSH-2.0-OpenSSH_9.9 Debian\r\n"))
	w.wantClosed()
	w = dialWire(t, addr)
	w.sendBytes([]byte("GET / HTTP/1.1\r\n"))
	w.wantClosed()
	for _, text := range []string{`"SSH-2.0-OpenSSH_"`, "nobody is at home"} {
		if !book.contains("WARN", "not accepted", text) {
			t.Errorf("%s is not in the log: %s", text, book)
		}
	}
	eventually(t, "both are counted", func() bool { return srv.Stats().Refused["accept"] == 2 })
}

// A load balancer looks whether a port is open all the time: that is no warning, and
// nothing that was refused.
func TestOnePortOnlyLookedAt(t *testing.T) {
	certFile, keyFile, _ := newCert(t)
	for name, cfg := range map[string]tp.PeerConfig{"plain": {}, "tls": {TlsCertFile: certFile, TlsKeyFile: keyFile}} {
		t.Run(name, func(t *testing.T) {
			book := new(logBook)
			cfg.Logger = book
			srv := newPeer(t, cfg)
			addr := port(t, srv, sniff.Config{Rules: []sniff.Rule{{Match: sniff.Fast}}, Silent: &sniff.Rule{}, SilentAfter: patience})
			for _, reset := range []bool{false, true} {
				conn, err := net.Dial("tcp", addr)
				noError(t, err)
				if reset {
					noError(t, conn.(*net.TCPConn).SetLinger(0))
				}
				left := fmt.Sprintf("conn %s: sniff: the other side has sent nothing", conn.LocalAddr())
				_ = conn.Close()
				eventually(t, "it is noticed", func() bool { return book.contains(left) })
			}
			eventually(t, "both are gone", func() bool { return srv.Stats().Opening == 0 })
			if refused := srv.Stats().Refused; book.contains("WARN") || len(refused) > 0 {
				t.Errorf("refused are %v, the log: %s", refused, book)
			}
		})
	}
}

// Those that say nothing, or dribble, are bounded as those that make no handshake are.
func TestOnePortBoundsSilence(t *testing.T) {
	rules := []sniff.Rule{{Match: sniff.WebSocket}, {Match: sniff.Fast}}
	t.Run("AcceptTimeout", func(t *testing.T) {
		srv := newPeer(t, tp.PeerConfig{AcceptTimeout: 50 * time.Millisecond})
		addr := port(t, srv, sniff.Config{Rules: rules})
		silent, dribbles := dialWire(t, addr), dialWire(t, addr)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for b := "GET /"; ; b = "a" { // a request that does not end
				if _, err := io.WriteString(dribbles, b); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		silent.wantClosed()
		dribbles.wantClosed()
		eventually(t, "both are counted", func() bool { return srv.Stats().Refused["accept"] == 2 })
		receive(t, stop)
	})
	t.Run("MaxOpening", func(t *testing.T) {
		srv := newPeer(t, tp.PeerConfig{MaxOpening: 3, MaxOpeningPerIP: 100, AcceptTimeout: time.Hour})
		echo(srv)
		addr := port(t, srv, sniff.Config{Rules: rules})
		var silent []*wire
		for range 3 {
			silent = append(silent, dialWire(t, addr))
		}
		silent[2].sendBytes([]byte("GET / HT"))
		eventually(t, "they are opening", func() bool { return srv.Stats().Opening == 3 })
		time.Sleep(graceOver)
		noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}), addr).Pull("/echo", nil, nil).Rerror())
		silent[0].wantClosed() // it was the oldest
		eventually(t, "two are left", func() bool { return srv.Stats().Opening == 2 })
		for _, w := range silent {
			_ = w.Close()
		}
	})
	t.Run("MaxOpeningPerIP", func(t *testing.T) {
		srv := newPeer(t, tp.PeerConfig{MaxOpeningPerIP: 2, AcceptTimeout: time.Hour})
		addr := port(t, srv, sniff.Config{Rules: rules})
		first, second := dialWire(t, addr), dialWire(t, addr)
		eventually(t, "they are opening", func() bool { return srv.Stats().Opening == 2 })
		time.Sleep(graceOver)
		dialWire(t, addr).wantClosed()
		_, _ = first.Close(), second.Close()
	})
	t.Run("MaxPeek", func(t *testing.T) {
		srv := newPeer(t, tp.PeerConfig{AcceptTimeout: time.Hour})
		addr := port(t, srv, sniff.Config{Rules: rules, MaxPeek: 1000})
		w := dialWire(t, addr)
		w.sendBytes([]byte("GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 200)))
		w.wantClosed()
	})
}

// A connection that has come before the listener was closed, and speaks later, is let in
// and drained.
func TestOnePortDrains(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{AcceptTimeout: patience})
	echo(srv)
	addr := port(t, srv, sniff.Config{Rules: []sniff.Rule{{Match: sniff.Fast}}})
	w := dialWire(t, addr)
	eventually(t, "it is opening", func() bool { return srv.Stats().Opening == 1 })
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	eventually(t, "it listens no more", func() bool { return len(srv.Addrs()) == 0 })
	pull := jsonPull(1, "/echo", "1")
	pull.meta = saysCaps
	w.send(pull)
	answered := false
	for {
		f, err := w.read()
		if err != nil {
			break
		}
		if f.ptype == tp.TypeReply {
			answered = true
			w.send(frame{ptype: tp.TypeGoAway})
			_ = w.Close()
		}
	}
	if !answered {
		t.Error("its pull was not answered")
	}
	noError(t, receive(t, closed))
}

// A client that only listens is what Silent says, with TLS and without; who speaks in
// time is what it says itself, also when it begins slowly.
func TestOnePortSilentClient(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	srv := newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile, AcceptTimeout: patience})
	echo(srv)
	web := website(t)
	addr := port(t, srv, sniff.Config{
		PlainToo: true, Silent: &sniff.Rule{}, SilentAfter: 50 * time.Millisecond,
		Rules: []sniff.Rule{{Match: sniff.Fast}, {Match: sniff.HTTP, Handle: web.Hand}},
	})
	for _, config := range []*tls.Config{nil, {RootCAs: roots}} {
		pushed := make(chan string, 1)
		cli := newPeer(t, tp.PeerConfig{})
		cli.SetTLSConfig(config)
		tp.RegPush(cli.PushRouter, "news", func(_ tp.PushCtx, text *string) { pushed <- *text })
		sess := dial(t, cli, addr)
		noRerror(t, only(t, srv).Push("/news", "is here"))
		if got := receive(t, pushed); got != "is here" {
			t.Errorf("got %q", got)
		}
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
		_ = sess.Close()
		receive(t, sess.CloseNotify())
		eventually(t, "it is gone", func() bool { return srv.CountSession() == 0 })
	}
	conn, err := net.Dial("tcp", addr)
	noError(t, err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for _, part := range []string{"GET /slow", " HTTP/1.1\r\nHost: a\r\n", "Connection: close\r\n\r\n"} {
		_, err = io.WriteString(conn, part)
		noError(t, err)
		time.Sleep(70 * time.Millisecond) // longer than it may be silent at first
	}
	answer, err := io.ReadAll(conn)
	noError(t, err)
	if !strings.HasSuffix(string(answer), "web /slow") {
		t.Errorf("got %q", answer)
	}
}

// openerListener accepts conns that open as fn says.
type openerListener struct {
	net.Listener
	fn func(context.Context, *tls.Config) (net.Conn, socket.ProtoFunc, error)
}

type openerConn struct {
	net.Conn
	fn func(context.Context, *tls.Config) (net.Conn, socket.ProtoFunc, error)
}

func (l *openerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &openerConn{conn, l.fn}, nil
}

func (c *openerConn) OpenConn(ctx context.Context, config *tls.Config) (net.Conn, socket.ProtoFunc, error) {
	return c.fn(ctx, config)
}

var _ tp.ConnOpener = new(openerConn)

// An OpenConn that panics closes its connection, and others are served.
func TestConnOpenerPanics(t *testing.T) {
	book := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: book})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	served := make(chan error, 1)
	go func() {
		served <- srv.ServeListener(&openerListener{lis, func(ctx context.Context, config *tls.Config) (net.Conn, socket.ProtoFunc, error) {
			if _, bounded := ctx.Deadline(); !bounded || config != nil {
				t.Errorf("bounded is %v, and the TLS config %v", bounded, config)
			}
			panic("of a test")
		}})
	}()
	for range 3 {
		dialWire(t, lis.Addr().String()).wantClosed()
	}
	if !book.contains("ERROR", "of a test") {
		t.Errorf("the log: %s", book)
	}
	noError(t, srv.Close())
	receive(t, served)
}
