package tp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/henrylee2cn/teleport/internal/memory"
	"github.com/henrylee2cn/teleport/transport"
)

// The schemes of addresses that the peer knows by itself. What another one means is
// registered with package transport.
const (
	schemeTCP  = "tcp"  // with TLS if the peer has that
	schemeTLS  = "tls"  // TCP, never without TLS
	schemeUnix = "unix" // the path of a socket file
	schemeMem  = "mem"  // a name within the process
)

// splitAddr is transport.Split, with the scheme of an address that names none.
func splitAddr(addr string) (scheme, rest string) {
	if scheme, rest = transport.Split(addr); scheme == "" {
		scheme = schemeTCP
	}
	return scheme, rest
}

// isLocal reports whether what goes to addresses of the scheme does not leave the
// machine. There is no TLS then.
func isLocal(scheme string) bool { return scheme == schemeUnix || scheme == schemeMem }

// checkListenAddr says what is wrong with one of PeerConfig.ListenAddrs.
func checkListenAddr(addr string) error {
	switch scheme, rest := splitAddr(addr); scheme {
	case schemeTCP, schemeTLS:
		if _, _, err := net.SplitHostPort(rest); err != nil {
			if strings.HasPrefix(addr, "/") {
				return fmt.Errorf("is no \"host:port\"; a unix socket is %q", "unix://"+addr)
			}
			return fmt.Errorf("is no \"host:port\": %w", err)
		}
	case schemeUnix, schemeMem:
		if rest == "" {
			return fmt.Errorf("has no name after %q", scheme+"://")
		}
	default:
		if _, err := transport.Get(scheme); err != nil {
			return fmt.Errorf("cannot be listened on: %w", err)
		}
	}
	return nil
}

// servedAddr is a listener of Peer.Listen.
type servedAddr struct {
	net.Listener
	addr   string      // of PeerConfig.ListenAddrs
	config *tls.Config // nil if the peer adds no TLS
}

// String says where it listens, also where the address leaves that open.
func (s servedAddr) String() string {
	bound := addrText(s.Addr())
	if scheme, _ := transport.Split(s.addr); scheme == "" {
		return bound
	}
	if strings.HasSuffix(s.addr, bound) {
		return s.addr
	}
	return s.addr + ", which is " + bound
}

// listenAll opens all of PeerConfig.ListenAddrs, or none.
func (p *Peer) listenAll() (all []servedAddr, err error) {
	defer func() {
		if err != nil {
			for _, one := range all {
				process.giveBack(one.Listener)
			}
		}
	}()
	var config *tls.Config
	for _, addr := range p.cfg.ListenAddrs {
		if scheme, _ := splitAddr(addr); !isLocal(scheme) {
			if config, err = p.serverTLSConfig(); err != nil {
				return nil, err
			}
			break
		}
	}
	for _, addr := range p.cfg.ListenAddrs {
		one, err := listenOn(addr, config)
		if err != nil {
			return all, fmt.Errorf("tp: cannot listen on %s: %w", addr, err)
		}
		all = append(all, one)
	}
	return all, nil
}

var errNoServerTLS = errors.New("the peer has no TLS: set PeerConfig.TlsCertFile and TlsKeyFile, or SetTLSConfig")

// listenOn listens on an address. config is nil if the peer has no TLS.
func listenOn(addr string, config *tls.Config) (servedAddr, error) {
	one := servedAddr{addr: addr}
	var err error
	switch scheme, rest := splitAddr(addr); scheme {
	case schemeTLS:
		if config == nil {
			return one, errNoServerTLS
		}
		fallthrough
	case schemeTCP:
		one.config = config
		one.Listener, err = process.listen("tcp", rest)
	case schemeUnix:
		one.Listener, err = process.listen("unix", rest)
	case schemeMem:
		one.Listener, err = memory.Listen(rest)
	default:
		var t transport.Transport
		if t, err = transport.Get(scheme); err == nil {
			one.Listener, err = listenBy(t, rest, config)
		}
	}
	return one, err
}

// listenBy listens by a registered transport.
func listenBy(t transport.Transport, addr string, config *tls.Config) (net.Listener, error) {
	layer, ok := t.(transport.Layer)
	if !ok {
		return t.Listen(addr, config)
	}
	lis, err := process.listen("tcp", layer.Below(addr))
	if err != nil {
		return nil, err
	}
	return layer.ListenOn(lis, addr, config)
}

// connect returns a conn to the address, with TLS if that belongs to it.
func (p *Peer) connect(ctx context.Context, addr string) (net.Conn, *Rerror) {
	conn, err := p.dialScheme(ctx, addr)
	if err != nil {
		return nil, dialRerror(err.Error())
	}
	return conn, nil
}

func (p *Peer) dialScheme(ctx context.Context, addr string) (net.Conn, error) {
	scheme, rest := splitAddr(addr)
	switch scheme {
	case schemeUnix:
		return new(net.Dialer).DialContext(ctx, "unix", rest)
	case schemeMem:
		return memory.Dial(ctx, rest)
	}
	config, err := p.tlsConfig()
	if err != nil {
		return nil, err
	}
	switch scheme {
	case schemeTLS:
		if config == nil { // the system's roots
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		fallthrough
	case schemeTCP:
		return dialTCP(ctx, rest, config)
	}
	t, err := transport.Get(scheme)
	if err != nil {
		return nil, err
	}
	return t.Dial(ctx, rest, config)
}

// dialTCP connects to a TCP address. There is no TLS if config is nil.
func dialTCP(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
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
