package quic

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"runtime/debug"
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
			if config, err = forQUIC(config); err == nil {
				guardCallbacks(config)
			}
			return config, err
		}
	}
	guardCallbacks(config)
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
	guardCallbacks(config)
	return config, nil
}

// guardCallbacks makes panics of the configuration's functions errors, which fail the
// handshake: they run in goroutines of quic-go, where nobody else could recover.
func guardCallbacks(config *tls.Config) {
	if get := config.GetCertificate; get != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (c *tls.Certificate, err error) {
			defer panicToError("GetCertificate", &err)
			return get(hello)
		}
	}
	if get := config.GetConfigForClient; get != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (c *tls.Config, err error) {
			defer panicToError("GetConfigForClient", &err)
			return get(hello)
		}
	}
	if get := config.GetClientCertificate; get != nil {
		config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (c *tls.Certificate, err error) {
			defer panicToError("GetClientCertificate", &err)
			return get(info)
		}
	}
	if verify := config.VerifyPeerCertificate; verify != nil {
		config.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) (err error) {
			defer panicToError("VerifyPeerCertificate", &err)
			return verify(raw, chains)
		}
	}
	if verify := config.VerifyConnection; verify != nil {
		config.VerifyConnection = func(state tls.ConnectionState) (err error) {
			defer panicToError("VerifyConnection", &err)
			return verify(state)
		}
	}
}

// panicToError is deferred by a function of a TLS configuration.
func panicToError(name string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("quic: %s of the TLS config panicked", name)
		log.Printf("%v: %v\n%s", *err, r, debug.Stack()) // who has listened gets no error of a handshake
	}
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
