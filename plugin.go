package tp

// Plugin is a named thing with any of the hooks below: it implements the
// interfaces of those that it wants. The 23 hooks, in the order in which they
// fire, are in doc/plugins.md.
//
// A plugin belongs to a peer (NewPeer), a group (Router.Group) or a handler
// (Router.Reg and the like). Hooks fire in that order, and among plugins of
// one place in the order of registration. A name may stand once in a chain.
// Hooks are called by many goroutines at once.
//
// A hook that returns a Rerror vetoes, and the hooks after it do not run. A
// hook that panics vetoes with 500; the stack is logged. Of PreShutdown, PostExchange
// and PostDisconnect, which tell of what is over anyway, those of all plugins run, and
// the first veto counts.
type Plugin interface {
	// Name returns the plugin's name.
	Name() string
}

type (
	// PostRegPlugin: at registration, in the goroutine that registers, for
	// each handler of the plugin's chain. A veto panics. A plugin of the peer
	// sees only handlers registered after it was added.
	PostRegPlugin interface {
		Plugin
		PostReg(*Handler) *Rerror
	}
	// PostDialPlugin: after a connection was dialled, in the goroutine of
	// Dial, before anything is read. The hook may Send and Receive. A veto
	// closes the session and is the error of Dial. Plugins of the peer only.
	PostDialPlugin interface {
		Plugin
		PostDial(PreSession) *Rerror
	}
	// PostAcceptPlugin: after a connection was accepted, or given to
	// ServeConn, in the goroutine that will read it, before anything is read.
	// The hook may Send and Receive; all of them have PeerConfig.AcceptTimeout
	// together. A veto closes the session. Plugins of the peer only.
	PostAcceptPlugin interface {
		Plugin
		PostAccept(PreSession) *Rerror
	}
	// PreWritePullPlugin: before a pull is sent, in the goroutine of Pull or
	// GoPull. A veto is the pull's error and nothing is sent. Plugins of the
	// peer only.
	PreWritePullPlugin interface {
		Plugin
		PreWritePull(WriteCtx) *Rerror
	}
	// PostWritePullPlugin: after a pull was queued, in the goroutine of Pull
	// or GoPull; the reply may have arrived. A veto is logged. Plugins of the
	// peer only.
	PostWritePullPlugin interface {
		Plugin
		PostWritePull(WriteCtx) *Rerror
	}
	// PreWriteReplyPlugin: before a reply is sent, error replies too, in the
	// goroutine of the handler. A veto replaces the reply. It does not fire
	// for a 503, which the reader sends itself.
	PreWriteReplyPlugin interface {
		Plugin
		PreWriteReply(WriteCtx) *Rerror
	}
	// PostWriteReplyPlugin: after a reply was queued, in the goroutine of the
	// handler. A veto is logged.
	PostWriteReplyPlugin interface {
		Plugin
		PostWriteReply(WriteCtx) *Rerror
	}
	// PreWritePushPlugin: before a push is sent, in the goroutine of Push. A
	// veto is the error of Push and nothing is sent. Plugins of the peer only.
	PreWritePushPlugin interface {
		Plugin
		PreWritePush(WriteCtx) *Rerror
	}
	// PostWritePushPlugin: after a push was queued, in the goroutine of Push.
	// A veto is logged. Plugins of the peer only.
	PostWritePushPlugin interface {
		Plugin
		PostWritePush(WriteCtx) *Rerror
	}
	// PreReadHeaderPlugin: before the reader waits for a packet, whatever that
	// will be, in the goroutine that reads: it must not block. Input() is
	// empty. A veto closes the session. Plugins of the peer only.
	PreReadHeaderPlugin interface {
		Plugin
		PreReadHeader(ReadCtx) *Rerror
	}
	// PostReadPullHeaderPlugin: when a pull has arrived, before routing, in
	// the goroutine that reads: it must not block. It may rewrite the URI,
	// which routes by what it left. A veto answers the pull. Plugins of the
	// peer only.
	PostReadPullHeaderPlugin interface {
		Plugin
		PostReadPullHeader(ReadCtx) *Rerror
	}
	// PreReadPullBodyPlugin: before the body of a pull is decoded, in the
	// goroutine of the handler. A veto answers the pull.
	PreReadPullBodyPlugin interface {
		Plugin
		PreReadPullBody(ReadCtx) *Rerror
	}
	// PostReadPullBodyPlugin: after the body of a pull was decoded, in the
	// goroutine of the handler. It may replace Input().Body() by another value
	// of the same type. A veto answers the pull.
	PostReadPullBodyPlugin interface {
		Plugin
		PostReadPullBody(ReadCtx) *Rerror
	}
	// PostReadPushHeaderPlugin: when a push has arrived, before routing, in
	// the goroutine that reads: it must not block. It may rewrite the URI. A
	// veto drops the push, logged. Plugins of the peer only.
	PostReadPushHeaderPlugin interface {
		Plugin
		PostReadPushHeader(ReadCtx) *Rerror
	}
	// PreReadPushBodyPlugin: before the body of a push is decoded, in the
	// goroutine of the handler. A veto drops the push, logged.
	PreReadPushBodyPlugin interface {
		Plugin
		PreReadPushBody(ReadCtx) *Rerror
	}
	// PostReadPushBodyPlugin: after the body of a push was decoded, in the
	// goroutine of the handler. It may replace Input().Body() by another value
	// of the same type. A veto drops the push, logged.
	PostReadPushBodyPlugin interface {
		Plugin
		PostReadPushBody(ReadCtx) *Rerror
	}
	// PostReadReplyHeaderPlugin: when the reply to a pull has arrived, in the
	// goroutine that waits for it (for GoPull, one of the peer's). A veto fails
	// the pull. Plugins of the peer only.
	PostReadReplyHeaderPlugin interface {
		Plugin
		PostReadReplyHeader(ReadCtx) *Rerror
	}
	// PreReadReplyBodyPlugin: before the body of a reply is decoded, in the
	// goroutine that waits for it (for GoPull, one of the peer's). A veto
	// fails the pull. Plugins of the peer only.
	PreReadReplyBodyPlugin interface {
		Plugin
		PreReadReplyBody(ReadCtx) *Rerror
	}
	// PostReadReplyBodyPlugin: after the body of a reply was decoded, in the
	// goroutine that waits for it (for GoPull, one of the peer's). A veto
	// fails the pull. Plugins of the peer only.
	PostReadReplyBodyPlugin interface {
		Plugin
		PostReadReplyBody(ReadCtx) *Rerror
	}
	// PostListenPlugin: when the peer begins to listen on an address, which
	// Peer.Addrs has then, in the goroutine of Listen or ServeListener, before
	// anything is accepted. A veto closes the listener and is the error of Listen.
	// It may come while PreShutdown runs. Plugins of the peer only.
	PostListenPlugin interface {
		Plugin
		PostListen(PeerCtx) *Rerror
	}
	// PreShutdownPlugin: once, when Peer.Shutdown or Close begins, before the
	// listeners are closed and the sessions drained, in a goroutine for which
	// Shutdown waits as long as its context lets it. A veto is logged. Plugins of
	// the peer only.
	PreShutdownPlugin interface {
		Plugin
		PreShutdown(PeerCtx) *Rerror
	}
	// PostExchangePlugin: once for each pull and push, of either side, when it is
	// over, whatever became of it: also if it was not sent, got no reply or was
	// refused, so that it may be the only hook that sees it. It runs where the
	// exchange ends: in the goroutine that pulled or pushed (for GoPull, one of the
	// peer's), in that of the handler, or in the one that reads: it must not block.
	// A broadcast has one for each session if it has the other hooks of pushes, else
	// none. A veto is logged. Plugins of the peer only.
	PostExchangePlugin interface {
		Plugin
		PostExchange(ExchangeCtx) *Rerror
	}
	// PostDisconnectPlugin: once, when a session that was let in has ended, in
	// the goroutine that read it. What stood in its line (pushes, and all that
	// is DispatchOrdered) has been handled before; handlers that run
	// concurrently may still run. A veto is logged. Plugins of the peer only.
	PostDisconnectPlugin interface {
		Plugin
		PostDisconnect(PostSession) *Rerror
	}
)

// PluginContainer is a chain of plugins: those of a handler, before them
// those of its groups, before them those of the peer. Its hook methods run
// the hook of each. It is safe for concurrent use.
type PluginContainer interface {
	// Add appends plugins. A name that the chain or one below it has already
	// is an error, and then none is added.
	Add(plugins ...Plugin) error
	// Remove removes a plugin that was added here, not above.
	Remove(pluginName string) error
	// GetByName returns the plugin of the chain with the name, or nil.
	GetByName(pluginName string) Plugin
	// GetAll returns the plugins of the chain.
	GetAll() []Plugin

	PostReg(*Handler) *Rerror
	PostListen(PeerCtx) *Rerror
	PreShutdown(PeerCtx) *Rerror
	PostDial(PreSession) *Rerror
	PostAccept(PreSession) *Rerror
	PreWritePull(WriteCtx) *Rerror
	PostWritePull(WriteCtx) *Rerror
	PreWriteReply(WriteCtx) *Rerror
	PostWriteReply(WriteCtx) *Rerror
	PreWritePush(WriteCtx) *Rerror
	PostWritePush(WriteCtx) *Rerror
	PreReadHeader(ReadCtx) *Rerror
	PostReadPullHeader(ReadCtx) *Rerror
	PreReadPullBody(ReadCtx) *Rerror
	PostReadPullBody(ReadCtx) *Rerror
	PostReadPushHeader(ReadCtx) *Rerror
	PreReadPushBody(ReadCtx) *Rerror
	PostReadPushBody(ReadCtx) *Rerror
	PostReadReplyHeader(ReadCtx) *Rerror
	PreReadReplyBody(ReadCtx) *Rerror
	PostReadReplyBody(ReadCtx) *Rerror
	PostExchange(ExchangeCtx) *Rerror
	PostDisconnect(PostSession) *Rerror
}
