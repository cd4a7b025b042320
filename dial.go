package tp

import (
	"context"

	"github.com/henrylee2cn/teleport/socket"
)

// Dial connects to an address and returns the session, in the packet
// format of the first protoFunc or the default one. It is bounded by
// PeerConfig.DefaultDialTimeout. The error has CodeDialFailed, or is that of
// a PostDial plugin.
//
// The address is one of
//
//	host:port         TCP, with TLS if the peer has it, as PeerConfig.TlsCertFile says
//	tcp://host:port   the same
//	tls://host:port   TLS; if the peer has none, with the roots of the system
//	unix:///run/x     a unix socket, without TLS
//	mem://name        a listener in this process, without TLS
//
// or of a scheme that an imported package has registered with package transport, such
// as wss://host/path.
func (p *Peer) Dial(addr string, protoFunc ...socket.ProtoFunc) (Session, *Rerror) {
	return p.DialContext(context.Background(), addr, protoFunc...)
}

// DialContext is Dial that ctx bounds too. The session outlives ctx.
func (p *Peer) DialContext(ctx context.Context, addr string, protoFunc ...socket.ProtoFunc) (Session, *Rerror) {
	s, rerr := p.dial(ctx, addr, protoFunc)
	if rerr != nil {
		return nil, rerr
	}
	return s, nil
}

func dialRerror(detail string) *Rerror {
	return NewRerror(CodeDialFailed, CodeText(CodeDialFailed), detail)
}

func (p *Peer) dial(ctx context.Context, addr string, protoFunc []socket.ProtoFunc) (*session, *Rerror) {
	if addr == "" {
		return nil, dialRerror("the address is empty: name one, such as \"127.0.0.1:9090\"")
	}
	if !p.enter() {
		return nil, dialRerror("the peer is closed")
	}
	defer p.leave()
	ctx, stop := p.dialBound(ctx)
	defer stop()
	conn, rerr := p.connect(ctx, addr)
	if rerr != nil {
		return nil, rerr
	}
	made := false
	defer func() {
		if !made { // the ProtoFunc has panicked, and its caller may recover
			_ = conn.Close()
		}
	}()
	s := p.newSession(conn, protoFunc)
	made = true
	s.id, s.dialled = s.LocalIp(), true
	if p.cfg.RedialTimes != 0 {
		s.redial = newRedialer(addr, protoFunc)
	}
	if !p.remember(s) {
		_ = conn.Close()
		return nil, dialRerror("the peer is closed")
	}
	defer context.AfterFunc(ctx, func() { _ = s.cutOpening() })()
	if rerr := s.open(p.plugins.PostDial); rerr != nil {
		return nil, rerr
	}
	p.tally.dialled.Add(1)
	go s.serve(s.link()) // counted by p.sessions
	return s, nil
}

// dialBound returns the context of a dial: it ends with ctx, with the dial timeout,
// and when the peer is closed.
func (p *Peer) dialBound(ctx context.Context) (context.Context, context.CancelFunc) {
	cancel := nothing
	if d := p.cfg.DefaultDialTimeout; d > 0 {
		ctx, cancel = context.WithTimeout(ctx, d)
	}
	ctx, stop := context.WithCancel(ctx)
	unwatch := context.AfterFunc(p.life, stop)
	return ctx, func() {
		unwatch()
		stop()
		cancel()
	}
}
