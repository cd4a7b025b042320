package tp

// The hook methods of pluginChain run the hook of each plugin: see runHooks.

// PostReg runs the PostReg hooks.
func (c *pluginChain) PostReg(ctx *Handler) *Rerror {
	return runHooks(c, c.sorted.Load().postReg, ctx, "PostReg", PostRegPlugin.PostReg)
}

// PostListen runs the PostListen hooks.
func (c *pluginChain) PostListen(ctx PeerCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postListen, ctx, "PostListen", PostListenPlugin.PostListen)
}

// PreShutdown runs the PreShutdown hooks.
func (c *pluginChain) PreShutdown(ctx PeerCtx) *Rerror {
	return tellHooks(c, c.sorted.Load().preShutdown, ctx, "PreShutdown", PreShutdownPlugin.PreShutdown)
}

// PostDial runs the PostDial hooks.
func (c *pluginChain) PostDial(ctx PreSession) *Rerror {
	return runHooks(c, c.sorted.Load().postDial, ctx, "PostDial", PostDialPlugin.PostDial)
}

// PostAccept runs the PostAccept hooks.
func (c *pluginChain) PostAccept(ctx PreSession) *Rerror {
	return runHooks(c, c.sorted.Load().postAccept, ctx, "PostAccept", PostAcceptPlugin.PostAccept)
}

// PreWritePull runs the PreWritePull hooks.
func (c *pluginChain) PreWritePull(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preWritePull, ctx, "PreWritePull", PreWritePullPlugin.PreWritePull)
}

// PostWritePull runs the PostWritePull hooks.
func (c *pluginChain) PostWritePull(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postWritePull, ctx, "PostWritePull", PostWritePullPlugin.PostWritePull)
}

// PreWriteReply runs the PreWriteReply hooks.
func (c *pluginChain) PreWriteReply(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preWriteReply, ctx, "PreWriteReply", PreWriteReplyPlugin.PreWriteReply)
}

// PostWriteReply runs the PostWriteReply hooks.
func (c *pluginChain) PostWriteReply(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postWriteReply, ctx, "PostWriteReply", PostWriteReplyPlugin.PostWriteReply)
}

// PreWritePush runs the PreWritePush hooks.
func (c *pluginChain) PreWritePush(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preWritePush, ctx, "PreWritePush", PreWritePushPlugin.PreWritePush)
}

// PostWritePush runs the PostWritePush hooks.
func (c *pluginChain) PostWritePush(ctx WriteCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postWritePush, ctx, "PostWritePush", PostWritePushPlugin.PostWritePush)
}

// PreReadHeader runs the PreReadHeader hooks.
func (c *pluginChain) PreReadHeader(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preReadHeader, ctx, "PreReadHeader", PreReadHeaderPlugin.PreReadHeader)
}

// PostReadPullHeader runs the PostReadPullHeader hooks.
func (c *pluginChain) PostReadPullHeader(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadPullHeader, ctx, "PostReadPullHeader", PostReadPullHeaderPlugin.PostReadPullHeader)
}

// PreReadPullBody runs the PreReadPullBody hooks.
func (c *pluginChain) PreReadPullBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preReadPullBody, ctx, "PreReadPullBody", PreReadPullBodyPlugin.PreReadPullBody)
}

// PostReadPullBody runs the PostReadPullBody hooks.
func (c *pluginChain) PostReadPullBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadPullBody, ctx, "PostReadPullBody", PostReadPullBodyPlugin.PostReadPullBody)
}

// PostReadPushHeader runs the PostReadPushHeader hooks.
func (c *pluginChain) PostReadPushHeader(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadPushHeader, ctx, "PostReadPushHeader", PostReadPushHeaderPlugin.PostReadPushHeader)
}

// PreReadPushBody runs the PreReadPushBody hooks.
func (c *pluginChain) PreReadPushBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preReadPushBody, ctx, "PreReadPushBody", PreReadPushBodyPlugin.PreReadPushBody)
}

// PostReadPushBody runs the PostReadPushBody hooks.
func (c *pluginChain) PostReadPushBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadPushBody, ctx, "PostReadPushBody", PostReadPushBodyPlugin.PostReadPushBody)
}

// PostReadReplyHeader runs the PostReadReplyHeader hooks.
func (c *pluginChain) PostReadReplyHeader(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadReplyHeader, ctx, "PostReadReplyHeader", PostReadReplyHeaderPlugin.PostReadReplyHeader)
}

// PreReadReplyBody runs the PreReadReplyBody hooks.
func (c *pluginChain) PreReadReplyBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().preReadReplyBody, ctx, "PreReadReplyBody", PreReadReplyBodyPlugin.PreReadReplyBody)
}

// PostReadReplyBody runs the PostReadReplyBody hooks.
func (c *pluginChain) PostReadReplyBody(ctx ReadCtx) *Rerror {
	return runHooks(c, c.sorted.Load().postReadReplyBody, ctx, "PostReadReplyBody", PostReadReplyBodyPlugin.PostReadReplyBody)
}

// PostExchange runs the PostExchange hooks.
func (c *pluginChain) PostExchange(ctx ExchangeCtx) *Rerror {
	return tellHooks(c, c.sorted.Load().postExchange, ctx, "PostExchange", PostExchangePlugin.PostExchange)
}

// PostDisconnect runs the PostDisconnect hooks.
func (c *pluginChain) PostDisconnect(ctx PostSession) *Rerror {
	return tellHooks(c, c.sorted.Load().postDisconnect, ctx, "PostDisconnect", PostDisconnectPlugin.PostDisconnect)
}
