package proxy

import (
	"context"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// route is where a pull or push goes on, and with which meta data.
type route struct {
	to   Launcher
	meta *utils.Args
}

// incoming is what the contexts of package tp have beside tp.UnknownPushCtx.
type incoming interface{ Input() *socket.Packet }

// backendFor routes what a client has sent.
func (p *Proxy) backendFor(ctx tp.UnknownPushCtx) (route, *tp.Rerror) {
	meta := copyMeta(ctx.(incoming).Input().Meta(), MetaError)
	if rerr := p.addVia(meta); rerr != nil {
		return route{}, rerr
	}
	p.addClient(meta, ctx.Session())
	to, rerr := p.cfg.Backend(ctx)
	switch {
	case rerr != nil:
		return route{}, ofChoice(rerr)
	case to == nil:
		return route{}, notExecuted(tp.CodeBadGateway, "there is no backend for it")
	}
	p.toBackend.Add(1)
	return route{to, meta}, nil
}

// clientFor routes what a backend has sent.
func (p *Proxy) clientFor(ctx tp.UnknownPushCtx) (route, *tp.Rerror) {
	meta := copyMeta(ctx.(incoming).Input().Meta(), MetaError, MetaClient)
	if rerr := p.addVia(meta); rerr != nil {
		return route{}, rerr
	}
	to, rest, rerr := p.clientOf(string(ctx.GetMeta(MetaClient)))
	if rerr != nil {
		return route{}, rerr
	}
	if rest != "" { // it is a proxy, which knows the next one
		meta.Set(MetaClient, rest)
	}
	p.toClient.Add(1)
	return route{to, meta}, nil
}

func (p *Proxy) pullToBackend(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
	return p.pull(ctx, *body, p.backendFor)
}

func (p *Proxy) pullToClient(ctx tp.UnknownPullCtx, body *[]byte) (interface{}, *tp.Rerror) {
	return p.pull(ctx, *body, p.clientFor)
}

func (p *Proxy) pushToBackend(ctx tp.UnknownPushCtx, body *[]byte) {
	p.push(ctx, *body, p.backendFor)
}

func (p *Proxy) pushToClient(ctx tp.UnknownPushCtx, body *[]byte) {
	p.push(ctx, *body, p.clientFor)
}

// settings are those of what is passed on.
func (r route) settings(ctx context.Context, in *socket.Packet) []socket.PacketSetting {
	return []socket.PacketSetting{
		socket.WithContext(ctx),
		socket.WithMeta(r.meta),
		socket.WithBodyCodec(in.BodyCodec()),
		func(p *socket.Packet) { p.AppendXferPipeFrom(in) },
	}
}

// pull passes a pull on, and the reply back.
func (p *Proxy) pull(ctx tp.UnknownPullCtx, body []byte, find func(tp.UnknownPushCtx) (route, *tp.Rerror)) (interface{}, *tp.Rerror) {
	defer p.pulls.Add(-1)
	if n := p.pulls.Add(1); p.cfg.MaxPulls > 0 && n > int64(p.cfg.MaxPulls) {
		p.busy.Add(1)
		return p.answer(ctx, notExecuted(tp.CodeServiceUnavailable, "Config.MaxPulls are under way"))
	}
	r, rerr := find(ctx)
	if rerr != nil {
		return p.answer(ctx, rerr)
	}
	bound, release := p.bound(ctx.Context())
	defer release()
	in := ctx.(incoming).Input()
	var reply []byte
	cmd := r.to.Pull(ctx.Uri(), body, &reply, r.settings(bound, in)...)
	rerr = cmd.Rerror()
	answered := cmd.Input().Ptype() == tp.TypeReply
	switch {
	case rerr == nil:
	case !answered || !isOf(rerr, cmd.InputMeta()):
		return p.answer(ctx, ofLaunch(rerr, answered))
	case p.timedOut(rerr, bound):
		return p.answer(ctx, ofLaunch(rerr, false))
	}
	return passBack(ctx, cmd, reply, rerr)
}

// timeout is a deadline that Config.Timeout has set.
type timeout struct{ context.Context }

// bound returns the context of a pull that is passed on: a *timeout if Config.Timeout
// is what will end it.
func (p *Proxy) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.cfg.Timeout <= 0 {
		return ctx, func() {}
	}
	bound, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	ours, _ := bound.Deadline()
	if theirs, ok := ctx.Deadline(); ok && !ours.Before(theirs) {
		return bound, cancel
	}
	return &timeout{bound}, cancel
}

// timedOut reports whether the error of a reply is the backend's word for
// Config.Timeout, which it was told in whole milliseconds and measures by its own clock.
func (p *Proxy) timedOut(rerr *tp.Rerror, bound context.Context) bool {
	if _, ours := bound.(*timeout); !ours || rerr.Code != tp.CodeTimeout {
		return false
	}
	deadline, _ := bound.Deadline()
	return time.Until(deadline) <= time.Millisecond+p.cfg.Timeout/1000
}

// isOf reports whether the error is that of the reply, and not of a plugin of this side.
func isOf(rerr *tp.Rerror, reply *utils.Args) bool {
	theirs := tp.NewRerrorFromMeta(reply)
	return theirs != nil && *theirs == *rerr
}

// passBack fills in the reply as it came.
func passBack(ctx tp.UnknownPullCtx, cmd *tp.PullCmd, reply []byte, rerr *tp.Rerror) (interface{}, *tp.Rerror) {
	out := ctx.(tp.WriteCtx).Output()
	copyMeta(cmd.InputMeta()).VisitAll(func(key, value []byte) { out.Meta().AddBytesKV(key, value) })
	out.AppendXferPipeFrom(cmd.Input())
	if rerr != nil {
		rerr = ofReply(rerr)
		if len(reply) == 0 { // programs of 2017 never return from an empty one
			return nil, rerr
		}
	}
	out.SetBodyCodec(cmd.InputBodyCodec())
	return reply, rerr
}

// answer answers a pull with an error of the proxy.
func (p *Proxy) answer(ctx tp.UnknownPullCtx, rerr *tp.Rerror) (interface{}, *tp.Rerror) {
	if rerr.Code != CodeLoopDetected && rerr.Code != tp.CodeServiceUnavailable {
		p.failed.Add(1)
	}
	ctx.SetMeta(MetaError, p.cfg.ID)
	return nil, rerr
}

// push passes a push on.
func (p *Proxy) push(ctx tp.UnknownPushCtx, body []byte, find func(tp.UnknownPushCtx) (route, *tp.Rerror)) {
	r, rerr := find(ctx)
	if rerr == nil {
		rerr = r.to.Push(ctx.Uri(), body, r.settings(ctx.Context(), ctx.(incoming).Input())...)
	}
	if rerr != nil {
		p.dropped.Add(1)
		p.drops.warn(p.cfg.Logger, ctx, rerr)
	}
}

// drops logs pushes that were dropped, once a second at most: who sends them chooses
// how many there are.
type drops struct {
	next   atomic.Int64 // when the next line may come, in nanoseconds of time.Now
	unsaid atomic.Uint64
}

func (d *drops) warn(log tp.Logger, ctx tp.UnknownPushCtx, why *tp.Rerror) {
	now, next := time.Now().UnixNano(), d.next.Load()
	if now < next || !d.next.CompareAndSwap(next, now+int64(time.Second)) {
		d.unsaid.Add(1)
		return
	}
	const format = "proxy: session %s: push %.512q dropped: %v (and %d more since the last line)"
	if log == nil {
		tp.Warnf(format, ctx.Session().Id(), ctx.Uri(), why, d.unsaid.Swap(0))
		return
	}
	log.Warnf(format, ctx.Session().Id(), ctx.Uri(), why, d.unsaid.Swap(0))
}
