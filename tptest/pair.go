package tptest

import (
	"errors"
	"net"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// pairTimeout is how long Pair waits for the session of the server.
const pairTimeout = 10 * time.Second

// Serve makes the peer listen on a free port of 127.0.0.1, with TLS if it has
// that, and returns the address. At the test's end it closes the peer, and
// fails the test if that had to cut anything off.
func Serve(t testing.TB, server *tp.Peer, protoFunc ...socket.ProtoFunc) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("tptest: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeListener(lis, protoFunc...) }() // waited for at the test's end
	t.Cleanup(func() {
		closePeer(t, server)
		if err := <-ended; !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("tptest: ServeListener: %v", err)
		}
	})
	return lis.Addr().String()
}

// Pair connects the client to the server, by TCP on loopback, as Serve and
// tp.Peer.Dial do, so that all plugins run and TLS is used if both have it. It
// returns the session of either side, and fails the test if there is none.
// Handlers may be registered before or after.
//
// At the test's end it closes both peers, and fails the test if that had to cut
// anything off. No goroutine of theirs is left then.
func Pair(t testing.TB, client, server *tp.Peer, protoFunc ...socket.ProtoFunc) (atClient, atServer tp.Session) {
	t.Helper()
	addr := Serve(t, server, protoFunc...)
	t.Cleanup(func() { closePeer(t, client) })
	atClient, rerr := client.Dial(addr, protoFunc...)
	if rerr != nil {
		t.Fatalf("tptest: Dial: %v", rerr)
	}
	for end := time.Now().Add(pairTimeout); ; time.Sleep(time.Millisecond) {
		server.RangeSession(func(sess tp.Session) bool {
			if sess.RemoteIp() == atClient.LocalIp() {
				atServer = sess
			}
			return atServer == nil
		})
		switch {
		case atServer != nil:
			return atClient, atServer
		case !atClient.Health():
			t.Fatalf("tptest: the server did not accept the session: its log says why")
		case time.Now().After(end):
			t.Fatalf("tptest: the server has no session after %v", pairTimeout)
		}
	}
}

func closePeer(t testing.TB, p *tp.Peer) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Errorf("tptest: closing a peer: %v", err)
	}
}
