// Command tls has a server and two clients that speak TLS. The certificate is
// made at the start; one of the clients trusts it.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "teleport-tls")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := makeCertificate(certFile, keyFile); err != nil {
		return err
	}

	// The server names its files. A file that is missing or bad is an error of
	// ServeListener, never a plain connection.
	srv := tp.NewPeer(&tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile})
	defer srv.Close()
	tp.RegPull(srv.PullRouter, "hello", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		return "hello, in private", nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		if err := srv.ServeListener(lis); !errors.Is(err, tp.ErrListenClosed) {
			log.Print(err)
		}
	}()

	// This client trusts the certificate, which signed itself. Usually the file
	// is that of an authority.
	trusting := tp.NewPeer(&tp.PeerConfig{TlsRootCaFile: certFile})
	defer trusting.Close()
	sess, rerr := trusting.Dial(lis.Addr().String())
	if rerr != nil {
		return rerr.ToError()
	}
	text, rerr := tp.Pull[string](sess, "/hello", nil)
	if rerr != nil {
		return rerr.ToError()
	}
	fmt.Println("with the root:", text)

	// This one knows only the system's roots, and does not talk to strangers.
	// (The server logs a warning about it.) With neither SetTLSConfig nor TLS
	// files it would speak plain TCP.
	wary := tp.NewPeer(&tp.PeerConfig{})
	defer wary.Close()
	wary.SetTLSConfig(&tls.Config{})
	if _, rerr = wary.Dial(lis.Addr().String()); rerr == nil {
		return errors.New("a certificate of an unknown authority was accepted")
	}
	fmt.Println("without it:", rerr.Message+":", rerr.Detail)
	return nil
}

// makeCertificate writes a certificate for 127.0.0.1 that signs itself, and
// its key. Real ones come from an authority.
func makeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "teleport sample"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)}, // what clients dial
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
