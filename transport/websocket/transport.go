package websocket

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/henrylee2cn/teleport/transport"
)

// The schemes of addresses.
const (
	schemePlain = "ws"
	schemeTLS   = "wss"
)

func init() {
	transport.Reg(schemePlain, New(false, nil))
	transport.Reg(schemeTLS, New(true, nil))
}

// New returns a Transport that speaks like "ws", or if secure like "wss", with a
// Config, for a scheme of the program's own:
//
//	transport.Reg("app", websocket.New(true, &websocket.Config{TrustedProxies: proxies}))
//	sess, rerr := peer.Dial("app://example.com/tp")
//
// The Config's Path is not used, since addresses have it. Its TLSConfig is used where
// the peer has none. A Config that cannot work is an error of each Listen and Dial.
func New(secure bool, config *Config) transport.Transport {
	s := scheme{name: schemePlain}
	if secure {
		s.name = schemeTLS
	}
	if config != nil {
		s.config = *config
	}
	return s
}

var _ transport.Layer = scheme{}

// scheme is a Transport.
type scheme struct {
	name   string
	config Config
}

// Listen listens on an address like "0.0.0.0:80/tp".
func (s scheme) Listen(addr string, config *tls.Config) (net.Listener, error) {
	l, err := listen(s.name, addr, s.with(config))
	if err != nil {
		return nil, err // and no *Listener that is nil
	}
	return l, nil
}

// Below returns the "0.0.0.0:80" of an address like "0.0.0.0:80/tp".
func (s scheme) Below(addr string) string {
	host, _ := cutPath(addr)
	return host
}

// ListenOn listens on a listener that is open, for an address like "0.0.0.0:80/tp".
func (s scheme) ListenOn(inner net.Listener, addr string, config *tls.Config) (net.Listener, error) {
	own, err := forScheme(s.name, addr, s.with(config))
	if err != nil {
		_ = inner.Close()
		return nil, err
	}
	l, err := Serve(inner, own)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Dial connects to an address like "example.com/tp".
func (s scheme) Dial(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	return Dial(ctx, s.name+"://"+addr, s.with(config))
}

// with returns the Config with the TLS configuration of a peer.
func (s scheme) with(config *tls.Config) *Config {
	if config != nil {
		s.config.TLSConfig = config
	}
	return &s.config
}

// cutPath cuts an address at the first slash.
func cutPath(addr string) (host, path string) {
	if at := strings.IndexByte(addr, '/'); at >= 0 {
		return addr[:at], addr[at:]
	}
	return addr, ""
}
