package tp_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// gate holds handlers back until it is opened, and counts those inside. A
// peer that closes waits for them, so: defer g.unlock().
type gate struct {
	inside atomic.Int32
	most   atomic.Int32
	open   chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) unlock() {
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) pass() {
	n := g.inside.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	<-g.open
	g.inside.Add(-1)
}

func (g *gate) await(t *testing.T, n int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d handlers run", n), func() bool { return g.inside.Load() == n })
}

func TestPullsRunSideBySide(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	cli := newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	tp.RegPull(srv.PullRouter, "wait", func(_ tp.PullCtx, args *int) (int, *tp.Rerror) { g.pass(); return *args, nil })
	echo(srv)
	sess := dial(t, cli, serve(t, srv))
	const n = 50
	done := make(chan *tp.PullCmd, n)
	for i := range n {
		sess.GoPull("/wait", i, new(int), done)
	}
	g.await(t, n)
	noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror()) // and more beside them
	g.unlock()
	for range n {
		noRerror(t, receive(t, done).Rerror())
	}
}

// One hundred thousand pushes keep their order, from the pusher's goroutine
// to the handler.
func TestPushesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const n = 100_000
	srv := newPeer(t, tp.PeerConfig{})
	next, done := 0, make(chan string, 1)
	tp.RegPush(srv.PushRouter, "n", func(ctx tp.PushCtx, args *[]byte) {
		if got := string(*args); got != fmt.Sprint(next) && len(done) == 0 {
			done <- fmt.Sprintf("push %d came as number %d", next, len(got))
		}
		if next++; next == n && len(done) == 0 {
			done <- ""
		}
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for i := range n {
		noRerror(t, sess.Push("/n", []byte(fmt.Sprint(i))))
	}
	if wrong := receive(t, done); wrong != "" {
		t.Error(wrong)
	}
}

func TestConcurrentPush(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{ConcurrentPush: true})
	cli := newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	ordered := newGate()
	defer ordered.unlock()
	push := func(tp.PushCtx, *int) { g.pass() }
	tp.RegPush(srv.PushRouter, "a", push)
	tp.RegPush(srv.PushRouter.Dispatch(tp.DispatchOrdered).Dispatch(tp.DispatchDefault), "b", push)
	tp.RegPush(srv.PushRouter.Dispatch(tp.DispatchOrdered), "ordered", func(tp.PushCtx, *int) { ordered.pass() })
	sess := dial(t, cli, serve(t, srv))
	for range 5 {
		noRerror(t, sess.Push("/a", 1))
		noRerror(t, sess.Push("/b", 1))
		noRerror(t, sess.Push("/ordered", 1))
	}
	g.await(t, 10)
	ordered.await(t, 1)
	ordered.unlock()
	g.unlock()
	eventually(t, "all have been handled", func() bool { return g.inside.Load()+ordered.inside.Load() == 0 })
	if most := ordered.most.Load(); most != 1 {
		t.Errorf("%d ordered pushes ran at once", most)
	}
}

// DispatchOrdered is an actor: pulls and pushes of one session in one line.
// Another session has its own.
func TestDispatchOrdered(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	var mu sync.Mutex
	running := make(map[tp.Session]int)
	var order []string
	enter := func(s tp.Session, what string) {
		mu.Lock()
		running[s]++
		if running[s] > 1 {
			t.Errorf("%s is not alone", what)
		}
		order = append(order, what)
		mu.Unlock()
		runtime.Gosched()
		mu.Lock()
		running[s]--
		mu.Unlock()
	}
	pulls := srv.PullRouter.Group("actor").Dispatch(tp.DispatchOrdered)
	tp.RegPull(pulls, "pull", func(ctx tp.PullCtx, args *int) (int, *tp.Rerror) {
		enter(ctx.Session(), fmt.Sprint("pull ", *args))
		return *args, nil
	})
	tp.RegPush(srv.PushRouter.Group("actor").Dispatch(tp.DispatchOrdered), "push", func(ctx tp.PushCtx, args *int) {
		enter(ctx.Session(), fmt.Sprint("push ", *args))
	})
	raw := dialRaw(t, serve(t, srv)) // its packets leave in this order
	const n = 200
	var want []string
	for i := range n {
		ptype, name := tp.TypePull, "pull"
		if i%3 > 0 {
			ptype, name = tp.TypePush, "push"
		}
		raw.send(ptype, uint64(i), "/actor/"+name, 'j', fmt.Append(nil, i))
		want = append(want, fmt.Sprint(name, " ", i))
	}
	for i := 0; i < n; i += 3 {
		if reply := raw.reply(); reply.Seq() != uint64(i) || reply.text() != fmt.Sprint(i) {
			t.Fatalf("reply %d is to %d: %s, %v", i, reply.Seq(), reply.text(), reply.rerror())
		}
	}
	eventually(t, "the line is empty", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == n })
	wantSteps(t, "the actor", order, want)

	// A session that is busy holds up no other.
	g := newGate()
	defer g.unlock()
	tp.RegPull(pulls, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) { g.pass(); return 0, nil })
	raw.send(tp.TypePull, n, "/actor/wait", 'j', []byte("1"))
	g.await(t, 1)
	other := dialRaw(t, only(t, srv).LocalIp())
	other.send(tp.TypePull, 1, "/actor/pull", 'j', []byte("1"))
	if reply := other.reply(); reply.text() != "1" {
		t.Errorf("got %s, %v", reply.text(), reply.rerror())
	}
}

func TestDispatchInline(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{})
	var order steps
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "large", func(_ tp.PullCtx, size *int) ([]byte, *tp.Rerror) {
		order.add("pull")
		return bytes.Repeat([]byte{'x'}, *size), nil
	})
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "panics", func(tp.PullCtx, *int) (int, *tp.Rerror) { panic("secret") })
	tp.RegPush(srv.PushRouter.Dispatch(tp.DispatchInline), "push", func(tp.PushCtx, *int) { order.add("push") })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for _, size := range []int{0, 1, 64 << 10, 300 << 10, 5 << 20} {
		noRerror(t, sess.Push("/push", 1))
		got, rerr := tp.Pull[[]byte](sess, "/large", size)
		if rerr != nil || len(got) != size {
			t.Fatalf("got %d bytes, %v; want %d", len(got), rerr, size)
		}
	}
	wantSteps(t, "the reader", order.those(all), strings.Fields(strings.Repeat("push pull ", 5)))
	_, rerr := tp.Pull[int](sess, "/panics", 1)
	wantCode(t, rerr, tp.CodeInternalServerError, "the handler failed")

	// Many callers at once, whose replies are more than the reader's reserve
	// but are read: nothing is lost.
	const n, size = 64, 10 << 10
	done := make(chan *tp.PullCmd, n)
	for range n {
		sess.GoPull("/large", size, new([]byte), done)
	}
	for range n {
		cmd := receive(t, done)
		if reply, rerr := cmd.Result(); rerr != nil || len(*reply.(*[]byte)) != size {
			t.Fatalf("got %v", rerr)
		}
	}
}

// The reader stops at PushQueueLimit, but not while a handler waits for a
// pull of its own, whose reply only the reader can bring.
func TestFullPushQueueDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{PushQueueLimit: 8 << 10})
	g := newGate()
	defer g.unlock()
	var handled atomic.Int32
	failed := make(chan *tp.Rerror, 1)
	tp.RegPush(srv.PushRouter, "push", func(ctx tp.PushCtx, args *[]byte) {
		g.pass()
		if rerr := ctx.Session().Pull("/echo", []byte("x"), nil).Rerror(); rerr != nil {
			select {
			case failed <- rerr:
			default:
			}
		}
		handled.Add(1)
	})
	cli := newPeer(t, tp.PeerConfig{})
	echo(cli)
	sess := dial(t, cli, serve(t, srv))
	const n = 40 // over the limit, and under four times the limit
	for range n {
		noRerror(t, sess.Push("/push", make([]byte, 100)))
	}
	if err := sess.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.unlock()
	eventually(t, "all pushes are handled", func() bool { return handled.Load() == n })
	select {
	case rerr := <-failed:
		t.Error(rerr)
	default:
	}
}

// A peer that goes on pushing while a handler's pull waits is cut off at four
// times the limit, and both logs say why.
func TestPushQueueStretchEnds(t *testing.T) {
	t.Parallel()
	var book logBook
	srv := newPeer(t, tp.PeerConfig{PushQueueLimit: 8 << 10, Logger: &book})
	result := make(chan *tp.Rerror, 1)
	tp.RegPush(srv.PushRouter, "push", func(ctx tp.PushCtx, args *[]byte) {
		if len(*args) == 0 {
			result <- ctx.Session().Pull("/never", nil, nil).Rerror()
		}
	})
	raw := dialRaw(t, serve(t, srv)) // it never answers a pull
	raw.send(tp.TypePush, 0, "/push", 'j', nil)
	go func() {
		for err := error(nil); err == nil; {
			_, err = raw.s.Write(pushFrame) // until the server closes
		}
	}()
	wantCode(t, receive(t, result), tp.CodeConnClosed, "PeerConfig.PushQueueLimit, 8192")
	eventually(t, "the reason is logged", func() bool {
		return strings.Contains(book.String(), "4 times PeerConfig.PushQueueLimit, 8192")
	})
}

// pushFrame is a push of 1,000 bytes to /push in the default format.
var pushFrame = func() []byte {
	body := make([]byte, 1000)
	frame := []byte{0, 0, 0, 0, 'f', 0, 0, 0, 0, 0, 0, 0, 0, 1, tp.TypePush, 0, 0, 0, 5}
	frame = append(append(frame, "/push"...), 0, 0, 0, 0, 'j')
	frame = append(frame, body...)
	frame[2], frame[3] = byte(len(frame)>>8), byte(len(frame))
	return frame
}()

// Without a pull under way the reader waits, and the pusher with it: nothing
// is dropped and nothing closes.
func TestFullPushQueueHoldsTheReader(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{PushQueueLimit: 8 << 10})
	cli := newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	var handled atomic.Int32
	tp.RegPush(srv.PushRouter, "push", func(tp.PushCtx, *[]byte) { g.pass(); handled.Add(1) })
	sess := dial(t, cli, serve(t, srv))
	const n = 500
	for range n {
		noRerror(t, sess.Push("/push", make([]byte, 1000)))
	}
	if err := sess.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.await(t, 1)
	g.unlock()
	eventually(t, "all pushes are handled", func() bool { return handled.Load() == n })
}

// Beyond the limits a pull is answered 503 at once, while those that run
// finish, and replies to this side's own pulls pass.
func TestTooManyHandlers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		cfg  tp.PeerConfig
	}{
		{"of a session", tp.PeerConfig{MaxSessionHandlers: 3}},
		{"of the peer", tp.PeerConfig{MaxHandlers: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, cli := newPeer(t, test.cfg), newPeer(t, tp.PeerConfig{})
			g := newGate()
			defer g.unlock()
			tp.RegPull(srv.PullRouter, "wait", func(ctx tp.PullCtx, args *int) (int, *tp.Rerror) { g.pass(); return *args, nil })
			echo(srv)
			echo(cli)
			addr := serve(t, srv)
			sess := dial(t, cli, addr)
			back := only(t, srv)
			done := make(chan *tp.PullCmd, 3)
			for i := range 3 {
				sess.GoPull("/wait", i+1, new(int), done)
			}
			g.await(t, 3)
			for range 3 {
				wantCode(t, sess.Pull("/echo", []byte("x"), nil).Rerror(), tp.CodeServiceUnavailable, "too many handlers")
			}
			noRerror(t, back.Pull("/echo", []byte("x"), nil).Rerror())
			other := dial(t, cli, addr)
			rerr := other.Pull("/echo", []byte("x"), nil).Rerror()
			if (rerr != nil) != (test.cfg.MaxHandlers > 0) {
				t.Errorf("another session got %v", rerr)
			}
			g.unlock()
			sum := 0
			for range 3 {
				reply, rerr := receive(t, done).Result()
				noRerror(t, rerr)
				sum += *reply.(*int)
			}
			if sum != 6 {
				t.Errorf("the replies sum up to %d", sum)
			}
			eventually(t, "the handlers are over", func() bool { return sess.Pull("/echo", []byte("x"), nil).Rerror() == nil })
		})
	}
}

// Handlers that hold much are bounded by their bytes: a pull beyond it is answered 503
// at once, also one that was compressed; small ones go on, and so do others when those
// are over.
func TestTooManyHandlerBytes(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, test := range []struct {
		name string
		cfg  tp.PeerConfig
	}{
		{"of a session", tp.PeerConfig{MaxSessionHandlerBytes: limit}},
		{"of the peer", tp.PeerConfig{MaxHandlerBytes: limit}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, cli := newPeer(t, test.cfg), newPeer(t, tp.PeerConfig{})
			g := newGate()
			defer g.unlock()
			tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { g.pass(); return 0, nil })
			echo(srv)
			addr := serve(t, srv)
			sess := dial(t, cli, addr)
			done := make(chan *tp.PullCmd, 2)
			alone := make([]byte, 2*limit) // more than the limit
			half := make([]byte, limit/2)
			sess.GoPull("/wait", alone, nil, done)
			g.await(t, 1)
			wantCode(t, sess.Pull("/echo", half, nil).Rerror(), tp.CodeServiceUnavailable, "HandlerBytes")
			wantCode(t, sess.Pull("/echo", half, nil, tp.WithXferPipe('g')).Rerror(), tp.CodeServiceUnavailable, "HandlerBytes")
			noRerror(t, sess.Pull("/echo", half[:1000], nil).Rerror())
			if n := srv.Stats().Refused["handler_bytes"]; n != 2 {
				t.Errorf("%d are counted, want 2", n)
			}
			rerr := dial(t, cli, addr).Pull("/echo", half, nil).Rerror()
			if (rerr != nil) != (test.cfg.MaxHandlerBytes > 0) {
				t.Errorf("another session got %v", rerr)
			}
			g.unlock()
			noRerror(t, receive(t, done).Rerror())
			eventually(t, "others are handled again", func() bool { return sess.Pull("/echo", half, nil).Rerror() == nil })
			for range 100 { // a reply comes a moment before what it answers is taken off
				noRerror(t, sess.Pull("/echo", half[:limit/16], nil).Rerror())
			}
		})
	}
}

// Concurrent pushes that hold too much wait in line: none is dropped.
func TestConcurrentPushesBeyondHandlerBytes(t *testing.T) {
	t.Parallel()
	const size, pushes = 8 << 10, 20
	srv, cli := newPeer(t, tp.PeerConfig{ConcurrentPush: true, MaxSessionHandlerBytes: 2 * size}), newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	var handled atomic.Int32
	tp.RegPush(srv.PushRouter, "wait", func(tp.PushCtx, *[]byte) { g.pass(); handled.Add(1) })
	echo(srv)
	sess := dial(t, cli, serve(t, srv))
	for range pushes {
		noRerror(t, sess.Push("/wait", make([]byte, size)))
	}
	g.await(t, 3) // two, and the first in line
	noRerror(t, sess.Pull("/echo", []byte("x"), nil).Rerror())
	if n := g.most.Load(); n != 3 {
		t.Errorf("%d at once, want 3", n)
	}
	g.unlock()
	eventually(t, "all are handled", func() bool { return handled.Load() == pushes })
}

// A refusal repeats the URI as received too.
func TestTooManyHandlersAnswersAsReceived(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{}, oneHook("alias", "PostReadPullHeader", func(ctx interface{}) *tp.Rerror {
		ctx.(tp.ReadCtx).Input().SetUri("/wait")
		return nil
	}))
	g := newGate()
	defer g.unlock()
	tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) { g.pass(); return 0, nil })
	raw := dialRaw(t, serve(t, srv))
	raw.send(tp.TypePull, 1, "/alias", 'j', []byte("1"))
	g.await(t, 1)
	tp.SetGopool(1, time.Minute)
	defer tp.SetGopool(0, 0)
	raw.send(tp.TypePull, 2, "/alias", 'j', []byte("1"))
	reply := raw.reply()
	wantCode(t, reply.rerror(), tp.CodeServiceUnavailable, "SetGopool")
	if reply.Uri() != "/alias" || reply.Seq() != 2 {
		t.Errorf("the reply is to %d %q", reply.Seq(), reply.Uri())
	}
}

// The pool of the process was full and packets were dropped in silence. It
// is one for all tests, so this one is not parallel.
func TestGopoolLimit(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	cli := newPeer(t, tp.PeerConfig{})
	g := newGate()
	defer g.unlock()
	tp.RegPull(srv.PullRouter, "wait", func(_ tp.PullCtx, args *int) (int, *tp.Rerror) { g.pass(); return *args, nil })
	pushed := make(chan int, 1)
	tp.RegPush(srv.PushRouter.Dispatch(tp.DispatchConcurrent), "push", func(_ tp.PushCtx, args *int) { pushed <- *args })
	sess := dial(t, cli, serve(t, srv))
	defer tp.SetGopool(0, 0)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 1, new(int), done)
	g.await(t, 1)
	tp.SetGopool(1, time.Minute)
	wantCode(t, sess.Pull("/wait", 2, nil).Rerror(), tp.CodeServiceUnavailable, "SetGopool")
	if tp.Go(func() { t.Error("Go ran what it refused") }) {
		t.Error("Go returned true beyond the limit")
	}
	noRerror(t, sess.Push("/push", 7)) // a push waits for its turn instead
	if got := receive(t, pushed); got != 7 {
		t.Errorf("the push came with %d", got)
	}
	g.unlock()
	noRerror(t, receive(t, done).Rerror())
}
