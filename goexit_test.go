package tp_test

import (
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// replyHooks is a plugin that calls a function in one of the hooks of a reply.
type replyHooks struct {
	where string
	do    func(tp.ReadCtx)
}

func (h *replyHooks) Name() string { return "reply-hooks" }

func (h *replyHooks) at(where string, ctx tp.ReadCtx) *tp.Rerror {
	if where == h.where {
		h.do(ctx)
	}
	return nil
}

func (h *replyHooks) PreWriteReply(tp.WriteCtx) *tp.Rerror { return h.at("PreWriteReply", nil) }
func (h *replyHooks) PostReadReplyHeader(ctx tp.ReadCtx) *tp.Rerror {
	return h.at("PostReadReplyHeader", ctx)
}

func (h *replyHooks) PreReadReplyBody(ctx tp.ReadCtx) *tp.Rerror {
	return h.at("PreReadReplyBody", ctx)
}

// exits is a value whose codec ends the goroutine.
type exits struct{}

func (exits) MarshalJSON() ([]byte, error) { runtime.Goexit(); return nil, nil }
func (*exits) UnmarshalJSON([]byte) error  { runtime.Goexit(); return nil }

// A pull returns also when code of the user ends the goroutine that works on
// its reply.
func TestPullReturnsAfterGoexit(t *testing.T) {
	for _, where := range []string{"PreWriteReply", "PostReadReplyHeader", "PreReadReplyBody", "MarshalJSON", "UnmarshalJSON"} {
		t.Run(where, func(t *testing.T) {
			exit := &replyHooks{where, func(tp.ReadCtx) { runtime.Goexit() }}
			server, client := newPeer(t, tp.PeerConfig{}, exit), newPeer(t, tp.PeerConfig{}, exit)
			tp.RegPull(server.PullRouter, "one", func(tp.PullCtx, *int) (interface{}, *tp.Rerror) {
				if where == "MarshalJSON" {
					return exits{}, nil
				}
				return 1, nil
			})
			sess := dial(t, client, serve(t, server))
			done := make(chan *tp.PullCmd, 1)
			sess.GoPull("/one", 1, new(exits), done)
			wantCode(t, receive(t, done).Rerror(), tp.CodeInternalServerError, "ended its goroutine")
		})
	}
}

// A header hook that ends the reader's goroutine ends the session, and leaves
// nothing counted as running.
func TestHandlersAreCountedAfterGoexit(t *testing.T) {
	once := &pushHeaderHook{func(tp.ReadCtx) { runtime.Goexit() }}
	p := newPeer(t, tp.PeerConfig{MaxHandlers: 1}, once)
	echo(p)
	addr := serve(t, p)
	for range 2 {
		w := dialWire(t, addr)
		w.send(frame{ptype: tp.TypePush, uri: "/a"})
		w.wantClosed()
	}
	w := dialWire(t, addr)
	w.send(jsonPull(1, "/echo", "1"))
	if f := w.next(); f.body != "1" {
		t.Errorf("got %+v", f)
	}
}

// exitHook ends the goroutine in which a pull is refused.
type exitHook struct{}

func (exitHook) Name() string { return "exit-hook" }

func (exitHook) PostExchange(ctx tp.ExchangeCtx) *tp.Rerror {
	if rerr := ctx.Rerror(); rerr != nil && rerr.Code == tp.CodeServiceUnavailable {
		runtime.Goexit()
	}
	return nil
}

// A hook of a refused pull that ends the reader's goroutine ends the session, whatever
// came with that pull: its connection is closed, the pulls of this side fail, and nothing
// is counted as running.
func TestSessionEndsAfterGoexitOfRefused(t *testing.T) {
	for _, next := range []string{"/echo", "/ordered", "/inline"} {
		t.Run(next[1:], func(t *testing.T) {
			srv := newPeer(t, tp.PeerConfig{MaxHandlerBytes: 64 << 10}, exitHook{})
			g := newGate()
			defer g.unlock()
			echo(srv)
			nothing := func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { return nil, nil }
			tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { g.pass(); return nil, nil })
			tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchOrdered), "ordered", nothing)
			tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "inline", nothing)
			w := dialWire(t, serve(t, srv))
			failed := make(chan *tp.Rerror, 1)
			sess := only(t, srv)
			go func() { failed <- sess.Pull("/x", 1, nil).Rerror() }()
			w.next()
			w.send(jsonPull(0, "/wait", "1"))
			g.await(t, 1)
			tp.SetGopool(1, 0) // of the whole process, and that one is running
			defer tp.SetGopool(0, 0)
			w.send(jsonPull(1, "/echo", "1"), jsonPull(2, next, strings.Repeat("1", 40<<10)))
			wantCode(t, receive(t, failed), tp.CodeConnClosed, "")
			w.wantClosed()
			g.unlock()
			eventually(t, "nothing is counted as running", func() bool { return srv.Stats().Handlers == 0 })
			tp.SetGopool(0, 0)
			w = dialWire(t, serve(t, srv))
			half := strings.Repeat("1", 30<<10) // of what handlers may hold
			w.send(jsonPull(1, "/ordered", half), jsonPull(2, "/ordered", half))
			for range 2 {
				if rerr := w.next().rerror(t); rerr != nil {
					t.Error(rerr)
				}
			}
		})
	}
}

// A panic of a function that the user gave fails what it was for, and not the
// process.
func TestPanicInProtoFuncOfListener(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	echo(p)
	var failed atomic.Bool
	addr := serve(t, p, func(rw io.ReadWriter) socket.Proto {
		if !failed.Swap(true) {
			panic("as asked")
		}
		return socket.NewFastProto(rw)
	})
	dialWire(t, addr).wantClosed()
	w := dialWire(t, addr)
	w.send(jsonPull(1, "/echo", "1"))
	if f := w.next(); f.body != "1" {
		t.Errorf("got %+v", f)
	}
}

func TestPanicInNewBodyFunc(t *testing.T) {
	hook := &replyHooks{"PostReadReplyHeader", func(ctx tp.ReadCtx) {
		ctx.Input().SetNewBody(func(uint64, byte, string) interface{} { panic("as asked") })
	}}
	server, client := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{}, hook)
	echo(server)
	done := make(chan *tp.PullCmd, 1)
	dial(t, client, serve(t, server)).GoPull("/echo", []byte("a"), nil, done)
	wantCode(t, receive(t, done).Rerror(), tp.CodeBadPacket, "as asked")
}

// A codec that ends the goroutine of the caller leaves no pull behind, for
// which closing would wait.
func TestGoexitInArgs(t *testing.T) {
	srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{CloseTimeout: time.Hour})
	sess := dial(t, cli, serve(t, srv))
	var gone sync.WaitGroup
	gone.Go(func() {
		sess.Pull("/x", goexitArgs{}, nil)
		t.Error("it returned")
	})
	gone.Wait()
	if err := sess.Close(); err != nil {
		t.Error(err)
	}
	receive(t, sess.CloseNotify())
}

type goexitArgs struct{}

func (goexitArgs) MarshalJSON() ([]byte, error) { runtime.Goexit(); return nil, nil }
