package tp

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/henrylee2cn/teleport/socket"
)

// ConnOpener is what a listener may return for a conn of which more has to come before it
// is known what becomes of it, such as the first bytes, which say what is spoken on it
// (package proto/sniff). Accept must not wait for them: one that is silent would
// keep out all others.
//
// The peer opens it in a goroutine of its own. Until then it is a connection that is not let in yet,
// as during the TLS handshake: AcceptTimeout, MaxOpening and MaxOpeningPerIP bound it,
// and Shutdown waits for it.
type ConnOpener interface {
	net.Conn
	// OpenConn returns the conn to make a session of, and its packet format; nil is that
	// of ServeListener. The peer adds no TLS to it. config is that of the peer for
	// listeners, or nil if it has none: then nothing is TLS. OpenConn is called once
	// and must end with ctx, or when the ConnOpener is closed.
	//
	// A nil conn without an error says that somebody else has it now. With an error the
	// peer closes it. One that wraps io.EOF says that the other side has left and has sent
	// nothing, as a load balancer does that looks whether the port is open: then that is
	// no warning, and not counted in Stats.Refused.
	OpenConn(ctx context.Context, config *tls.Config) (conn net.Conn, protoFunc socket.ProtoFunc, err error)
}

// openConn finds out what becomes of an accepted conn. It is nil if somebody else has
// it now.
func (p *Peer) openConn(ctx context.Context, c ConnOpener, config *tls.Config) (net.Conn, socket.ProtoFunc, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(p.life, stop)()
	return c.OpenConn(ctx, config)
}
