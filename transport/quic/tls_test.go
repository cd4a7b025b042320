package quic_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"os"
	"testing"
)

// A function of a TLS configuration that panics fails its handshake, not the process.
func TestPanicInTLSConfig(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	plain, trusting := certificates()
	for name, set := range map[string]func(server, client *tls.Config){
		"GetCertificate": func(server, _ *tls.Config) {
			server.Certificates = nil
			server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("a bug") }
		},
		"GetConfigForClient": func(server, _ *tls.Config) {
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("a bug") }
		},
		"what GetConfigForClient returns": func(server, _ *tls.Config) {
			chosen := plain.Clone()
			chosen.VerifyConnection = func(tls.ConnectionState) error { panic("a bug") }
			server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }
		},
		"GetClientCertificate": func(server, client *tls.Config) {
			server.ClientAuth = tls.RequireAnyClientCert
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { panic("a bug") }
		},
		"VerifyPeerCertificate": func(_, client *tls.Config) {
			client.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { panic("a bug") }
		},
		"VerifyConnection": func(_, client *tls.Config) {
			client.VerifyConnection = func(tls.ConnectionState) error { panic("a bug") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := plain.Clone(), trusting.Clone()
			set(server, client)
			lis, err := transportOf(nil).Listen("127.0.0.1:0", server)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = lis.Close() }()
			conn, err := transportOf(nil).Dial(t.Context(), lis.Addr().String(), client)
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			// The client's part was over before the server's.
			if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("the handshake is over: %v", err)
			}
		})
	}
}
