package tptest

import tp "github.com/henrylee2cn/teleport"

// The hooks of Recorder, in the order of tp.PluginContainer. A misspelt one
// would be no hook.
var _ interface {
	tp.PostRegPlugin
	tp.PostListenPlugin
	tp.PreShutdownPlugin
	tp.PostDialPlugin
	tp.PostAcceptPlugin
	tp.PreWritePullPlugin
	tp.PostWritePullPlugin
	tp.PreWriteReplyPlugin
	tp.PostWriteReplyPlugin
	tp.PreWritePushPlugin
	tp.PostWritePushPlugin
	tp.PreReadHeaderPlugin
	tp.PostReadPullHeaderPlugin
	tp.PreReadPullBodyPlugin
	tp.PostReadPullBodyPlugin
	tp.PostReadPushHeaderPlugin
	tp.PreReadPushBodyPlugin
	tp.PostReadPushBodyPlugin
	tp.PostReadReplyHeaderPlugin
	tp.PreReadReplyBodyPlugin
	tp.PostReadReplyBodyPlugin
	tp.PostExchangePlugin
	tp.PostDisconnectPlugin
} = new(Recorder)

// PostReg records the hook.
func (r *Recorder) PostReg(h *tp.Handler) *tp.Rerror {
	return r.record(Event{Hook: "PostReg", URI: h.Name()})
}

// PostListen records the hook.
func (r *Recorder) PostListen(tp.PeerCtx) *tp.Rerror {
	return r.record(Event{Hook: "PostListen"})
}

// PreShutdown records the hook.
func (r *Recorder) PreShutdown(tp.PeerCtx) *tp.Rerror {
	return r.record(Event{Hook: "PreShutdown"})
}

// PostDial records the hook.
func (r *Recorder) PostDial(sess tp.PreSession) *tp.Rerror {
	return r.record(Event{Hook: "PostDial", SessionID: sess.Id()})
}

// PostAccept records the hook.
func (r *Recorder) PostAccept(sess tp.PreSession) *tp.Rerror {
	return r.record(Event{Hook: "PostAccept", SessionID: sess.Id()})
}

// PreWritePull records the hook.
func (r *Recorder) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PreWritePull", ctx.Session(), ctx.Output())
}

// PostWritePull records the hook.
func (r *Recorder) PostWritePull(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PostWritePull", ctx.Session(), ctx.Output())
}

// PreWriteReply records the hook.
func (r *Recorder) PreWriteReply(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PreWriteReply", ctx.Session(), ctx.Output())
}

// PostWriteReply records the hook.
func (r *Recorder) PostWriteReply(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PostWriteReply", ctx.Session(), ctx.Output())
}

// PreWritePush records the hook.
func (r *Recorder) PreWritePush(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PreWritePush", ctx.Session(), ctx.Output())
}

// PostWritePush records the hook.
func (r *Recorder) PostWritePush(ctx tp.WriteCtx) *tp.Rerror {
	return r.packet("PostWritePush", ctx.Session(), ctx.Output())
}

// PreReadHeader records the hook.
func (r *Recorder) PreReadHeader(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PreReadHeader", ctx.Session(), ctx.Input())
}

// PostReadPullHeader records the hook.
func (r *Recorder) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadPullHeader", ctx.Session(), ctx.Input())
}

// PreReadPullBody records the hook.
func (r *Recorder) PreReadPullBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PreReadPullBody", ctx.Session(), ctx.Input())
}

// PostReadPullBody records the hook.
func (r *Recorder) PostReadPullBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadPullBody", ctx.Session(), ctx.Input())
}

// PostReadPushHeader records the hook.
func (r *Recorder) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadPushHeader", ctx.Session(), ctx.Input())
}

// PreReadPushBody records the hook.
func (r *Recorder) PreReadPushBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PreReadPushBody", ctx.Session(), ctx.Input())
}

// PostReadPushBody records the hook.
func (r *Recorder) PostReadPushBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadPushBody", ctx.Session(), ctx.Input())
}

// PostReadReplyHeader records the hook.
func (r *Recorder) PostReadReplyHeader(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadReplyHeader", ctx.Session(), ctx.Input())
}

// PreReadReplyBody records the hook.
func (r *Recorder) PreReadReplyBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PreReadReplyBody", ctx.Session(), ctx.Input())
}

// PostReadReplyBody records the hook.
func (r *Recorder) PostReadReplyBody(ctx tp.ReadCtx) *tp.Rerror {
	return r.packet("PostReadReplyBody", ctx.Session(), ctx.Input())
}

// PostExchange records the hook.
func (r *Recorder) PostExchange(ctx tp.ExchangeCtx) *tp.Rerror {
	if ctx.IsLaunched() {
		return r.packet("PostExchange", ctx.Session(), ctx.Output())
	}
	return r.packet("PostExchange", ctx.Session(), ctx.Input())
}

// PostDisconnect records the hook.
func (r *Recorder) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	return r.record(Event{Hook: "PostDisconnect", SessionID: sess.Id()})
}
