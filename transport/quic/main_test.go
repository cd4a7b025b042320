package quic_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/internal/leak"
	"github.com/henrylee2cn/teleport/transport/quic"
)

func TestMain(m *testing.M) { leak.Main(m) }

// certificates returns the TLS configurations of a server at 127.0.0.1 and of its
// clients.
var certificates = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
})

// transportOf returns a Transport with the settings. Its conns do not linger for so
// long as to be there after the tests, when the last packets of one got lost.
func transportOf(config *quic.Config) *quic.Transport {
	var own quic.Config
	if config != nil {
		own = *config
	}
	if own.Linger == 0 {
		own.Linger = 2 * time.Second
	}
	return quic.New(&own)
}

// listen returns a listener on loopback, which the test's end closes.
func listen(t testing.TB, config *quic.Config) net.Listener {
	t.Helper()
	server, _ := certificates()
	lis, err := transportOf(config).Listen("127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis
}

func dial(t testing.TB, config *quic.Config, addr string) net.Conn {
	t.Helper()
	_, client := certificates()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := transportOf(config).Dial(ctx, addr, client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func accept(t testing.TB, lis net.Listener) net.Conn {
	t.Helper()
	conns := make(chan net.Conn, 1)
	go func() {
		if conn, err := lis.Accept(); err == nil {
			conns <- conn
		}
	}()
	conn := receive(t, conns)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// pair returns both ends of a conn through the relay, if there is one.
func pair(t testing.TB, config *quic.Config, faults ...faults) (client, server net.Conn) {
	t.Helper()
	lis := listen(t, config)
	addr := lis.Addr().String()
	if len(faults) > 0 {
		addr = newRelay(t, addr, faults[0]).addr()
	}
	client = dial(t, config, addr)
	return client, accept(t, lis)
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing came in %v", patience)
		panic("unreachable")
	}
}
