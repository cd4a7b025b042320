package tp_test

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// What a peer can do that means harm, or is out of its mind.

// A pull whose answer does not fit was never answered.
func TestHostilePullIsAnswered(t *testing.T) {
	const limit = 64 << 10
	p := newPeer(t, tp.PeerConfig{PacketSizeLimit: limit, UriSizeLimit: -1, MetaSizeLimit: -1})
	tp.RegPull(p.PullRouter, "meta", func(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
		ctx.SetMeta("a", string(ctx.GetMeta("a"))) // which is escaped, three bytes for one
		return 1, nil
	})
	busy := newPeer(t, tp.PeerConfig{PacketSizeLimit: limit, UriSizeLimit: -1, MaxSessionHandlers: 1})
	gate := make(chan struct{})
	tp.RegPull(busy.PullRouter, "slow", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
		<-gate
		return 1, nil
	})
	full := func(uri string) frame {
		uri += "?"
		return jsonPull(7, uri+strings.Repeat("x", limit-len(jsonPull(7, uri, "").bytes())), "")
	}
	answer := func(w *wire, pull frame) *tp.Rerror {
		t.Helper()
		w.send(pull)
		f := w.next()
		if f.seq != 7 || f.ptype != tp.TypeReply {
			t.Fatalf("got %+v, want the reply", f)
		}
		return f.rerror(t)
	}

	w := dialWire(t, serve(t, p))
	wantCode(t, answer(w, full("/nowhere")), tp.CodeInternalServerError, "the limit is 65536")
	meta := jsonPull(7, "/meta", "")
	meta.meta = "a=" + strings.Repeat("\x00", limit/2)
	wantCode(t, answer(w, meta), tp.CodeInternalServerError, "the limit is 65536")
	noRerror(t, answer(w, jsonPull(7, "/meta", "")))

	w = dialWire(t, serve(t, busy))
	w.send(jsonPull(8, "/slow", ""))
	wantCode(t, answer(w, full("/slow")), tp.CodeServiceUnavailable, "too many")
	close(gate)
	noRerror(t, w.next().rerror(t))
}

// Finding the group of a path took time by the square of its slashes: hours,
// in the goroutine that reads.
func TestHostilePathOfSlashes(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{UriSizeLimit: -1})
	for i := range 12 { // a map of a few keys finds without hashing
		group := fmt.Sprint("group", i)
		p.PullRouter.Group(group).SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return group, nil })
	}
	w := dialWire(t, serve(t, p))
	slashes := strings.Repeat("/", 2<<20)
	for _, c := range []struct{ path, want string }{
		{"/group7" + slashes, `"group7"`},
		{"/group11" + slashes, `"group11"`},
		{"/group11/x", `"group11"`},
		{"/group11", `"group11"`},
		{"/group123", "null"},
		{"/group", "null"},
		{slashes[:1<<20], "null"},
	} {
		w.send(jsonPull(0, c.path, "1"))
		if got := w.next(); got.body != c.want {
			t.Errorf("%.20s: got %s, want %s", c.path, got.body, c.want)
		}
	}
}

// What waits for a handler counts what it takes, not what came over the wire:
// 4 MiB of compressed pushes took 4 GiB.
func TestHostilePushesAreWeighed(t *testing.T) {
	bomb := frame{ptype: tp.TypePush, uri: "/slow", codec: 's', body: strings.Repeat("\x00", 512<<10)}
	meta := frame{ptype: tp.TypePush, uri: "/slow", codec: 's', meta: strings.Repeat("a&", 20<<10)}
	for name, push := range map[string][]byte{"filter": bomb.gzipped(t), "meta": meta.bytes()} {
		t.Run(name, func(t *testing.T) {
			log := new(logBook)
			p := newPeer(t, tp.PeerConfig{Logger: log, PushQueueLimit: 1 << 20, MetaSizeLimit: -1})
			gate := make(chan struct{})
			defer close(gate)
			tp.RegPush(p.PushRouter, "slow", func(tp.PushCtx, *[]byte) { <-gate })
			sess, w := dialedWire(t, p)
			done := make(chan *tp.PullCmd, 1)
			sess.GoPull("/never", nil, nil, done)
			w.next()                               // while it waits for its reply, the reader reads on, to four times the limit
			_, _ = w.Write(bytes.Repeat(push, 20)) // it may be cut off
			wantCode(t, receive(t, done).Rerror(), tp.CodeConnClosed, "PushQueueLimit")
		})
	}
}

// A session whose peer left while its pushes filled the line stayed for ever,
// with its goroutines, if their handler waited for its context to end.
func TestHostilePeerLeavesFullLine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells that the other side has left")
	}
	p := newPeer(t, tp.PeerConfig{CloseTimeout: 500 * time.Millisecond, PushQueueLimit: 64 << 10})
	tp.RegPush(p.PushRouter, "slow", func(ctx tp.PushCtx, _ *[]byte) { <-ctx.Context().Done() })
	addr := serve(t, p)
	var over []<-chan struct{}
	for _, reset := range []bool{false, true} {
		w := dialWire(t, addr)
		push := frame{ptype: tp.TypePush, uri: "/slow", codec: 's', body: strings.Repeat("x", 1000)}
		w.sendBytes(bytes.Repeat(push.bytes(), 100))
		eventually(t, "the session is there", func() bool {
			sess, ok := p.GetSession(w.LocalAddr().String())
			if ok {
				over = append(over, sess.CloseNotify())
			}
			return ok
		})
		time.Sleep(50 * time.Millisecond) // let it read
		if reset {
			_ = w.Conn.(*net.TCPConn).SetLinger(0)
		}
		_ = w.Close()
	}
	for _, ch := range over {
		receive(t, ch)
	}
}
