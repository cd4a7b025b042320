package tp

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/henrylee2cn/teleport/socket"
)

// Dial connects to a TCP address and returns the session, in the packet
// format of the first protoFunc or the default one. It is bounded by
// PeerConfig.DefaultDialTimeout. The error has CodeDialFailed, or is that of
// a PostDial plugin.
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

// connect returns a conn to the address, with TLS if the peer has it.
func (p *Peer) connect(ctx context.Context, addr string) (net.Conn, *Rerror) {
	config, err := p.tlsConfig()
	if err != nil {
		return nil, dialRerror(err.Error())
	}
	conn, err := connect(ctx, addr, config)
	if err != nil {
		return nil, dialRerror(err.Error())
	}
	return conn, nil
}

func connect(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil || config == nil {
		return conn, err
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}
