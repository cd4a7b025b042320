package tp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// wantRefused waits until the peer has counted n of a reason, and no other.
func wantRefused(t testing.TB, p *tp.Peer, reason string, n uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d refused for %q", n, reason), func() bool {
		refused := p.Stats().Refused
		return refused[reason] == n && len(refused) == 1
	})
}

func TestStats(t *testing.T) {
	srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	hold := make(chan struct{})
	tp.RegPull(srv.PullRouter, "hold", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) {
		<-hold
		return nil, nil
	})
	echo(srv)
	addr := serve(t, srv)
	first, second := dial(t, cli, addr), dial(t, cli, addr)
	done := make(chan *tp.PullCmd, 3)
	for range 3 {
		first.GoPull("/hold", nil, nil, done)
	}
	eventually(t, "three handlers run", func() bool { return srv.Stats().Handlers == 3 })
	noRerror(t, second.Pull("/echo", make([]byte, 1000), nil).Rerror())
	close(hold)
	for range 3 {
		receive(t, done)
	}
	_ = second.Close()
	receive(t, second.CloseNotify())
	eventually(t, "one session is left", func() bool { return srv.Stats().Sessions == 1 && srv.Stats().Handlers == 0 })
	s, c := srv.Stats(), cli.Stats()
	if s.Accepted != 2 || s.Dialled != 0 || c.Dialled != 2 || c.Accepted != 0 || c.Sessions != 1 || s.Opening != 0 || len(s.Refused)+len(c.Refused) != 0 {
		t.Errorf("server %+v\nclient %+v", s, c)
	}
	// Also what went over a session that is over. What is written is counted a moment
	// after the other side may have it.
	eventually(t, "one side has counted what the other has", func() bool {
		s, c := srv.Stats().Traffic, cli.Stats().Traffic
		return s.BytesIn == c.BytesOut && s.BytesOut == c.BytesIn && s.PacketsIn == c.PacketsOut && s.PacketsOut == c.PacketsIn
	})
	if s.Traffic.BytesIn < 1000 || s.Traffic.PacketsIn < 4 {
		t.Errorf("%+v is too little", s.Traffic)
	}
}

// What is refused is counted by its reason.
func TestStatsOfRefusals(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{MaxSessionHandlers: 1, PacketSizeLimit: 1000, FrameTimeout: 50 * time.Millisecond})
	running, ended := waits(srv)
	addr := serve(t, srv)
	w := dialWire(t, addr)
	w.send(jsonPull(1, "/wait", ""), jsonPull(2, "/wait", ""))
	receive(t, running)
	if f := w.next(); f.seq != 2 || f.rerror(t).Code != tp.CodeServiceUnavailable {
		t.Errorf("got %+v", f)
	}
	wantRefused(t, srv, "handlers", 1)
	_ = w.Close()
	receive(t, ended)

	for reason, b := range map[string][]byte{
		"packet_size": frame{ptype: tp.TypePush, body: string(make([]byte, 1000))}.bytes(),
		"malformed":   []byte("GET / HTTP/1.1\r\n\r\n"),
		"timeout":     {0, 0, 0, 50, 'f'},
		"filter":      append([]byte{0, 0, 0, 50, 'f', 5}, "gabcd"...),
	} {
		p := newPeer(t, tp.PeerConfig{PacketSizeLimit: 1000, FrameTimeout: 50 * time.Millisecond})
		w := dialWire(t, serve(t, p))
		if reason == "malformed" {
			b = append([]byte{0, 0, 0, 50}, b...)
		}
		w.sendBytes(b)
		w.wantClosed()
		wantRefused(t, p, reason, 1)
	}

	p := newPeer(t, tp.PeerConfig{})
	_, w = dialedWire(t, p)
	w.send(jsonPull(1, strings.Repeat("/long", 1000), "1"))
	if f := w.next(); f.rerror(t).Code != tp.CodeBadPacket {
		t.Errorf("got %+v", f)
	}
	wantRefused(t, p, "header", 1)
	p = newPeer(t, tp.PeerConfig{})
	sess, w := dialedWire(t, p)
	noRerror(t, sess.Push("/x", nil))
	w.send(frame{ptype: tp.TypeReply, seq: 9, codec: 'j', body: "1"})
	wantRefused(t, p, "late_replies", 1)
	w.send(frame{ptype: tp.TypePush, uri: "/nobody", codec: 'j', body: "1"})
	eventually(t, "the push is counted", func() bool { return p.Stats().Refused["pushes"] == 1 })
}

// A push to a side that does not read waits, is dropped, or closes the session; what
// waits to be written is bounded and counted.
func TestSlowPolicy(t *testing.T) {
	const limit = 256 << 10
	for _, policy := range []tp.SlowPolicy{tp.SlowWait, tp.SlowDrop, tp.SlowClose} {
		t.Run(string(policy), func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{SlowPolicy: policy, WriteQueueLimit: limit, CloseTimeout: -1})
			sess, w := dialedWire(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			body := make([]byte, 64<<10)
			var rerr *tp.Rerror
			for begin := time.Now(); rerr == nil && time.Since(begin) < patience; {
				if p.Stats().QueuedBytes >= limit {
					time.AfterFunc(20*time.Millisecond, cancel) // SlowWait would wait for 10 s
				}
				rerr = sess.Push("/x", body, tp.WithContext(ctx))
			}
			cancel()
			if rerr == nil || rerr.MaybeSent() {
				t.Fatalf("got %v", rerr)
			}
			queued := p.Stats().QueuedBytes
			switch policy {
			case tp.SlowWait:
				wantCode(t, rerr, tp.CodeCanceled, "")
			case tp.SlowDrop:
				wantCode(t, rerr, tp.CodeWriteFailed, "full")
				wantRefused(t, p, "queue", 1)
			case tp.SlowClose:
				wantCode(t, rerr, tp.CodeWriteFailed, "full")
				receive(t, sess.CloseNotify())
				if n := p.Stats().Refused["slow"]; n == 0 {
					t.Error("not counted")
				}
				return
			}
			if queued < limit || queued > limit+int64(len(body))+1000 {
				t.Errorf("%d bytes are queued, the limit is %d", queued, limit)
			}
			go func() { // the other side reads again
				for {
					if _, err := w.read(); err != nil {
						return
					}
				}
			}()
			eventually(t, "pushes go on", func() bool { return sess.Push("/x", nil) == nil })
		})
	}
}
