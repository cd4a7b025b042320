package tp

import (
	"context"
	"net"
)

// PeerCtx is what a plugin may ask when its peer begins to listen or to shut down.
type PeerCtx interface {
	// Peer returns the peer.
	Peer() *Peer
	// Context returns the context of what the peer is about to do: for PostListen
	// one that ends when the peer listens no more, for PreShutdown that of
	// Peer.Shutdown.
	Context() context.Context
}

// peerCtx is the PeerCtx.
type peerCtx struct {
	peer *Peer
	ctx  context.Context
}

var _ PeerCtx = peerCtx{}

// Peer returns the peer.
func (c peerCtx) Peer() *Peer { return c.peer }

// Context returns the context of what the peer is about to do.
func (c peerCtx) Context() context.Context { return c.ctx }

// tellListen runs the PostListen hooks for a listener.
func (p *Peer) tellListen(lis net.Listener) error {
	rerr := p.plugins.PostListen(peerCtx{p, p.life})
	if rerr == nil {
		return nil
	}
	p.log().Warnf("listener %s: PostListen: %v", addrText(lis.Addr()), rerr)
	return rerr.ToError()
}

// tellShutdown runs the PreShutdown hooks, and waits for them as long as ctx lets it.
func (p *Peer) tellShutdown(ctx context.Context) {
	if len(p.plugins.sorted.Load().preShutdown) == 0 {
		return
	}
	told := make(chan struct{})
	go func() { // waited for below; one that takes longer than ctx is on its own
		defer close(told)
		if rerr := p.plugins.PreShutdown(peerCtx{p, ctx}); rerr != nil {
			p.log().Warnf("PreShutdown: %v", rerr)
		}
	}()
	select {
	case <-told:
	case <-ctx.Done():
	}
}
