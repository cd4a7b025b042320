package quic

import (
	"crypto/tls"
	"errors"
	"net"
)

// Protocol is the name of the application protocol (ALPN) that both sides have to
// agree on. It takes the place of NextProtos of a TLS configuration.
const Protocol = "teleport"

var (
	errNoTLS         = errors.New("quic: cannot listen without TLS: give the peer a certificate (PeerConfig.TlsCertFile and TlsKeyFile, or Peer.SetTLSConfig)")
	errNoCertificate = errors.New("quic: cannot listen: the TLS config has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	errOldTLS        = errors.New("quic: MaxVersion of the TLS config is below 1.3, which QUIC needs")
)

// serverTLS returns what a listener uses of a TLS configuration.
func serverTLS(config *tls.Config) (*tls.Config, error) {
	switch {
	case config == nil:
		return nil, errNoTLS
	case len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil:
		return nil, errNoCertificate
	}
	config, err := forQUIC(config)
	if err != nil {
		return nil, err
	}
	if users := config.GetConfigForClient; users != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := users(hello)
			if err != nil || config == nil {
				return config, err
			}
			return forQUIC(config)
		}
	}
	return config, nil
}

// clientTLS returns what a dial to addr uses of a TLS configuration.
func clientTLS(config *tls.Config, addr string) (*tls.Config, error) {
	if config == nil {
		config = new(tls.Config)
	}
	config, err := forQUIC(config)
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config.ServerName = host
	}
	return config, nil
}

// forQUIC returns a copy for TLS 1.3 and our protocol.
func forQUIC(config *tls.Config) (*tls.Config, error) {
	if config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS13 {
		return nil, errOldTLS
	}
	config = config.Clone()
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{Protocol}
	return config, nil
}
