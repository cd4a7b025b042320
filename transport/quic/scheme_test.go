package quic_test

import (
	"errors"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// Peers listen on and dial addresses of the scheme, with their own TLS configurations.
func TestScheme(t *testing.T) {
	serverTLS, clientTLS := certificates()
	h := &heard{make(chan string, 1), make(chan bool, 1), make(chan error, 1)}
	server := talkerWith(&tp.PeerConfig{ListenAddrs: []string{"quic://127.0.0.1:0"}}, h)
	server.SetTLSConfig(serverTLS)
	ended := make(chan error, 1)
	go func() { ended <- server.Listen() }()
	t.Cleanup(func() {
		closePeer(t, server)
		if err := receive(t, ended); !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("Listen: %v", err)
		}
	})
	eventually(t, "the server listens", func() bool { return len(server.Addrs()) == 1 })
	addr := server.Addrs()[0].String()
	if !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Fatalf("the address %s", addr)
	}
	client := talkerWith(&tp.PeerConfig{}, h)
	client.SetTLSConfig(clientTLS)
	t.Cleanup(func() { closePeer(t, client) })
	sess, rerr := client.Dial("quic://" + addr)
	if rerr != nil {
		t.Fatal(rerr)
	}
	converse(t, sess, h)

	plain := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"quic://127.0.0.1:0"}})
	defer closePeer(t, plain)
	if err := plain.Listen(); err == nil || !strings.Contains(err.Error(), "TlsCertFile") {
		t.Errorf("Listen without a certificate: %v", err)
	}
	if _, rerr := plain.Dial("quic://" + addr); rerr == nil || !strings.Contains(rerr.Detail, "certificate") {
		t.Errorf("Dial without the root: %v", rerr)
	}
}
