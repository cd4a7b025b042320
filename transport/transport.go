// Package transport is the registry of the schemes of addresses, such as "ws" of
// "ws://host/tp". A package that makes the conns of a scheme registers it when it is
// imported, and then a peer listens on and dials its addresses:
//
//	import _ "github.com/henrylee2cn/teleport/transport/websocket"
//
//	sess, rerr := peer.Dial("wss://example.com/tp")
//
// The schemes tcp, tls, unix and mem are the peer's own and not found here.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
)

// Transport makes the conns of a scheme of addresses. Its methods are called by many
// goroutines. A conn that it makes is final: the peer adds no TLS to it.
type Transport interface {
	// Listen listens on addr, which is what follows "://" of an address. config is nil
	// if the peer has no TLS; a transport that needs TLS returns an error then.
	Listen(addr string, config *tls.Config) (net.Listener, error)
	// Dial connects to addr within ctx. config is nil if the peer has no TLS.
	Dial(ctx context.Context, addr string, config *tls.Config) (net.Conn, error)
}

// Layer is a Transport on top of TCP. A peer opens the listener below it by itself, so
// that a restart hands it on, and systemd may have opened it.
type Layer interface {
	Transport
	// Below returns the address of TCP below addr: "0.0.0.0:80" of "0.0.0.0:80/tp".
	Below(addr string) string
	// ListenOn is Listen on a listener that is open. It closes lis if it fails.
	ListenOn(lis net.Listener, addr string, config *tls.Config) (net.Listener, error)
}

// FinalListener is a listener that is used without an address, and whose conns are
// final all the same: Peer.ServeListener adds no TLS to them. What is below them has it
// or not, such as the HTTP server that a WebSocket came through.
type FinalListener interface {
	net.Listener
	// FinalConns does nothing.
	FinalConns()
}

// ErrFlood is matched by the error of a conn whose other side has sent too much that
// costs work and is not for the session, which does not see it and has no limit for
// it. A peer counts it with what ends sessions by their conduct: see Peer.Stats.
var ErrFlood = errors.New("the other side floods the connection")

// wellKnown says which import registers a scheme.
var wellKnown = map[string]string{
	"ws":   "github.com/henrylee2cn/teleport/transport/websocket",
	"wss":  "github.com/henrylee2cn/teleport/transport/websocket",
	"quic": "github.com/henrylee2cn/teleport/transport/quic",
}

// own are the schemes that need no Transport.
var own = []string{"tcp", "tls", "unix", "mem"}

var (
	mu         sync.RWMutex // protects following
	transports = make(map[string]Transport)
)

// Reg registers the transport of a scheme, for the whole process. It panics if the
// scheme is taken, is one of the peer's own, or is malformed: it is lower-case letters,
// digits, '+', '-' and '.', and begins with a letter (RFC 3986, section 3.1).
func Reg(scheme string, t Transport) {
	switch {
	case t == nil:
		panic(fmt.Sprintf("transport: Reg of %q: the Transport is nil", scheme))
	case !isScheme(scheme) || scheme != strings.ToLower(scheme):
		panic(fmt.Sprintf("transport: Reg of %q: a scheme is lower-case letters, digits, '+', '-' and '.', and begins with a letter", scheme))
	case slices.Contains(own, scheme):
		panic(fmt.Sprintf("transport: Reg of %q: the scheme is the peer's own", scheme))
	}
	mu.Lock()
	defer mu.Unlock()
	if _, taken := transports[scheme]; taken {
		panic(fmt.Sprintf("transport: Reg of %q: the scheme is taken", scheme))
	}
	transports[scheme] = t
}

// Get returns the transport of a scheme. The error of one that is not registered
// names the import that would do it, if it is well known.
func Get(scheme string) (Transport, error) {
	mu.RLock()
	defer mu.RUnlock()
	if t, ok := transports[scheme]; ok {
		return t, nil
	}
	if path, ok := wellKnown[scheme]; ok {
		return nil, fmt.Errorf("transport: nothing has registered the scheme %q: import _ %q", scheme, path)
	}
	known := append(slices.Collect(maps.Keys(transports)), own...)
	slices.Sort(known)
	return nil, fmt.Errorf("transport: nothing has registered the scheme %q; there are %s", scheme, strings.Join(known, ", "))
}

// Split cuts an address at "://" and returns the scheme in lower case. The scheme is
// "", and rest all of the address, if there is none.
func Split(addr string) (scheme, rest string) {
	scheme, rest, ok := strings.Cut(addr, "://")
	if !ok || !isScheme(scheme) {
		return "", addr
	}
	return strings.ToLower(scheme), rest
}

func isScheme(s string) bool {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= s[i] && s[i] <= '9' || strings.IndexByte("+-.", s[i]) >= 0):
		default:
			return false
		}
	}
	return s != ""
}
