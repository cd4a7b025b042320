package websocket_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/transport/websocket"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// within returns a context that bounds a test's step.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got the error %v, want none", err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// receive returns the next value of ch, or fails.
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

// listen returns a Listener with a server of its own on a free port of loopback, which
// is closed at the test's end.
func listen(t testing.TB, config *websocket.Config) *websocket.Listener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	lis, err := websocket.Serve(inner, config)
	noError(t, err)
	t.Cleanup(func() { noError(t, lis.Close()) })
	return lis
}

// handle returns a Listener that is the handler of an HTTP server, and the server.
func handle(t testing.TB, config *websocket.Config) (*websocket.Listener, *httptest.Server) {
	t.Helper()
	lis, err := websocket.NewListener(config)
	noError(t, err)
	srv := httptest.NewServer(lis)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { noError(t, lis.Close()) })
	return lis, srv
}

// accept returns the next conn of the Listener, which is closed at the test's end.
func accept(t testing.TB, lis net.Listener) net.Conn {
	t.Helper()
	type accepted struct {
		conn net.Conn
		err  error
	}
	ch := make(chan accepted, 1)
	go func() {
		conn, err := lis.Accept()
		ch <- accepted{conn, err}
	}()
	got := receive(t, ch)
	noError(t, got.err)
	t.Cleanup(func() { _ = got.conn.Close() })
	return got.conn
}

// dial returns a conn to the address, which is closed at the test's end.
func dial(t testing.TB, addr string, config *websocket.Config) net.Conn {
	t.Helper()
	conn, err := websocket.Dial(within(t), addr, config)
	noError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// pair returns both sides of a WebSocket.
func pair(t testing.TB, server, client *websocket.Config) (far, near net.Conn) {
	t.Helper()
	lis := listen(t, server)
	near = dial(t, "ws://"+lis.Addr().String(), client)
	return accept(t, lis), near
}

// status asks for a WebSocket with some headers and returns the status of the answer.
func status(t testing.TB, url string, header map[string]string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	noError(t, err)
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		req.Header.Set(k, v)
	}
	for k, v := range header {
		if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	noError(t, err)
	noError(t, resp.Body.Close())
	return resp.StatusCode
}

// newTLS returns the TLS configurations of a server on 127.0.0.1 and of who trusts it.
func newTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	noError(t, err)
	cert, err := x509.ParseCertificate(der)
	noError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
