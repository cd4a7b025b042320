package tp_test

import (
	"io"
	"runtime"
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
