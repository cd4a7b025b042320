package tp_test

import (
	"net"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// dialBare returns a session of p and the bare socket at its other end.
func dialBare(t *testing.T, p *tp.Peer) (tp.Session, socket.Socket) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	sess := dial(t, p, lis.Addr().String())
	conn, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := socket.NewSocket(conn)
	t.Cleanup(func() { _ = s.Close() })
	return sess, s
}

func TestAnnouncedAgainIfNotSent(t *testing.T) {
	sess, other := dialBare(t, newPeer(t, tp.PeerConfig{}))
	wantCode(t, sess.Push("/first", make(chan int)), tp.CodeBadPacket, "")
	noRerror(t, sess.Push("/second", 2))
	noRerror(t, sess.Push("/third", 3))
	for _, want := range []string{"1", ""} {
		p := socket.NewPacket()
		if err := other.ReadPacket(p); err != nil {
			t.Fatal(err)
		}
		if got := string(p.Meta().Peek(tp.MetaCapsKey)); got != want {
			t.Errorf("%s: %s = %q, want %q", p.Uri(), tp.MetaCapsKey, got, want)
		}
	}
}
