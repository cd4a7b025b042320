package tp

import (
	"context"
	"time"

	"github.com/henrylee2cn/teleport/internal/uri"
	"github.com/henrylee2cn/teleport/socket"
)

// ExchangeCtx is what a plugin may ask of a pull or push that is over.
type ExchangeCtx interface {
	// IsPull reports whether it was a pull; otherwise it was a push.
	IsPull() bool
	// IsLaunched reports whether this side began it; otherwise it was to handle
	// it.
	IsLaunched() bool
	// Handler returns the handler that it was routed to. It is nil if this side
	// began it, no handler serves its path, or it was refused before routing.
	Handler() *Handler
	// Path returns the path of its URI, as routing used it.
	Path() string
	// Rerror returns why it failed, or nil. Of a push that this side sent, nil
	// says that it was queued.
	Rerror() *Rerror
	// CostTime returns how long it took: what this side began from the call to
	// the decoded reply, or until a push was queued; what it handled from the
	// arrival until the reply was queued, or the handler of a push had returned,
	// the time in line included.
	CostTime() time.Duration
	// Input returns the packet that came: what was handled, or the reply. It is
	// empty if none came. Its body may be in use by the program.
	Input() *socket.Packet
	// Output returns the packet that went: what this side began, or the reply. It
	// is empty if there was none. Its body may be in use by the program.
	Output() *socket.Packet
	// Context returns the context of the exchange, as the hooks before left it.
	Context() context.Context
	// Peer returns the peer.
	Peer() *Peer
	// Session returns the session.
	Session() Session
}

// exchangeOver is the ExchangeCtx.
type exchangeOver struct {
	anyCtx
	input, output *socket.Packet
	handler       *Handler
	rerr          *Rerror
	cost          time.Duration
	isPull        bool
	isLaunched    bool
}

// anyCtx is what all contexts of exchanges have.
type anyCtx interface {
	Context() context.Context
	Peer() *Peer
	Session() Session
}

var _ ExchangeCtx = new(exchangeOver)

// IsPull reports whether it was a pull.
func (e *exchangeOver) IsPull() bool { return e.isPull }

// IsLaunched reports whether this side began it.
func (e *exchangeOver) IsLaunched() bool { return e.isLaunched }

// Handler returns the handler that it was routed to, or nil.
func (e *exchangeOver) Handler() *Handler { return e.handler }

// Path returns the path of its URI.
func (e *exchangeOver) Path() string {
	p := e.input
	if e.isLaunched {
		p = e.output
	}
	path, _, _ := uri.Split(p.Uri())
	return path
}

// Rerror returns why it failed, or nil.
func (e *exchangeOver) Rerror() *Rerror { return e.rerr }

// CostTime returns how long it took.
func (e *exchangeOver) CostTime() time.Duration { return e.cost }

// Input returns the packet that came.
func (e *exchangeOver) Input() *socket.Packet { return e.input }

// Output returns the packet that went.
func (e *exchangeOver) Output() *socket.Packet { return e.output }

// seesExchanges reports whether any hook sees exchanges that are over.
func (c *pluginChain) seesExchanges() bool { return len(c.sorted.Load().postExchange) > 0 }

// tellOver runs the PostExchange hooks.
func (e *exchangeOver) tellOver(plugins *pluginChain) {
	if rerr := plugins.PostExchange(e); rerr != nil {
		e.Peer().log().Warnf("session %s: PostExchange of %q: %v", e.Session().Id(), clipURI(e.Path()), rerr)
	}
}

// tellOver tells plugins that a pull or push of the other side is over. Of a push, or
// where there is no answer, out is nil.
func (c *handlerCtx) tellOver(rerr *Rerror, out *socket.Packet) {
	plugins := c.link.peer.plugins
	if !plugins.seesExchanges() {
		return
	}
	if out == nil {
		out = new(socket.Packet)
	}
	e := exchangeOver{anyCtx: c, input: &c.input, output: out, handler: c.handler, rerr: rerr, isPull: c.input.Ptype() == TypePull}
	if more := c.more.Load(); more != nil && more.start > 0 { // else a plugin was added meanwhile
		e.cost = sinceStart() - more.start
	}
	e.tellOver(plugins)
}

// tellOver tells plugins that a pull of this side is over.
func (c *PullCmd) tellOver() {
	plugins := c.plugins()
	if !plugins.seesExchanges() {
		return
	}
	e := exchangeOver{anyCtx: c, input: &c.input, output: &c.output, rerr: c.rerr, cost: c.cost, isPull: true, isLaunched: true}
	e.tellOver(plugins)
}

// tellOver tells plugins that a push of this side is over.
func (c *pushCmd) tellOver(start time.Duration, rerr *Rerror) {
	e := exchangeOver{anyCtx: c, input: new(socket.Packet), output: &c.output, rerr: rerr, cost: sinceStart() - start, isLaunched: true}
	e.tellOver(c.sess.peer.plugins)
}
