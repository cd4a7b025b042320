package tp_test

import (
	"crypto/tls"
	"net"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport"
)

// finalListener is a listener whose conns are final.
type finalListener struct{ net.Listener }

var _ transport.FinalListener = finalListener{}

func (finalListener) FinalConns() {}

// To a conn that is what it should be a peer with TLS adds none, and it needs no
// certificate for it.
func TestFinalListener(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	for name, srv := range map[string]*tp.Peer{
		"with a certificate": newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile}),
		"client only":        newPeer(t, tp.PeerConfig{}),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "client only" {
				srv.SetTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
			}
			echo(srv)
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := lis.Addr().String()
			ended := make(chan error, 1)
			go func() { ended <- srv.ServeListener(finalListener{lis}) }()
			plain := dial(t, newPeer(t, tp.PeerConfig{}), addr)
			noRerror(t, plain.Pull("/echo", []byte("x"), nil).Rerror())
			_ = srv.Close()
			receive(t, ended)
		})
	}
}
