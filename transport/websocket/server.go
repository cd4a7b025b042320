package websocket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/henrylee2cn/teleport/transport"
)

// maxHeaderBytes is the greatest request, cookies included.
const maxHeaderBytes = 16 << 10

// Listen returns a Listener on an address like "ws://0.0.0.0:80/tp" or
// "wss://0.0.0.0:443/tp", with an HTTP server of its own. The path is "/" if
// there is none. "wss" needs Config.TLSConfig.
func Listen(addr string, config *Config) (*Listener, error) {
	scheme, rest := transport.Split(addr)
	if scheme != schemePlain && scheme != schemeTLS {
		return nil, fmt.Errorf("websocket: the address %q begins neither with ws:// nor with wss://", addr)
	}
	return listen(scheme, rest, config)
}

// listen listens on an address without its scheme.
func listen(scheme, addr string, config *Config) (*Listener, error) {
	own, err := forScheme(scheme, addr, config)
	if err != nil { // before the port is taken
		return nil, err
	}
	host, _ := cutPath(addr)
	inner, err := net.Listen("tcp", host)
	if err != nil {
		return nil, err
	}
	return Serve(inner, own)
}

// forScheme returns the Config for an address without its scheme.
func forScheme(scheme, addr string, config *Config) (*Config, error) {
	own := new(Config)
	if config != nil {
		*own = *config
	}
	_, own.Path = cutPath(addr)
	if scheme == schemePlain {
		own.TLSConfig = nil
	} else if own.TLSConfig == nil {
		return nil, errors.New("websocket: wss needs a TLS configuration: that of the peer (PeerConfig.TlsCertFile), or Config.TLSConfig")
	}
	_, err := own.complete()
	return own, err
}

// Serve returns a Listener with an HTTP server of its own on inner, which may be one
// of tp.InheritListener, so that a restart hands it on. It closes inner. With
// Config.TLSConfig it speaks TLS.
func Serve(inner net.Listener, config *Config) (*Listener, error) {
	set, err := config.complete()
	if err != nil {
		_ = inner.Close()
		return nil, err
	}
	l := newListener(set, inner.Addr())
	if set.TLSConfig != nil {
		inner = tls.NewListener(inner, forHTTP1(set.TLSConfig))
	}
	waiting := &handshakes{most: set.MaxHandshakes, mostPerIP: set.MaxHandshakesPerIP, proxies: set.proxies}
	l.server = &http.Server{
		Handler:           l.atPath(),
		ReadHeaderTimeout: set.HandshakeTimeout,
		ReadTimeout:       set.HandshakeTimeout,
		WriteTimeout:      set.HandshakeTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         waiting.watch,
		ErrorLog:          set.errorLog(),
	}
	l.server.SetKeepAlivesEnabled(false)
	l.served = make(chan struct{})
	go func() { // Close waits for it
		defer close(l.served)
		_ = l.server.Serve(inner)
	}()
	return l, nil
}

// forHTTP1 returns the configuration for HTTP/1.1, in which WebSockets are opened:
// HTTP/2 would be offered the other side if the configuration has other uses too.
func forHTTP1(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// atPath is the Listener at its path, and 404 elsewhere.
func (l *Listener) atPath() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != l.set.Path {
			http.NotFound(w, r)
			return
		}
		l.ServeHTTP(w, r)
	})
}
