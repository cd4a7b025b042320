package proto_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/proto/pbproto"
	"github.com/henrylee2cn/teleport/proto/rawproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

// protos are all formats, and what they carry beside pulls, replies and pushes of the
// side that dials.
var protos = []struct {
	name    string
	make    socket.ProtoFunc
	control bool // CANCEL, GOAWAY, PING and PONG
	bothWay bool // pulls and pushes of both sides
}{
	{"fast", socket.NewFastProto, true, true},
	{"raw", rawproto.NewProtoFunc(), false, true},
	{"json", jsonproto.NewProtoFunc(), true, true},
	{"pb", pbproto.NewProtoFunc(), true, true},
	{"http", httproto.NewProtoFunc(), false, false},
}

// The same conversation in each format: pull, push, errors, 1 MiB, a thousand at once,
// filters, cancel, and close while calls are under way.
func TestConversation(t *testing.T) {
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			server, served := newPeer(tp.PeerConfig{})
			client, seen := newPeer(tp.PeerConfig{})
			sess, back := tptest.Pair(t, client, server, p.make)
			talk(t, sess, served)
			rerr := back.Push("/note", args{S: "back"})
			if p.bothWay {
				if rerr != nil {
					t.Fatal(rerr)
				}
				seen.push(t, "back")
				talk(t, back, seen)
			} else if rerr == nil || rerr.Code != tp.CodeBadPacket || !strings.Contains(rerr.Detail, "one way") {
				t.Errorf("a push of the other side: %v", rerr)
			}
			cancel(t, sess, served, p.control)
			closeInFlight(t, sess, served)
		})
	}
}

func talk(t *testing.T, sess tp.Session, other *seen) {
	t.Helper()
	got, rerr := tp.Pull[args](sess, "/group/home/test", args{A: 1, S: "ä"})
	if rerr != nil || got != (args{A: 2, S: "ä"}) {
		t.Fatalf("pull: %v, %v", got, rerr)
	}
	if rerr := sess.Push("/note", args{S: "first"}); rerr != nil {
		t.Fatalf("push: %v", rerr)
	}
	other.push(t, "first")
	for range 100 {
		if rerr := sess.Push("/note", args{S: "next"}); rerr != nil {
			t.Fatalf("push: %v", rerr)
		}
	}
	for range 100 {
		other.push(t, "next")
	}
	text, rerr := tp.Pull[string](sess, "/text", "x\n", tp.WithBodyCodec('s'))
	if rerr != nil || text != "re:x\n" {
		t.Errorf("text: %q, %v", text, rerr)
	}
	about, rerr := tp.Pull[string](sess, "/about?q=a%20b", nil, tp.WithAddMeta("X-Token", "t 1"))
	if rerr != nil || about != "/about a b t 1" {
		t.Errorf("query and meta data: %q, %v", about, rerr)
	}
	for _, code := range []int32{1001, -5, 404, 503} {
		_, rerr := tp.Pull[args](sess, "/fail", args{A: int(code)})
		if want := tp.NewRerror(code, "it <failed>", "of course\n\"so\""); rerr == nil || *rerr != *want {
			t.Errorf("error: %v, want %v", rerr, want)
		}
	}
	if _, rerr := tp.Pull[args](sess, "/nowhere", nil); rerr == nil || rerr.Code != tp.CodeNotFound {
		t.Errorf("no handler: %v", rerr)
	}
	large := bytes.Repeat([]byte("\x00\xffteleport"), 1<<20/10)
	echo, rerr := tp.Pull[[]byte](sess, "/echo", large, tp.WithBodyCodec('s'))
	if rerr != nil || !bytes.Equal(echo, large) {
		t.Errorf("1 MiB: %d bytes, %v", len(echo), rerr)
	}
	echo, rerr = tp.Pull[[]byte](sess, "/echo", large, tp.WithBodyCodec('s'), tp.WithXferPipe('g'))
	if rerr != nil || !bytes.Equal(echo, large) {
		t.Errorf("1 MiB through gzip: %d bytes, %v", len(echo), rerr)
	}
	manyAtOnce(t, sess, 1000)
}

func manyAtOnce(t *testing.T, sess tp.Session, n int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got, rerr := tp.Pull[args](sess, "/group/home/test", args{A: i})
			if rerr != nil || got.A != i+1 {
				t.Errorf("pull %d: %v, %v", i, got, rerr)
			}
		})
	}
	all.Wait()
}

// cancel gives up a pull. Where the format has CANCEL, its handler learns that.
func cancel(t *testing.T, sess tp.Session, served *seen, told bool) {
	t.Helper()
	ctx, giveUp := context.WithCancel(context.Background())
	ended := make(chan *tp.Rerror, 1)
	go func() {
		_, rerr := tp.Pull[args](sess, "/wait", args{}, tp.WithContext(ctx))
		ended <- rerr
	}()
	served.push(t, "waits")
	giveUp()
	if rerr := <-ended; rerr == nil || rerr.Code != tp.CodeCanceled {
		t.Errorf("cancel: %v", rerr)
	}
	if told {
		select {
		case err := <-served.ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the handler's context: %v", err)
			}
		case <-time.After(bound):
			t.Error("the handler was not told")
		}
	} else {
		served.release <- struct{}{}
	}
	if got, rerr := tp.Pull[args](sess, "/group/home/test", args{A: 1}); rerr != nil || got.A != 2 {
		t.Errorf("after the cancel: %v, %v", got, rerr)
	}
}

// closeInFlight closes the session while a pull is under way, which must be answered.
func closeInFlight(t *testing.T, sess tp.Session, served *seen) {
	t.Helper()
	ended := make(chan *tp.Rerror, 1)
	go func() {
		got, rerr := tp.Pull[args](sess, "/wait", args{A: 7})
		if rerr == nil && got.A != 7 {
			t.Errorf("got %v", got)
		}
		ended <- rerr
	}()
	served.push(t, "waits")
	if err := sess.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	served.release <- struct{}{}
	if rerr := <-ended; rerr != nil {
		t.Errorf("the pull under way: %v", rerr)
	}
	select {
	case <-sess.CloseNotify():
	case <-time.After(bound):
		t.Error("the session did not end")
	}
}

// A peer that shuts down answers what is under way, in each format.
func TestShutdownAnswers(t *testing.T) {
	for _, p := range protos {
		t.Run(p.name, func(t *testing.T) {
			server, served := newPeer(tp.PeerConfig{})
			client, _ := newPeer(tp.PeerConfig{})
			sess, _ := tptest.Pair(t, client, server, p.make)
			ended := make(chan *tp.Rerror, 1)
			go func() {
				_, rerr := tp.Pull[args](sess, "/wait", args{A: 7})
				ended <- rerr
			}()
			served.push(t, "waits")
			down := make(chan error, 1)
			go func() { down <- server.Shutdown(context.Background()) }()
			served.release <- struct{}{}
			if rerr := <-ended; rerr != nil {
				t.Errorf("the pull under way: %v", rerr)
			}
			if err := <-down; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// One peer speaks all formats, each on a listener of its own, and proxies nothing: what
// one session does is not seen by another.
func TestMixedOnOnePeer(t *testing.T) {
	server, served := newPeer(tp.PeerConfig{})
	client, _ := newPeer(tp.PeerConfig{})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	first := true
	var all sync.WaitGroup
	for _, p := range protos {
		addr := ""
		if first {
			addr = tptest.Serve(t, server, p.make)
			first = false
		} else {
			addr = listen(t, server, p.make)
		}
		sess, rerr := client.Dial(addr, p.make)
		if rerr != nil {
			t.Fatal(rerr)
		}
		all.Go(func() { manyAtOnce(t, sess, 200) })
		all.Go(func() {
			if rerr := sess.Push("/note", args{S: "mixed"}); rerr != nil {
				t.Errorf("%s: %v", p.name, rerr)
			}
		})
	}
	all.Wait()
	for range protos {
		served.push(t, "mixed")
	}
	server.RangeSession(func(sess tp.Session) bool { // those that can be pushed to
		_ = sess.Push("/note", args{S: "to all"})
		return true
	})
}

// listen makes a peer that serves already listen once more.
func listen(t *testing.T, p *tp.Peer, protoFunc socket.ProtoFunc) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.ServeListener(lis, protoFunc) }()
	t.Cleanup(func() {
		_ = p.Close()
		if err := <-ended; !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("ServeListener: %v", err)
		}
	})
	return lis.Addr().String()
}
