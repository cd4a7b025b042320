package tp_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// answerTwo accepts one connection, reads two pulls, and answers both with one
// write, the second by the packet that second makes of its number.
func answerTwo(t *testing.T, second func(seq uint64) *socket.Packet) (addr string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	over := make(chan struct{})
	t.Cleanup(func() {
		close(over)
		lis.Close()
		done.Wait()
	})
	done.Go(func() {
		conn, err := lis.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		c := socket.NewConn(conn, socket.Options{})
		defer c.Close()
		var seqs []uint64
		for len(seqs) < 2 {
			p := socket.NewPacket(socket.WithBody(new([]byte)))
			if err := c.ReadPacket(p); err != nil {
				t.Error(err)
				return
			}
			if p.Ptype() == tp.TypePull {
				seqs = append(seqs, p.Seq())
			}
		}
		for _, p := range []*socket.Packet{answer(seqs[0]), second(seqs[1])} {
			if err := c.QueuePacketNoWait(p); err != nil {
				t.Error(err)
			}
		}
		c.FlushSoon()
		<-over
	})
	return lis.Addr().String()
}

func answer(seq uint64, settings ...socket.PacketSetting) *socket.Packet {
	return socket.NewPacket(append(settings, socket.WithSeq(seq), socket.WithPtype(tp.TypeReply), socket.WithBodyCodec('j'), socket.WithBody([]byte("1")))...)
}

// pullTwo pulls twice, and returns when one of them has returned, but not as late
// as its context ends.
func pullTwo(t *testing.T, sess tp.Session) (release func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	first := make(chan *tp.PullCmd, 2)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { first <- sess.Pull("/x", 1, new(int), tp.WithContext(ctx)) })
	}
	if rerr := (<-first).Rerror(); rerr != nil {
		t.Error(rerr)
	}
	return func() { cancel(); both.Wait() }
}

type replyHook struct{ hook func() }

func (*replyHook) Name() string { return "replyHook" }
func (h *replyHook) PostReadReplyHeader(tp.ReadCtx) *tp.Rerror {
	h.hook()
	return nil
}

// A caller whose reply has come does not wait for a hook that sees the next one.
func TestArrivedWhileHookRuns(t *testing.T) {
	stop := make(chan struct{})
	var n atomic.Int32
	cli := newPeer(t, tp.PeerConfig{}, &replyHook{func() {
		if n.Add(1) == 2 {
			<-stop
		}
	}})
	release := pullTwo(t, dial(t, cli, answerTwo(t, func(seq uint64) *socket.Packet { return answer(seq) })))
	close(stop)
	release()
}

// stuckLog is a Logger that waits before it writes a line with a text in it.
type stuckLog struct {
	logBook
	text string
	stop chan struct{}
}

func (l *stuckLog) Debugf(format string, args ...interface{}) {
	if strings.Contains(format, l.text) {
		<-l.stop
	}
}

// Nor for the line about a reply to no pull.
func TestArrivedWhileLogWaits(t *testing.T) {
	log := &stuckLog{text: "a reply to no pull", stop: make(chan struct{})}
	cli := newPeer(t, tp.PeerConfig{Logger: log})
	release := pullTwo(t, dial(t, cli, answerTwo(t, func(uint64) *socket.Packet { return answer(1 << 40) })))
	close(log.stop)
	release()
}

// stuckFilter waits when it unpacks.
type stuckFilter struct{ stop chan struct{} }

func (*stuckFilter) Id() byte                        { return 'S' }
func (*stuckFilter) OnPack(b []byte) ([]byte, error) { return b, nil }
func (f *stuckFilter) OnUnpack(b []byte) ([]byte, error) {
	<-f.stop
	return b, nil
}

// Nor for a filter.
func TestArrivedWhileFilterRuns(t *testing.T) {
	filter := &stuckFilter{make(chan struct{})}
	xfer.Replace(filter)
	cli := newPeer(t, tp.PeerConfig{})
	release := pullTwo(t, dial(t, cli, answerTwo(t, func(seq uint64) *socket.Packet {
		return answer(seq, socket.WithXferPipe('S'))
	})))
	close(filter.stop)
	release()
}

// A goroutine of a handler may wait for its context while the handler asks for the
// query.
func TestQueryBesideContext(t *testing.T) {
	srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "q", func(ctx tp.PullCtx, _ *int) (string, *tp.Rerror) {
		var beside sync.WaitGroup
		beside.Go(func() { _ = ctx.Context().Err() })
		defer beside.Wait()
		return ctx.Query().Get("a"), nil
	})
	sess := dial(t, cli, serve(t, srv))
	for range 50 {
		if s, rerr := tp.Pull[string](sess, "/q?a=b", 1); rerr != nil || s != "b" {
			t.Fatal(s, rerr)
		}
	}
}
