package tp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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

// authority signs certificates. All have one name, so that only their keys
// tell them apart: a client shows its certificate to a server that trusts
// another one, which has to verify it.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.pem = a.sign(func(cert *x509.Certificate) {
		cert.IsCA, cert.BasicConstraintsValid, cert.IPAddresses = true, true, nil
		cert.Subject = pkix.Name{CommonName: "authority"}
	})
	return a
}

// sign returns a certificate for 127.0.0.1 that change has changed.
func (a *authority) sign(change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(cert)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue returns a certificate and its key as PEM.
func (a *authority) issue(change func(*x509.Certificate)) (cert, key []byte) {
	a.t.Helper()
	_, private, cert := a.sign(change)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func good(*x509.Certificate)         {}
func expired(cert *x509.Certificate) { cert.NotAfter = time.Now().Add(-time.Minute) }
func elsewhere(cert *x509.Certificate) {
	cert.IPAddresses, cert.DNSNames = nil, []string{"elsewhere.example"}
}

func serial(n int64) func(*x509.Certificate) {
	return func(cert *x509.Certificate) { cert.SerialNumber = big.NewInt(n) }
}

// tlsDir is a directory for the files of a peer.
type tlsDir struct {
	t   *testing.T
	dir string
}

func newTLSDir(t *testing.T) tlsDir { return tlsDir{t, t.TempDir()} }

func (d tlsDir) path(name string) string { return filepath.Join(d.dir, name) }

// put replaces a file at once, as a careful operator does.
func (d tlsDir) put(name string, content []byte) string {
	d.t.Helper()
	if err := os.WriteFile(d.path("unfinished"), content, 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(d.path("unfinished"), d.path(name)); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

// identify puts a certificate and its key there, and names them in cfg.
func (d tlsDir) identify(cfg *tp.PeerConfig, cert, key []byte) {
	d.t.Helper()
	cfg.TlsCertFile, cfg.TlsKeyFile = d.put("cert.pem", cert), d.put("key.pem", key)
}

// served returns the serial number of the certificate that a server shows now.
func served(t *testing.T, addr string, a *authority) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// reach dials and pulls: with TLS 1.3 a client that is refused notices it only
// after the dial.
func reach(p *tp.Peer, addr string) *tp.Rerror {
	sess, rerr := p.Dial(addr)
	if rerr != nil {
		return rerr
	}
	defer sess.Close()
	return sess.Pull("/echo", []byte("x"), nil).Rerror()
}

// wantReach fails unless a pull through p's files comes to want: reached, or
// not.
func wantReach(t *testing.T, p *tp.Peer, addr string, want bool) {
	t.Helper()
	if rerr := reach(p, addr); (rerr == nil) != want {
		t.Errorf("got %v, want it to be reached: %v", rerr, want)
	}
}

func TestTLSByFiles(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	for _, test := range []struct {
		name           string
		server         *authority // of the server's certificate
		serverCert     func(*x509.Certificate)
		client         *authority // of the client's, nil for none
		clientCert     func(*x509.Certificate)
		dialFails      string // in the error of Dial
		handshakeFails string // in the log of the server
	}{
		{"good", ours, good, ours, good, "", ""},
		{"server of another authority", theirs, good, ours, good, "unknown authority", "bad certificate"},
		{"server expired", ours, expired, ours, good, "expired", "bad certificate"},
		{"server elsewhere", ours, elsewhere, ours, good, "127.0.0.1", "bad certificate"},
		{"no client certificate", ours, good, nil, nil, "", "client didn't provide a certificate"},
		{"client of another authority", ours, good, theirs, good, "", "unknown authority"},
		{"client expired", ours, good, ours, expired, "", "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srvDir, cliDir, book := newTLSDir(t), newTLSDir(t), new(logBook)
			srvCfg := tp.PeerConfig{TlsClientCaFile: srvDir.put("ca.pem", ours.pem), Logger: book}
			cert, key := test.server.issue(test.serverCert)
			srvDir.identify(&srvCfg, cert, key)
			srv := newPeer(t, srvCfg)
			echo(srv)
			addr := serve(t, srv)

			cliCfg := tp.PeerConfig{TlsRootCaFile: cliDir.put("ca.pem", ours.pem)}
			if test.client != nil {
				cert, key := test.client.issue(test.clientCert)
				cliDir.identify(&cliCfg, cert, key)
			}
			cli := newPeer(t, cliCfg)
			rerr := reach(cli, addr)
			if test.dialFails != "" {
				wantCode(t, rerr, tp.CodeDialFailed, test.dialFails)
			}
			if test.handshakeFails == "" {
				noRerror(t, rerr)
				return
			}
			if rerr == nil {
				t.Error("it was reached")
			}
			eventually(t, "the reason is logged", func() bool {
				line := lineWith(book.String(), "TLS handshake")
				return strings.Contains(line, test.handshakeFails)
			})
		})
	}
}

// The name is verified unless the program itself turns that off.
func TestTLSServerName(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), newTLSDir(t)
	var cfg tp.PeerConfig
	cert, key := ca.issue(elsewhere)
	dir.identify(&cfg, cert, key)
	srv := newPeer(t, cfg)
	echo(srv)
	addr := serve(t, srv)
	for _, test := range []struct {
		name   string
		config *tls.Config
		want   bool
	}{
		{"default", &tls.Config{RootCAs: ca.pool()}, false},
		{"wrong", &tls.Config{RootCAs: ca.pool(), ServerName: "here.example"}, false},
		{"right", &tls.Config{RootCAs: ca.pool(), ServerName: "elsewhere.example"}, true},
		{"not verified", &tls.Config{InsecureSkipVerify: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cli := newPeer(t, tp.PeerConfig{TlsRootCaFile: dir.put("ca.pem", ca.pem)})
			wantReach(t, cli, addr, false)
			cli.SetTLSConfig(test.config)
			wantReach(t, cli, addr, test.want)
			cli.SetTLSConfig(nil)
			wantReach(t, cli, addr, false)
		})
	}
}

// The file of roots alone makes a client, never a plain one.
func TestTLSRootCaFileAlone(t *testing.T) {
	t.Parallel()
	dir := newTLSDir(t)
	root := dir.put("ca.pem", newAuthority(t).pem)
	cli := newPeer(t, tp.PeerConfig{TlsRootCaFile: root, ListenAddrs: []string{"127.0.0.1:0"}})
	if err := ended(t, cli); err == nil || !strings.Contains(err.Error(), "TlsRootCaFile is set and there is no certificate") {
		t.Errorf("Listen returned %v", err)
	}
	plain := newPeer(t, tp.PeerConfig{AcceptTimeout: 100 * time.Millisecond})
	if _, rerr := cli.Dial(serve(t, plain)); rerr == nil {
		t.Error("a plain server was dialled")
	}
}

// A CA file that is bad is an error that names it, and nobody listens or dials.
func TestTLSCaFilesThatAreBad(t *testing.T) {
	t.Parallel()
	ca, other, dir := newAuthority(t), newAuthority(t), newTLSDir(t)
	cert, key := ca.issue(good)
	two := append(bytes.Clone(ca.pem), other.pem...)
	for name, test := range map[string]struct {
		content []byte // nil: there is no file
		text    string
	}{
		"missing.pem": {nil, "missing.pem"},
		"empty.pem":   {[]byte{}, "no certificate in it"},
		"text.pem":    {[]byte("no PEM"), "no certificate in it"},
		"key.pem":     {key, "PEM block 1 is a PRIVATE KEY"},
		"cut.pem":     {two[:len(two)-10], "2 PEM blocks begin and 1 are whole"},
		"damaged.pem": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("?")}), "PEM block 1: x509"},
	} {
		t.Run(name, func(t *testing.T) {
			path := dir.path("bad-" + name)
			if test.content != nil {
				dir.put("bad-"+name, test.content)
			}
			cfg := tp.PeerConfig{TlsClientCaFile: path, ListenAddrs: []string{"127.0.0.1:0"}}
			dir.identify(&cfg, cert, key)
			srv := newPeer(t, cfg)
			if err := ended(t, srv); err == nil || !strings.Contains(err.Error(), "PeerConfig.TlsClientCaFile") || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Listen returned %v, want the field and %q", err, test.text)
			}
			cli := newPeer(t, tp.PeerConfig{TlsRootCaFile: path})
			addr, _ := wireServer(t)
			_, rerr := cli.Dial(addr)
			wantCode(t, rerr, tp.CodeDialFailed, "PeerConfig.TlsRootCaFile")
			wantCode(t, rerr, tp.CodeDialFailed, test.text)
			if test.content == nil {
				return
			}
			// What was bad at first is used as soon as it is good.
			dir.put("bad-"+name, ca.pem)
			okCfg := tp.PeerConfig{}
			dir.identify(&okCfg, cert, key)
			ok := newPeer(t, okCfg)
			echo(ok)
			wantReach(t, cli, serve(t, ok), true)
		})
	}
}

func TestTLSCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	ca, dir, book := newAuthority(t), newTLSDir(t), new(logBook)
	cfg := tp.PeerConfig{Logger: book}
	cert, key := ca.issue(serial(1))
	dir.identify(&cfg, cert, key)
	srv := newPeer(t, cfg)
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{TlsRootCaFile: dir.put("ca.pem", ca.pem)})
	before := dial(t, cli, addr)
	if n := served(t, addr, ca); n != 1 {
		t.Fatalf("certificate %d is served, want 1", n)
	}

	info, err := os.Stat(cfg.TlsCertFile)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = ca.issue(serial(2))
	dir.identify(&cfg, cert, key)
	// The times of files tell nothing: some tools keep those of the source.
	for _, file := range []string{cfg.TlsCertFile, cfg.TlsKeyFile} {
		if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the certificate is in use", func() bool { return served(t, addr, ca) == 2 })
	if line := lineWith(book.String(), "in use from the next handshake on"); !strings.HasPrefix(line, "INFO PeerConfig.TlsCertFile") {
		t.Errorf("the log says %q", book)
	}
	noRerror(t, before.Pull("/echo", []byte("x"), nil).Rerror())
}

// What is bad when it changes is logged once, however many handshakes see it,
// and the certificate before it is served.
func TestTLSCertificateThatTurnsBad(t *testing.T) {
	t.Parallel()
	ca, dir, book := newAuthority(t), newTLSDir(t), new(logBook)
	cfg := tp.PeerConfig{Logger: book}
	cert, key := ca.issue(serial(1))
	dir.identify(&cfg, cert, key)
	addr := serve(t, newPeer(t, cfg))
	lines := func() int { return strings.Count(book.String(), "ERROR PeerConfig.TlsCertFile") }
	still := func() {
		t.Helper()
		if n := served(t, addr, ca); n != 1 {
			t.Fatalf("certificate %d is served, want 1", n)
		}
	}
	still() // it listens
	cert2, key2 := ca.issue(serial(2))
	for i, change := range []func(){
		func() { dir.put("cert.pem", cert2) }, // of another key
		func() { dir.put("cert.pem", cert2[:len(cert2)/2]) },
		func() { // the second half of a chain is missing
			dir.put("cert.pem", append(bytes.Clone(cert), ca.pem[:len(ca.pem)/2]...))
		},
		func() {
			if err := os.Remove(cfg.TlsCertFile); err != nil {
				t.Fatal(err)
			}
		},
	} {
		change()
		eventually(t, "the change is logged", func() bool { still(); return lines() > i })
	}
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		still() // the files are looked at more than once
	}
	if lines() != 4 {
		t.Errorf("%d lines for 4 changes:\n%s", lines(), book)
	}
	// Who begins to listen now is told.
	cfg.ListenAddrs = []string{"127.0.0.1:0"}
	if err := ended(t, newPeer(t, cfg)); err == nil {
		t.Error("a listener began without a certificate")
	}
	dir.put("key.pem", key2)
	dir.put("cert.pem", cert2)
	eventually(t, "the certificate is in use", func() bool { return served(t, addr, ca) == 2 })
}

// ended returns the error of a Listen that is to fail.
func ended(t *testing.T, p *tp.Peer) error {
	t.Helper()
	listened := make(chan error, 1)
	go func() { listened <- p.Listen() }()
	return receive(t, listened)
}

// A client whose authority was taken out of the file does not come back, also
// not by resuming a session of before; one that is connected stays.
func TestTLSClientCaIsChanged(t *testing.T) {
	t.Parallel()
	first, second, dir := newAuthority(t), newAuthority(t), newTLSDir(t)
	var cfg tp.PeerConfig
	cert, key := first.issue(good)
	dir.identify(&cfg, cert, key)
	cfg.TlsClientCaFile = dir.put("clients.pem", first.pem)
	srv := newPeer(t, cfg)
	echo(srv)
	addr := serve(t, srv)

	clientOf := func(ca *authority, config *tls.Config) *tp.Peer {
		cert, key := ca.issue(good)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		cli := newPeer(t, tp.PeerConfig{})
		config.RootCAs, config.Certificates = first.pool(), []tls.Certificate{pair}
		cli.SetTLSConfig(config)
		return cli
	}
	var resumed, shaken int // in the goroutine of Dial
	counts := func(state tls.ConnectionState) error {
		shaken++
		if state.DidResume {
			resumed++
		}
		return nil
	}
	old12 := clientOf(first, &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0), VerifyConnection: counts, MaxVersion: tls.VersionTLS12})
	old13 := clientOf(first, &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0), VerifyConnection: counts})
	young := clientOf(second, new(tls.Config))
	stays := dial(t, old13, addr)
	noRerror(t, stays.Pull("/echo", []byte("x"), nil).Rerror())
	for range 2 {
		wantReach(t, old12, addr, true)
		wantReach(t, old13, addr, true)
	}
	wantReach(t, young, addr, false)

	dir.put("clients.pem", second.pem)
	eventually(t, "the other authority is trusted", func() bool { return reach(young, addr) == nil })
	wantReach(t, old12, addr, false)
	wantReach(t, old13, addr, false)
	noRerror(t, stays.Pull("/echo", []byte("x"), nil).Rerror())
	if resumed != 0 || shaken < 5 {
		t.Errorf("%d of %d handshakes resumed a session", resumed, shaken)
	}
}

// A dial uses the roots and the certificate that the files hold now, each also
// while the other is bad.
func TestTLSFilesOfADial(t *testing.T) {
	t.Parallel()
	first, second, srvDir, dir := newAuthority(t), newAuthority(t), newTLSDir(t), newTLSDir(t)
	srvCfg := tp.PeerConfig{TlsClientCaFile: srvDir.put("clients.pem", second.pem)}
	cert, key := second.issue(good)
	srvDir.identify(&srvCfg, cert, key)
	srv := newPeer(t, srvCfg)
	echo(srv)
	addr := serve(t, srv)

	cfg := tp.PeerConfig{TlsRootCaFile: dir.put("roots.pem", first.pem)}
	cert, key = first.issue(good)
	dir.identify(&cfg, cert, key)
	cli := newPeer(t, cfg)
	_, rerr := cli.Dial(addr)
	wantCode(t, rerr, tp.CodeDialFailed, "unknown authority")

	dir.put("cert.pem", []byte("being written"))
	dir.put("roots.pem", second.pem)
	eventually(t, "the server is trusted", func() bool { _, rerr := cli.Dial(addr); return rerr == nil })
	wantReach(t, cli, addr, false)
	dir.put("roots.pem", []byte("being written"))
	cert, key = second.issue(good)
	dir.identify(&cfg, cert, key)
	eventually(t, "the server trusts the client", func() bool { return reach(cli, addr) == nil })
}

// Who does not finish a handshake is cut off, and it is logged.
func TestTLSHandshakesThatStall(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), newTLSDir(t)
	cert, key := ca.issue(good)
	for name, test := range map[string]struct {
		sends string
		bound time.Duration
		logs  string
	}{
		"silent":       {"", 100 * time.Millisecond, "deadline exceeded"},
		"half a hello": {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 100 * time.Millisecond, "deadline exceeded"},
		// Bytes that are no TLS need no bound.
		"garbage": {"GET / HTTP/1.1\r\n\r\n", time.Hour, "first record does not look like a TLS handshake"},
		"zeros":   {strings.Repeat("\x00", 4096), time.Hour, "first record does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			book := new(logBook)
			cfg := tp.PeerConfig{AcceptTimeout: test.bound, Logger: book}
			dir.identify(&cfg, cert, key)
			srv := newPeer(t, cfg)
			echo(srv)
			addr := serve(t, srv)
			w := dialWire(t, addr)
			w.sendBytes([]byte(test.sends))
			_ = w.SetReadDeadline(time.Now().Add(patience))
			for b := make([]byte, 64); ; { // an alert may come first
				if _, err := w.Read(b); err != nil {
					if net, ok := err.(net.Error); ok && net.Timeout() {
						t.Error("the connection is not closed")
					}
					break
				}
			}
			eventually(t, "it is logged", func() bool {
				line := lineWith(book.String(), "TLS handshake")
				return strings.HasPrefix(line, "WARN conn 127.0.0.1:") && strings.Contains(line, test.logs)
			})
			served(t, addr, ca) // others are let in
		})
	}
}

// The handshake of a dial is bounded, and Close ends it.
func TestTLSDialThatStalls(t *testing.T) {
	t.Parallel()
	dir := newTLSDir(t)
	root := dir.put("ca.pem", newAuthority(t).pem)
	start := func(p *tp.Peer, addr string) <-chan *tp.Rerror {
		dialled := make(chan *tp.Rerror, 1)
		go func() {
			_, rerr := p.Dial(addr)
			dialled <- rerr
		}()
		return dialled
	}
	addr, accept := wireServer(t)
	bounded := newPeer(t, tp.PeerConfig{TlsRootCaFile: root, DefaultDialTimeout: 100 * time.Millisecond})
	dialled := start(bounded, addr)
	accept() // and nobody answers
	wantCode(t, receive(t, dialled), tp.CodeDialFailed, "deadline exceeded")

	closed := newPeer(t, tp.PeerConfig{TlsRootCaFile: root, DefaultDialTimeout: -1})
	dialled = start(closed, addr)
	w := accept()
	if _, err := w.Read(make([]byte, 1)); err != nil { // the handshake has begun
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	wantCode(t, receive(t, dialled), tp.CodeDialFailed, "")
}
