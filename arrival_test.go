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

// pullBefore has a server read a pull of /x, which must run, and others, with one read.
func pullBefore(t *testing.T, srv *tp.Peer, others ...*socket.Packet) {
	ran := make(chan bool, 1)
	tp.RegPull(srv.PullRouter, "x", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) {
		select {
		case ran <- true:
		default:
		}
		return nil, nil
	})
	conn, err := net.Dial("tcp", serve(t, srv))
	if err != nil {
		t.Fatal(err)
	}
	c := socket.NewConn(conn, socket.Options{})
	defer c.Close()
	for i, p := range append([]*socket.Packet{aPull("/x")}, others...) {
		p.SetSeq(uint64(i + 1))
		if err := c.QueuePacketNoWait(p); err != nil {
			t.Fatal(err)
		}
	}
	c.FlushSoon()
	select {
	case <-ran:
	case <-time.After(30 * time.Second):
		t.Error("the pull waits for what came behind it")
	}
}

// aPull returns a pull with a body that is counted among what handlers hold.
func aPull(uri string, settings ...socket.PacketSetting) *socket.Packet {
	return socket.NewPacket(append([]socket.PacketSetting{
		socket.WithPtype(tp.TypePull), socket.WithUri(uri), socket.WithBody(make([]byte, 5<<10)),
	}, settings...)...)
}

// A pull does not wait for the header hook of one that came with it.
func TestPullBeforeHook(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	pullBefore(t, newPeer(t, tp.PeerConfig{}, headerHook(func(ctx tp.ReadCtx) {
		if ctx.Input().Seq() == 2 {
			<-stop
		}
	})), aPull("/x"))
}

// Nor for its filter.
func TestPullBeforeFilter(t *testing.T) {
	filter := &stuckFilter{make(chan struct{})}
	defer close(filter.stop)
	xfer.Replace(filter)
	pullBefore(t, newPeer(t, tp.PeerConfig{}), aPull("/x", socket.WithXferPipe('S')))
}

// Nor for the handler of one that runs in the reader.
func TestPullBeforeInline(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "inline", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) {
		<-stop
		return nil, nil
	})
	pullBefore(t, srv, aPull("/inline"))
}

// Nor for room in the line of pushes and ordered pulls.
func TestPullBeforeLine(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for _, ptype := range []byte{tp.TypePull, tp.TypePush} {
		srv := newPeer(t, tp.PeerConfig{PushQueueLimit: 1})
		tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchOrdered), "late", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) {
			<-stop
			return nil, nil
		})
		tp.RegPush(srv.PushRouter, "late", func(tp.PushCtx, *[]byte) { <-stop })
		pullBefore(t, srv, aPull("/late", socket.WithPtype(ptype)), aPull("/late", socket.WithPtype(ptype)))
	}
}

// refusedHook waits when an exchange has failed.
type refusedHook struct{ stop chan struct{} }

func (refusedHook) Name() string { return "refused-hook" }

func (h refusedHook) PostExchange(ctx tp.ExchangeCtx) *tp.Rerror {
	if ctx.Rerror() != nil {
		<-h.stop
	}
	return nil
}

// Nor for the hook of one that is refused, whatever for.
func TestPullBeforeRefused(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for _, cfg := range []tp.PeerConfig{{MaxSessionHandlers: 1}, {MaxSessionHandlerBytes: 6 << 10}} {
		pullBefore(t, newPeer(t, cfg, refusedHook{stop}), aPull("/x"))
	}
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
