package websocket

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// Dial connects to an address like "ws://example.com/tp" or "wss://example.com/tp?k=v"
// within ctx, which the conn outlives. The port is 80 or 443 if there is none. It follows
// no redirects and uses no proxy. The error of a server that refuses has its status.
func Dial(ctx context.Context, addr string, config *Config) (net.Conn, error) {
	set, err := config.complete()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(addr)
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	if u.Scheme != schemePlain && u.Scheme != schemeTLS || u.Hostname() == "" {
		return nil, fmt.Errorf("websocket: the address %q is not like ws://host:port/path or wss://host:port/path", u.Redacted())
	}
	below, err := connect(ctx, u, set.TLSConfig)
	if err != nil {
		return nil, err
	}
	c, err := shake(ctx, u, &stream{Conn: below}, set)
	if err != nil {
		_ = below.Close()
		return nil, err
	}
	return c, nil
}

// connect returns the conn below a WebSocket.
func connect(ctx context.Context, u *url.URL, config *tls.Config) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{schemePlain: "80", schemeTLS: "443"}[u.Scheme]
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || u.Scheme == schemePlain {
		return conn, err
	}
	if config == nil {
		config = new(tls.Config)
	}
	config = forHTTP1(config)
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// shake asks the server on the other side of below for a WebSocket.
func shake(ctx context.Context, u *url.URL, below *stream, set *settings) (*conn, error) {
	take := func(context.Context, string, string) (net.Conn, error) { return below, nil }
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: take, DialTLSContext: take,
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: set.Header, Subprotocols: set.Subprotocols,
		OnPingReceived: func(context.Context, []byte) bool { return below.overhead.ping() },
	})
	if err != nil {
		if resp != nil && resp.Body != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			why, _ := io.ReadAll(resp.Body) // 1 KiB at most
			return nil, fmt.Errorf("websocket: the server refused with %d: %.200q", resp.StatusCode, why)
		}
		return nil, fmt.Errorf("websocket: %w", err)
	}
	return newConn(ws, below, true, below.RemoteAddr(), set), nil
}
