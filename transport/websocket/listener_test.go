package websocket_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// lines is where a logger writes.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve hands over each conn that the Listener accepts.
func serve(lis net.Listener) <-chan net.Conn {
	conns := make(chan net.Conn, 100)
	go func() {
		defer close(conns)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	return conns
}

// Pages of the same host may connect, others only if their origin is listed.
func TestOrigins(t *testing.T) {
	log := new(lines)
	lis, srv := handle(t, &websocket.Config{
		Origins: []string{"app.example.com", "https://*.example.org"},
		Logger:  slog.New(slog.NewTextHandler(log, nil)),
	})
	conns := serve(lis)
	host := strings.TrimPrefix(srv.URL, "http://")
	for origin, want := range map[string]int{
		"":                             101, // no browser
		"http://" + host:               101,
		"https://app.example.com":      101,
		"https://APP.example.com":      101,
		"https://a.example.org":        101,
		"http://a.example.org":         403, // another scheme
		"https://example.org":          403,
		"https://evil.example":         403,
		"https://app.example.com:8443": 403, // another port is another origin
		"null":                         403, // a sandboxed frame, or a file
		"http://" + host + ".evil.org": 403,
		"%zz":                          403,
	} {
		equal(t, "status for "+origin, status(t, srv.URL, map[string]string{"Origin": origin}), want)
		if want == 101 {
			_ = receive(t, conns).Close()
		}
	}
	if !strings.Contains(log.String(), "evil.example") {
		t.Error("the log does not have the origin that was refused")
	}

	// It cannot be made to fill a disk.
	begin := time.Now()
	for range 300 {
		equal(t, "status", status(t, srv.URL, map[string]string{"Origin": "https://" + strings.Repeat("x", 10_000)}), 403)
	}
	seconds := int(time.Since(begin)/time.Second) + 2
	if text := log.String(); len(text) > seconds*100*1000 || strings.Count(text, "\n") > seconds*101 {
		t.Errorf("%d lines, %d bytes in less than %d s", strings.Count(text, "\n"), len(text), seconds)
	}

	all, srv := handle(t, &websocket.Config{Origins: []string{"*"}})
	conns = serve(all)
	equal(t, "status with *", status(t, srv.URL, map[string]string{"Origin": "https://evil.example"}), 101)
	_ = receive(t, conns).Close()
}

// What is no request for a WebSocket is answered as HTTP.
func TestRequestsThatAreNone(t *testing.T) {
	_, srv := handle(t, nil)
	for name, c := range map[string]struct {
		header map[string]string
		want   int
	}{
		"plain HTTP":      {map[string]string{"Connection": "", "Upgrade": ""}, 426},
		"another upgrade": {map[string]string{"Upgrade": "h2c"}, 426},
		"old version":     {map[string]string{"Sec-WebSocket-Version": "8"}, 400},
		"no key":          {map[string]string{"Sec-WebSocket-Key": ""}, 400},
		"short key":       {map[string]string{"Sec-WebSocket-Key": base64.StdEncoding.EncodeToString([]byte("short"))}, 400},
	} {
		equal(t, name, status(t, srv.URL, c.header), c.want)
	}
}

// Middleware that hides the connection makes an error, and no half of a WebSocket.
func TestHiddenHijacker(t *testing.T) {
	log := new(lines)
	lis, err := websocket.NewListener(&websocket.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	noError(t, err)
	defer func() { _ = lis.Close() }()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lis.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	defer srv.Close()
	equal(t, "status", status(t, srv.URL, nil), http.StatusNotImplemented)
	if !strings.Contains(log.String(), "Hijacker") {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestSubprotocols(t *testing.T) {
	for _, c := range []struct {
		server, offered []string
		want            string
	}{
		{nil, []string{"teleport"}, "teleport"},
		{nil, []string{"chat", "teleport"}, "teleport"},
		{nil, []string{"chat"}, ""},
		{nil, nil, ""},
		{[]string{"b", "a"}, []string{"a", "b"}, "b"},
	} {
		lis, srv := handle(t, &websocket.Config{Subprotocols: c.server})
		conns := serve(lis)
		client, _, err := coder.Dial(within(t), srv.URL, &coder.DialOptions{Subprotocols: c.offered})
		noError(t, err)
		equal(t, "subprotocol", client.Subprotocol(), c.want)
		_ = client.CloseNow()
		_ = receive(t, conns).Close()
	}
	// What Dial offers.
	offered := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offered <- r.Header.Get("Sec-WebSocket-Protocol") + " " + r.Header.Get("Authorization")
		http.Error(w, "not today", http.StatusTeapot)
	}))
	defer srv.Close()
	_, err := websocket.Dial(within(t), "ws"+strings.TrimPrefix(srv.URL, "http"), &websocket.Config{Header: http.Header{"Authorization": {"Bearer x"}}})
	if err == nil || !strings.Contains(err.Error(), "418") || !strings.Contains(err.Error(), "not today") {
		t.Errorf("Dial returned %v", err)
	}
	equal(t, "offered", receive(t, offered), "teleport Bearer x")
}

// Close ends Accept and the server, but not the conns; who comes later is told so.
func TestListenerClose(t *testing.T) {
	lis := listen(t, nil)
	addr := lis.Addr().String()
	near := dial(t, "ws://"+addr, nil)
	far := accept(t, lis)
	waiting, err := net.Dial("tcp", addr) // in the middle of its request
	noError(t, err)
	defer func() { _ = waiting.Close() }()
	_, err = io.WriteString(waiting, "GET / HTTP/1.1\r\n")
	noError(t, err)
	conns := serve(lis)

	noError(t, lis.Close())
	noError(t, lis.Close())
	if conn := receive(t, conns); conn != nil {
		t.Error("Accept goes on")
	}
	if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v", err)
	}
	noError(t, waiting.SetReadDeadline(time.Now().Add(patience)))
	if _, err := waiting.Read(make([]byte, 1)); err == nil || errors.Is(err, io.ErrNoProgress) {
		t.Errorf("the request that waited is not hung up on: %v", err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("the port is open")
	}
	exchange(t, near, far)

	handler, srv := handle(t, nil)
	noError(t, handler.Close())
	equal(t, "status", status(t, srv.URL, nil), http.StatusServiceUnavailable)
}

// Who is not accepted, since nobody does it or the Listener is closed, is told so.
func TestListenerNotAccepted(t *testing.T) {
	for _, c := range []struct {
		config websocket.Config
		close  bool
		want   coder.StatusCode
	}{
		{websocket.Config{HandshakeTimeout: time.Millisecond}, false, coder.StatusTryAgainLater},
		{websocket.Config{}, true, coder.StatusGoingAway},
	} {
		lis, srv := handle(t, &c.config)
		client, _, err := coder.Dial(within(t), srv.URL, nil)
		noError(t, err)
		if c.close {
			go func() { _ = lis.Close() }()
		}
		_, _, err = client.Read(within(t))
		equal(t, "status", coder.CloseStatus(err), c.want)
		_ = client.CloseNow()
	}
}

// The listener below may end first.
func TestListenerBelowClosed(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	lis, err := websocket.Serve(inner, nil)
	noError(t, err)
	conns := serve(lis)
	noError(t, inner.Close())
	if conn := receive(t, conns); conn != nil {
		t.Error("Accept returned a conn")
	}
	_ = lis.Close()
}

// Its own server takes WebSockets at its path only.
func TestServePath(t *testing.T) {
	lis := listen(t, &websocket.Config{Path: "/tp"})
	conns := serve(lis)
	url := "http://" + lis.Addr().String()
	equal(t, "status of /tp", status(t, url+"/tp", nil), 101)
	_ = receive(t, conns).Close()
	for _, path := range []string{"", "/", "/tp/", "/tpx", "/x/tp"} {
		equal(t, "status of "+path, status(t, url+path, nil), 404)
	}
}

// Who does not send a request in time is hung up on, one whose request is too long is
// refused. A WebSocket stays.
func TestServeLimits(t *testing.T) {
	lis := listen(t, &websocket.Config{HandshakeTimeout: 50 * time.Millisecond})
	conns := serve(lis)
	near := dial(t, "ws://"+lis.Addr().String(), nil)
	far := receive(t, conns)
	defer func() { _ = far.Close() }()
	for _, sent := range []string{"", "GET / HTTP/1.1\r\n"} {
		conn, err := net.Dial("tcp", lis.Addr().String())
		noError(t, err)
		_, _ = io.WriteString(conn, sent)
		noError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		if _, err := io.ReadAll(conn); errors.Is(err, errTimeout) {
			t.Errorf("%.20q is waited for", sent)
		}
		_ = conn.Close()
	}
	patient := listen(t, nil)
	equal(t, "status", status(t, "http://"+patient.Addr().String(), map[string]string{"Cookie": strings.Repeat("x", 32<<10)}), 431)
	exchange(t, near, far)
}

// There are bounds of those that have no WebSocket yet, for all and for an address; a
// proxy that is trusted has many clients.
func TestServeMaxHandshakes(t *testing.T) {
	for name, c := range map[string]struct {
		config websocket.Config
		closed bool
	}{
		"all":     {websocket.Config{MaxHandshakes: 3}, true},
		"address": {websocket.Config{MaxHandshakesPerIP: 3}, true},
		"proxy":   {websocket.Config{MaxHandshakesPerIP: 3, TrustedProxies: []string{"127.0.0.1"}}, false},
		"none":    {websocket.Config{MaxHandshakes: -1, MaxHandshakesPerIP: -1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.HandshakeTimeout = time.Minute // which is not what closes them
			lis := listen(t, &c.config)
			conns := serve(lis)
			addr := lis.Addr().String()
			for range 5 { // these are WebSockets, and do not count
				dial(t, "ws://"+addr, nil)
				far := receive(t, conns)
				defer func() { _ = far.Close() }()
			}
			var idle []net.Conn
			for range 4 {
				conn, err := net.Dial("tcp", addr)
				noError(t, err)
				defer func() { _ = conn.Close() }()
				idle = append(idle, conn)
			}
			last := idle[3]
			wait := patience
			if !c.closed {
				wait = 50 * time.Millisecond
			}
			noError(t, last.SetReadDeadline(time.Now().Add(wait)))
			_, err := last.Read(make([]byte, 1))
			if closed := !errors.Is(err, errTimeout); closed != c.closed {
				t.Errorf("the fourth: Read returned %v", err)
			}
			for _, conn := range idle {
				_ = conn.Close()
			}
			// Who has left makes room.
			for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				near, err := websocket.Dial(within(t), "ws://"+addr, nil)
				if err == nil {
					_ = near.Close()
					_ = receive(t, conns).Close()
					break
				}
				if time.Now().After(end) {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestConfigThatCannotWork(t *testing.T) {
	for field, config := range map[string]websocket.Config{
		"Path":             {Path: "tp"},
		"Path ":            {Path: "/tp?x"},
		"Subprotocols[1]":  {Subprotocols: []string{"a", "a b"}},
		"Origins[0]":       {Origins: []string{"[a"}},
		"Origins[1]":       {Origins: []string{"a", ""}},
		"TrustedProxies":   {TrustedProxies: []string{"localhost"}},
		"PingTimeout":      {PingTimeout: -1},
		"HandshakeTimeout": {HandshakeTimeout: -1},
	} {
		field = strings.TrimSpace(field)
		if _, err := websocket.NewListener(&config); err == nil || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s: NewListener returned %v", field, err)
		}
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		noError(t, err)
		if _, err := websocket.Serve(inner, &config); err == nil {
			t.Errorf("%s: Serve returned no error", field)
		}
		if err := inner.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Serve has not closed its listener", field)
		}
		if _, err := websocket.Dial(within(t), "ws://127.0.0.1:1", &config); err == nil || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s: Dial returned %v", field, err)
		}
	}
}

func TestListen(t *testing.T) {
	server, client := newTLS(t)
	for _, scheme := range []string{"ws", "wss"} {
		lis, err := websocket.Listen(scheme+"://127.0.0.1:0/tp", &websocket.Config{TLSConfig: server})
		noError(t, err)
		near := dial(t, scheme+"://"+lis.Addr().String()+"/tp?k=v", &websocket.Config{TLSConfig: client})
		_, secure := near.(interface{ NetConn() net.Conn }).NetConn().(*tls.Conn)
		equal(t, "NetConn is a TLS conn", secure, false)
		exchange(t, near, accept(t, lis))
		noError(t, lis.Close())
	}
	for addr, want := range map[string]string{
		"127.0.0.1:0":          "ws://",
		"http://127.0.0.1:0":   "ws://",
		"wss://127.0.0.1:0":    "TLS",
		"ws://127.0.0.1:0/?x":  "Path",
		"ws://127.0.0.1":       "port",
		"ws://256.0.0.1:0":     "256",
		"ws://127.0.0.1:99999": "port",
	} {
		if _, err := websocket.Listen(addr, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen(%q) returned %v, want %q in it", addr, err, want)
		}
	}
}
