package tp

import (
	"context"
	"crypto/tls"
	"errors"
)

// SetTLSConfig makes listeners and dials that begin from now on use TLS with
// this configuration: its certificates as a server (and as a client when
// asked), its RootCAs as a client. It takes the place of all TLS files of
// PeerConfig; nil restores them. TLS is 1.2 at least, whatever it says. The
// configuration must not be changed afterwards.
//
// A dial verifies the server's certificate for ServerName, or for the host of
// the address when that is empty. Only InsecureSkipVerify here turns that off;
// PeerConfig cannot.
func (p *Peer) SetTLSConfig(config *tls.Config) {
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tls = config
}

// tlsConfig returns the configuration of a dial, or nil for plain TCP. A file
// that is missing or bad is an error: it never means plain TCP.
func (p *Peer) tlsConfig() (*tls.Config, error) {
	if config := p.ownTLSConfig(); config != nil {
		return config, nil
	}
	return p.tlsFiles.forDial()
}

// serverTLSConfig is tlsConfig for a listener, which needs a certificate.
func (p *Peer) serverTLSConfig() (*tls.Config, error) {
	config := p.ownTLSConfig()
	if config == nil {
		return p.tlsFiles.forListener()
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return nil, errors.New("tp: cannot listen: the TLS config has no certificate: set PeerConfig.TlsCertFile, or Certificates in SetTLSConfig")
	}
	return config, nil
}

// ownTLSConfig returns that of SetTLSConfig.
func (p *Peer) ownTLSConfig() *tls.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tls
}

// handshake is the handshake of an accepted conn, which ends with ctx and when the
// peer is closed.
func (p *Peer) handshake(ctx context.Context, conn *tls.Conn) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(p.life, stop)()
	return conn.HandshakeContext(ctx)
}
