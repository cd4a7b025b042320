package socket_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// connKinds are the conns that sockets are made of.
var connKinds = []connKind{
	{"tcp", tcpPair},
	{"unix", unixPair},
	{"tls", tlsPair},
	{"pipe", func(testing.TB) (a, b net.Conn) { return net.Pipe() }},
}

type connKind struct {
	name string
	pair func(testing.TB) (a, b net.Conn)
}

// conns returns both ends, the first as a Conn. They are closed at the end.
func (k connKind) conns(t testing.TB, protoFunc ...socket.ProtoFunc) (*socket.Conn, net.Conn) {
	return k.connsWith(t, socket.Options{}, protoFunc...)
}

func (k connKind) connsWith(t testing.TB, opt socket.Options, protoFunc ...socket.ProtoFunc) (*socket.Conn, net.Conn) {
	a, b := k.pair(t)
	c := socket.NewConn(a, opt, protoFunc...)
	t.Cleanup(func() { c.Close(); b.Close() })
	return c, b
}

// tcp is the kind for tests that need no other.
var tcp = connKinds[0]

func tcpPair(t testing.TB) (a, b net.Conn) { return listenPair(t, "tcp", "127.0.0.1:0") }

func unixPair(t testing.TB) (a, b net.Conn) {
	return listenPair(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func listenPair(t testing.TB, network, address string) (a, b net.Conn) {
	t.Helper()
	lis, err := net.Listen(network, address)
	noError(t, err)
	defer lis.Close()
	a, err = net.Dial(network, lis.Addr().String())
	noError(t, err)
	b, err = lis.Accept()
	noError(t, err)
	return a, b
}

func tlsPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	a, b = tcpPair(t)
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	client := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	noError(t, client.Handshake())
	noError(t, <-done)
	return client, server
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// pack returns the frame that FastProto makes of p.
func pack(t testing.TB, p *socket.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	noError(t, socket.NewFastProto(&b).Pack(p))
	return b.Bytes()
}

// unpack reads p from the frame by FastProto.
func unpack(frame []byte, p *socket.Packet) error {
	return socket.NewFastProto(bytes.NewBuffer(frame)).Unpack(p)
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError fails unless err wraps want.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error: got %v, want %v", err, want)
	}
}
