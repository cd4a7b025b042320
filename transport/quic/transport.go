package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/henrylee2cn/teleport/transport"
	quicgo "github.com/quic-go/quic-go"
)

// Scheme is that of the addresses, and the network of the conns: see [net.OpError].
const Scheme = "quic"

func init() { transport.Reg(Scheme, New(nil)) }

// Transport listens and dials.
type Transport struct {
	config Config
}

var _ transport.Transport = (*Transport)(nil)

// New returns a Transport with the settings, of which nil is all defaults. The one
// that is registered has these. It panics if a setting cannot work, and names it.
//
// To have others in an address, register it by a scheme of your own, such as
// "quic+lan"; or give what it listens on to Peer.ServeListener, and what it dials to
// Peer.ServeConn.
func New(config *Config) *Transport { return &Transport{config.complete()} }

// Listen listens on a UDP address, such as "0.0.0.0:9090". config must have a
// certificate; it is not changed.
//
// A conn is accepted when its handshake is over and its client has opened the stream.
// Closing the listener returns at once. The conns that it has accepted live on, and
// the address is free again when the last of them has ended: unlike one of TCP, it
// cannot be handed to another process meanwhile.
//
// The conns are safe for concurrent use, like those of package net. Reading one gives
// io.EOF after what was written before the other side closed, or closed only for
// writing (CloseWrite). Close does not lose what was written: it is sent in the
// background, for at most Config.Linger. If the other side has closed before, Close
// waits until that has all, for a second at most: a program that ends when its
// conns are closed loses nothing either.
//
// A conn that the other side has cut matches syscall.ECONNRESET, and one of which
// nothing more is heard syscall.ETIMEDOUT.
func (t *Transport) Listen(addr string, config *tls.Config) (net.Listener, error) {
	config, err := serverTLS(config)
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("quic: %w", err)
	}
	socket, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("quic: %w", err)
	}
	l, err := newListener(socket, config, &t.config)
	if err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("quic: cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

// Dial connects to a UDP address within ctx. A nil config is the zero one: the
// server's certificate is verified for the host of addr by the system's roots.
//
// Each conn that is dialled has a UDP socket of its own, on a free port. So it stays
// alive when this machine changes its address. Of a name with many addresses the
// first to which there is a route is dialled. That nobody listens there shows only
// after half of Config.HandshakeTimeout: UDP has no refusal that could be trusted.
func (t *Transport) Dial(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	config, err := clientTLS(config, addr)
	if err != nil {
		return nil, err
	}
	local, remote, err := route(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("quic: %w", err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: wildcard(remote.IP)})
	if err != nil {
		return nil, fmt.Errorf("quic: %w", err)
	}
	below := &quicgo.Transport{Conn: socket}
	free := func() {
		_ = below.Close()
		_ = socket.Close()
	}
	qc, err := below.Dial(ctx, remote, config, t.config.quic(true))
	if err != nil {
		free()
		return nil, fmt.Errorf("quic: cannot dial %s: %w", addr, dialError(err))
	}
	stream, err := openStream(qc)
	if err != nil {
		_ = qc.CloseWithError(codeNone, "")
		free()
		return nil, fmt.Errorf("quic: cannot open a stream to %s: %w", addr, dialError(err))
	}
	local.Port = socket.LocalAddr().(*net.UDPAddr).Port
	// Until then it says again that the connection is closed, to who has not heard it.
	freeLater := func() { time.AfterFunc(closingTime, free) }
	return newConn(qc, stream, local, remote, t.config.Linger, freeLater), nil
}

// closingTime is for how long a conn that was dialled keeps its socket after its end.
// quic-go repeats the last packet for three times as long as it takes to hear of a
// loss, about twice the round trip (RFC 9000, section 10.2).
const closingTime = time.Second

// openStream opens the stream of a session. The other side only sees it when there is
// something on it.
func openStream(qc *quicgo.Conn) (*quicgo.Stream, error) {
	stream, err := qc.OpenStream()
	if err != nil {
		return nil, err
	}
	_, err = stream.Write([]byte{preface})
	return stream, err
}

// route returns the addresses of this machine and of the other on the way to addr. To
// connect a UDP socket sends nothing.
func route(ctx context.Context, addr string) (local, remote *net.UDPAddr, err error) {
	var dialer net.Dialer
	probe, err := dialer.DialContext(ctx, "udp", addr)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = probe.Close() }()
	local, ok := probe.LocalAddr().(*net.UDPAddr)
	remote, ok2 := probe.RemoteAddr().(*net.UDPAddr)
	if !ok || !ok2 {
		return nil, nil, errors.New("the address is none of UDP")
	}
	return local, remote, nil
}

// wildcard returns the address of all of this machine's, of the same family.
func wildcard(ip net.IP) net.IP {
	if ip.To4() != nil {
		return net.IPv4zero
	}
	return net.IPv6unspecified
}
