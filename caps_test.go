package tp_test

import (
	"net"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

const saysCaps = tp.MetaCapsKey + "=1"

// A PING is answered with a PONG of its number; CANCEL and PONG ask for
// nothing; and a type that does not exist ends the session.
func TestControlTypes(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	for _, unknown := range []byte{0, 8, 200} {
		w := dialWire(t, addr)
		w.send(frame{seq: 77, ptype: tp.TypePing})
		// That was the first which the peer heard, and it has said nothing yet.
		if f := w.next(); f.ptype != tp.TypePing {
			t.Fatalf("got %+v, want a PING", f)
		}
		if f := w.next(); (f != frame{seq: 77, ptype: tp.TypePong}) {
			t.Errorf("got %+v, want the PONG", f)
		}
		w.send(frame{ptype: tp.TypePong}, frame{seq: 5, ptype: tp.TypeCancel}, frame{seq: 1, ptype: tp.TypePong},
			jsonPull(3, "/echo", `"x"`))
		if f := w.next(); f.ptype != tp.TypeReply || f.seq != 3 || f.body != `"x"` {
			t.Errorf("got %+v, want the reply", f)
		}
		w.send(frame{ptype: unknown}, jsonPull(4, "/echo", `"y"`))
		w.wantClosed()
	}
}

// Each side announces on its first pull or push and on its first reply, and
// what hears of it, having said nothing, says PING.
func TestAnnouncements(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	w := dialWire(t, addr)
	first := jsonPull(0, "/echo", "1")
	first.meta = saysCaps
	w.send(first)
	if f := w.next(); f.ptype != tp.TypePing {
		t.Errorf("got %+v, want a PING", f)
	}
	sess := only(t, srv)
	for i := range 3 {
		if i > 0 {
			w.send(jsonPull(uint64(i), "/echo", "1"))
		}
		if f := w.next(); f.ptype != tp.TypeReply || f.announces() != (i == 0) {
			t.Errorf("reply %d is %+v", i, f)
		}
		noRerror(t, sess.Push("/x", nil))
		if f := w.next(); f.ptype != tp.TypePush || f.announces() != (i == 0) {
			t.Errorf("push %d is %+v", i, f)
		}
	}
}

// A first packet that cannot be packed announces nothing, so the next must.
func TestAnnouncementIsNotLost(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "bad", func(tp.PullCtx, *interface{}) (interface{}, *tp.Rerror) { return make(chan int), nil })
	w := dialWire(t, serve(t, srv))
	w.send(jsonPull(0, "/bad", "1"))
	if f := w.next(); !f.announces() || f.rerror(t) == nil {
		t.Errorf("the first reply is %+v", f)
	}
	sess := only(t, srv)
	wantCode(t, sess.Push("/x", make(chan int)), tp.CodeBadPacket, "")
	noRerror(t, sess.Push("/x", 1))
	if f := w.next(); !f.announces() {
		t.Errorf("the first push is %+v", f)
	}
}

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
