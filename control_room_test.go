package tp_test

import (
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// A packet may be larger than the outgoing queue and its reserve together.
// While it is on its way the reader can still answer.
func TestReaderAnswersBehindALargePacket(t *testing.T) {
	server := newPeer(t, tp.PeerConfig{})
	handled := make(chan bool, 1)
	tp.RegPull(server.PullRouter.Dispatch(tp.DispatchInline), "inline", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		handled <- true
		return 1, nil
	})
	client := dialWire(t, serve(t, server))
	pushed := make(chan *tp.Rerror, 1)
	large := strings.Repeat("x", 14<<20)
	sess := only(t, server)
	go func() { pushed <- sess.Push("/large", []byte(large)) }()
	if _, err := client.r.Peek(4); err != nil { // it is under way
		t.Fatal(err)
	}
	client.send(jsonPull(7, "/inline", "1"))
	receive(t, handled)
	time.Sleep(20 * time.Millisecond) // the reader answers
	if f := client.next(); len(f.body) != len(large) {
		t.Fatalf("the push has %d bytes", len(f.body))
	}
	if f := client.next(); f.ptype != tp.TypeReply || f.seq != 7 {
		t.Fatalf("got %+v, want the reply", f)
	}
	noRerror(t, receive(t, pushed))
}

// A side that closes says so, and the packet that is on its way arrives.
func TestShutdownBehindALargePacket(t *testing.T) {
	server := newPeer(t, tp.PeerConfig{})
	client := dialWire(t, serve(t, server))
	client.send(frame{ptype: tp.TypePing}) // it understands GOAWAY
	for client.next().ptype != tp.TypePong {
	}
	sess := only(t, server)
	pushed := make(chan *tp.Rerror, 1)
	large := strings.Repeat("x", 14<<20)
	go func() { pushed <- sess.Push("/large", []byte(large)) }()
	if _, err := client.r.Peek(4); err != nil { // it is under way
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	eventually(t, "the session is closing", func() bool { return !sess.IsOk() })
	time.Sleep(20 * time.Millisecond)
	if f := client.next(); len(f.body) != len(large) {
		t.Fatalf("the push has %d bytes", len(f.body))
	}
	if f := client.next(); f.ptype != tp.TypeGoAway {
		t.Fatalf("got %+v, want GOAWAY", f)
	}
	_ = client.Close()
	noRerror(t, receive(t, pushed))
	if err := receive(t, closed); err != nil {
		t.Errorf("Close: %v", err)
	}
}
