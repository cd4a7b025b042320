package tp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// SetTLSConfig makes listeners and dials that begin from now on use TLS with
// this configuration: its certificates as a server (and as a client when
// asked), its RootCAs as a client. It takes the place of
// PeerConfig.TlsCertFile and TlsKeyFile; nil restores them. TLS is 1.2 at
// least, whatever it says. The configuration must not be changed afterwards.
func (p *Peer) SetTLSConfig(config *tls.Config) {
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tls = config
}

// tlsConfig returns the configuration, or nil for plain TCP. A file that is
// missing or bad is an error: it never means plain TCP.
func (p *Peer) tlsConfig() (*tls.Config, error) {
	p.mu.Lock()
	config := p.tls
	p.mu.Unlock()
	if config != nil || p.cfg.TlsCertFile == "" {
		return config, nil
	}
	cert, err := tls.LoadX509KeyPair(p.cfg.TlsCertFile, p.cfg.TlsKeyFile)
	if err != nil {
		return nil, fmt.Errorf("tp: PeerConfig.TlsCertFile %q, TlsKeyFile %q: %w", p.cfg.TlsCertFile, p.cfg.TlsKeyFile, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// serverTLSConfig is tlsConfig for a listener, which needs a certificate.
func (p *Peer) serverTLSConfig() (*tls.Config, error) {
	config, err := p.tlsConfig()
	if err != nil || config == nil {
		return nil, err
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return nil, errors.New("tp: cannot listen: the TLS config has no certificate: set PeerConfig.TlsCertFile, or Certificates in SetTLSConfig")
	}
	return config, nil
}

// handshake makes a TLS conn of an accepted one, within the accept timeout.
func (p *Peer) handshake(conn net.Conn, config *tls.Config) (net.Conn, error) {
	ctx, cancel := p.life, nothing // closing the peer ends a handshake
	if bound := p.cfg.AcceptTimeout; bound > 0 {
		ctx, cancel = context.WithTimeout(ctx, bound)
	}
	defer cancel()
	secure := tls.Server(conn, config)
	return secure, secure.HandshakeContext(ctx)
}
