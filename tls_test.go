package tp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// newCert returns files of a certificate for 127.0.0.1, and who trusts it.
func newCert(t testing.TB) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots = x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	roots.AppendCertsFromPEM(certPEM)
	for file, b := range map[string][]byte{
		certFile: certPEM,
		keyFile:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, roots
}

func TestTLS(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	srv := newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile, AcceptTimeout: 100 * time.Millisecond})
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	cli.SetTLSConfig(&tls.Config{RootCAs: roots})
	sess := dial(t, cli, addr)
	body := strings.Repeat("x", 1<<20)
	if got, rerr := tp.Pull[string](sess, "/echo", body); rerr != nil || got != body {
		t.Errorf("got %d bytes, %v", len(got), rerr)
	}
	if err := sess.Close(); err != nil {
		t.Error(err)
	}
	receive(t, sess.CloseNotify())

	stranger := newPeer(t, tp.PeerConfig{})
	stranger.SetTLSConfig(new(tls.Config))
	if _, rerr := stranger.Dial(addr); rerr == nil || rerr.Code != tp.CodeDialFailed || !strings.Contains(rerr.Detail, "certificate") {
		t.Errorf("Dial without the root: %v", rerr)
	}
	old := newPeer(t, tp.PeerConfig{})
	old.SetTLSConfig(&tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11})
	if _, rerr := old.Dial(addr); rerr == nil {
		t.Error("TLS 1.1 was let in")
	}

	// Who speaks plain gets no plain answer, and who is silent is cut off.
	plain, silent := dialWire(t, addr), dialWire(t, addr)
	plain.send(jsonPull(0, "/echo", `"in the clear"`))
	b := make([]byte, 1<<10)
	_ = plain.SetReadDeadline(time.Now().Add(patience))
	for n, err := plain.Read(b); err == nil; n, err = plain.Read(b) {
		if strings.Contains(string(b[:n]), "in the clear") {
			t.Error("plain text is served")
		}
	}
	silent.wantClosed()
	noRerror(t, dial(t, cli, addr).Pull("/echo", nil, nil).Rerror())
}

// TLS files were ignored, and plain text served.
func TestTLSFilesThatAreBad(t *testing.T) {
	certFile, keyFile, _ := newCert(t)
	_, otherKey, _ := newCert(t)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][2]string{
		"missing":     {"/nowhere/cert.pem", keyFile},
		"garbage":     {garbage, keyFile},
		"another key": {certFile, otherKey},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{TlsCertFile: files[0], TlsKeyFile: files[1], ListenAddrs: []string{"127.0.0.1:0"}})
			if err := p.Listen(); err == nil || !strings.Contains(err.Error(), files[0]) {
				t.Errorf("Listen returned %v, want the file's name", err)
			}
			addr, _ := wireServer(t)
			if _, rerr := p.Dial(addr); rerr == nil || !strings.Contains(rerr.Detail, files[0]) {
				t.Errorf("Dial returned %v, want the file's name", rerr)
			}
			if len(p.Addrs()) != 0 {
				t.Error("it listens")
			}
		})
	}
	wantPanic(t, func() { tp.NewPeer(&tp.PeerConfig{TlsCertFile: certFile}) }, "TlsKeyFile")
	noCert := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"127.0.0.1:0"}})
	noCert.SetTLSConfig(new(tls.Config))
	if err := noCert.Listen(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("Listen without a certificate returned %v", err)
	}
}
