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
func pullBefore(t *testing.T, srv *tp.Peer, others ...frame) {
	t.Helper()
	ran := make(chan bool, 1)
	tp.RegPull(srv.PullRouter, "x", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) {
		select {
		case ran <- true:
		default:
		}
		return nil, nil
	})
	for i := range others {
		others[i].seq = uint64(i + 2)
	}
	w := dialWire(t, serve(t, srv))
	w.send(append([]frame{aPull(1, "/x")}, others...)...)
	select {
	case <-ran:
	case <-time.After(30 * time.Second):
		t.Error("the pull waits for what came behind it")
	}
}

// aPull returns a pull with a body that is counted among what handlers hold.
func aPull(seq uint64, uri string) frame { return jsonPull(seq, uri, strings.Repeat("1", 5<<10)) }

// A pull does not wait for the header hook of one that came with it.
func TestPullBeforeHook(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	pullBefore(t, newPeer(t, tp.PeerConfig{}, headerHook(func(ctx tp.ReadCtx) {
		if ctx.Input().Seq() == 2 {
			<-stop
		}
	})), aPull(2, "/x"))
}

// Nor for its filter.
func TestPullBeforeFilter(t *testing.T) {
	filter := &stuckFilter{make(chan struct{})}
	defer close(filter.stop)
	xfer.Replace(filter)
	filtered := aPull(2, "/x")
	filtered.pipe = "S"
	pullBefore(t, newPeer(t, tp.PeerConfig{}), filtered)
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
	pullBefore(t, srv, aPull(2, "/inline"))
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
		late := aPull(2, "/late")
		late.ptype = ptype
		pullBefore(t, srv, late, late)
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
	for _, c := range []struct {
		cfg  tp.PeerConfig
		next frame
	}{
		{tp.PeerConfig{MaxSessionHandlers: 1}, aPull(2, "/x")},
		{tp.PeerConfig{MaxSessionHandlerBytes: 6 << 10}, aPull(2, "/x")},
		{tp.PeerConfig{UriSizeLimit: 8}, aPull(2, "/x/of/more/than/8")},
		{tp.PeerConfig{UriSizeLimit: 8}, frame{ptype: tp.TypePush, uri: "/x/of/more/than/8"}},
	} {
		pullBefore(t, newPeer(t, c.cfg, refusedHook{stop}), c.next)
	}
}

// Nor where the process has no worker for it.
func TestPullBeforeBusy(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	tp.SetGopool(1, 0)
	defer tp.SetGopool(0, 0)
	pullBefore(t, newPeer(t, tp.PeerConfig{}, refusedHook{stop}), aPull(2, "/x"))
}

// slowClosers is a Listener of conns whose Close waits, as that of TLS may.
type slowClosers struct {
	net.Listener
	stop chan struct{}
}

type slowCloser struct {
	net.Conn
	stop chan struct{}
}

func (l slowClosers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return slowCloser{conn, l.stop}, nil
}

func (c slowCloser) Close() error {
	<-c.stop
	return c.Conn.Close()
}

// Neither a pull nor a caller whose reply has come waits until the connection is closed for
// what came behind.
func TestArrivedBeforeAbort(t *testing.T) {
	for _, next := range []frame{jsonPull(2, "/x", "1"), {ptype: 99}} {
		for _, first := range []byte{tp.TypePull, tp.TypeReply} {
			stop := make(chan struct{})
			srv := newPeer(t, tp.PeerConfig{MaxPacketRate: 1})
			on := make(chan bool, 9)
			tp.RegPull(srv.PullRouter, "x", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { on <- true; return nil, nil })
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			noError(t, err)
			go srv.ServeListener(slowClosers{lis, stop})
			w := dialWire(t, lis.Addr().String())
			frames := []frame{jsonPull(1, "/x", "1"), next}
			if first == tp.TypeReply {
				sess := only(t, srv)
				go func() { sess.Pull("/y", 1, nil); on <- true }()
				frames[0] = w.next().replyTo("", "1")
			}
			w.send(frames...)
			select {
			case <-on:
			case <-time.After(30 * time.Second):
				t.Errorf("what a packet of type %d is for waits until the connection is closed for one of type %d", first, next.ptype)
			}
			close(stop)
		}
	}
}

// Of pulls that come together as many are refused as find no place, from the first that
// finds none on.
func TestPullsBeyondGopool(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { g.pass(); return nil, nil })
	w := dialWire(t, serve(t, srv))
	w.send(jsonPull(1, "/wait", "1"))
	g.await(t, 1)
	tp.SetGopool(3, 0) // of the whole process, and that one is running
	defer tp.SetGopool(0, 0)
	w.send(jsonPull(2, "/wait", "1"), jsonPull(3, "/wait", "1"), jsonPull(4, "/wait", "1"), jsonPull(5, "/wait", "1"))
	for _, seq := range []uint64{4, 5} {
		f := w.next()
		if f.seq != seq {
			t.Errorf("%d is answered, want %d", f.seq, seq)
		}
		wantCode(t, f.rerror(t), tp.CodeServiceUnavailable, "SetGopool")
	}
	g.await(t, 3)
	g.unlock()
	for range 3 {
		if f := w.next(); f.seq > 3 || f.rerror(t) != nil {
			t.Errorf("%d is answered %v", f.seq, f.rerror(t))
		}
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
