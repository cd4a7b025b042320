package tp

import (
	"reflect"

	"github.com/henrylee2cn/teleport/socket"
)

// RegPull registers a function of pulls as name, below the router's path. It
// is RegFunc without reflection, and a wrong shape does not compile:
//
//	tp.RegPull(peer.PullRouter, "add", func(ctx tp.PullCtx, args *[2]int) (int, *tp.Rerror) {
//		return args[0] + args[1], nil
//	})
//
// It panics when r is a router of pushes, fn is nil or the path is taken.
func RegPull[A, R any](r *Router, name string, fn func(ctx PullCtx, args *A) (R, *Rerror), plugin ...Plugin) {
	if !r.isPull {
		panic("tp: RegPull: the router is for pushes: use peer.PullRouter, or RegPush")
	}
	if fn == nil {
		panic("tp: RegPull: the function of " + r.join(name) + " is nil: pass a func(ctx tp.PullCtx, args *A) (R, *tp.Rerror)")
	}
	call := func(c *handlerCtx, args *A) (interface{}, *Rerror) {
		reply, rerr := fn(c, args)
		return reply, rerr
	}
	if fn, ok := interface{}(fn).(func(PullCtx, *A) ([]byte, *Rerror)); ok {
		call = func(c *handlerCtx, args *A) (interface{}, *Rerror) {
			reply, rerr := fn(c, args)
			return c.bytesBody(reply), rerr
		}
	}
	regTyped[A](r, name, reflect.TypeFor[R](), plugin, call)
}

// RegPush registers a function of pushes as name, below the router's path: see
// RegPull. It panics when r is a router of pulls, fn is nil or the path is
// taken.
func RegPush[A any](r *Router, name string, fn func(ctx PushCtx, args *A), plugin ...Plugin) {
	if r.isPull {
		panic("tp: RegPush: the router is for pulls: use peer.PushRouter, or RegPull")
	}
	if fn == nil {
		panic("tp: RegPush: the function of " + r.join(name) + " is nil: pass a func(ctx tp.PushCtx, args *A)")
	}
	regTyped[A](r, name, nil, plugin, func(c *handlerCtx, args *A) (interface{}, *Rerror) {
		fn(c, args)
		return nil, nil
	})
}

func regTyped[A any](r *Router, name string, reply reflect.Type, plugin []Plugin, call func(*handlerCtx, *A) (interface{}, *Rerror)) {
	at := r.join(name)
	h := &Handler{
		name:      at,
		argElem:   reflect.TypeFor[A](),
		replyType: reply,
		call: func(c *handlerCtx, arg interface{}) (interface{}, *Rerror) {
			args, ok := arg.(*A)
			if !ok {
				return nil, c.wrongBody(reflect.TypeFor[*A]())
			}
			return call(c, args)
		},
	}
	if h.argElem != bytesType {
		h.newArg = func() interface{} { return new(A) }
	}
	r.register([]*Handler{h}, r.chain("handler "+at, plugin))
}

// Puller is what pulls: a Session, a Pool, and what a program makes of them.
type Puller interface {
	Pull(uri string, args interface{}, reply interface{}, setting ...socket.PacketSetting) *PullCmd
}

// Pull is Session.Pull, or that of a Pool, with a typed reply:
//
//	sum, rerr := tp.Pull[int](sess, "/add", [2]int{1, 2})
func Pull[R any](sess Puller, uri string, args interface{}, setting ...socket.PacketSetting) (R, *Rerror) {
	s, ok := sess.(*session)
	if !ok || !s.hidesPull(setting) {
		return pullShown[R](sess, uri, args, setting)
	}
	cmd := s.peer.takeCmd()
	if _, ok := interface{}((*R)(nil)).(*[]byte); ok { // no codec sees it, so it need not be new
		cmd.fill(s, uri, args, &cmd.bytes, nil)
		cmd.exchange(cmd.bound())
		reply, rerr := interface{}(cmd.bytes).(R), cmd.rerr
		s.peer.giveCmd(cmd)
		return reply, rerr
	}
	reply := new(R)
	cmd.fill(s, uri, args, reply, nil)
	cmd.exchange(cmd.bound())
	rerr := cmd.rerr
	s.peer.giveCmd(cmd)
	return *reply, rerr
}

// pullShown is Pull where others may see its PullCmd.
func pullShown[R any](sess Puller, uri string, args interface{}, setting []socket.PacketSetting) (R, *Rerror) {
	s, ok := sess.(*session)
	if !ok { // one of the user's own, such as one that wraps ours
		var reply R
		rerr := sess.Pull(uri, args, &reply, setting...).Rerror()
		return reply, rerr
	}
	call := new(struct { // one allocation for both
		PullCmd
		reply R
	})
	call.fill(s, uri, args, &call.reply, setting)
	call.exchange(call.bound())
	return call.reply, call.rerr
}
