package websocket

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/transport"
)

// Listener accepts the WebSockets that come in over HTTP. It is an http.Handler, which
// answers requests to open one, and a net.Listener, whose Accept returns their conns;
// Listen and Serve give it an HTTP server of its own. Its methods may be called
// by many goroutines.
//
// Close ends Accept, and the server if it has one; the conns that were accepted go on
// until they are closed. A request that comes later gets 503.
type Listener struct {
	set    *settings
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	end    sync.Once
	server *http.Server  // nil if it is another's
	served chan struct{} // closed when server has returned; nil if there is none
}

var (
	_ transport.FinalListener = new(Listener)
	_ http.Handler            = new(Listener)
)

// NewListener returns a Listener that is the handler of another's HTTP server. That one
// should have a ReadHeaderTimeout. Middleware may check cookies or tokens before it. An
// error names the field of the Config.
func NewListener(config *Config) (*Listener, error) {
	set, err := config.complete()
	if err != nil {
		return nil, err
	}
	return newListener(set, handlerAddr{}), nil
}

func newListener(set *settings, addr net.Addr) *Listener {
	return &Listener{set: set, addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// ServeHTTP makes a WebSocket of the request, and returns when Accept has it.
// One from a page of another origin gets 403, one that asks for none 426.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.isClosed() {
		http.Error(w, "the listener is closed", http.StatusServiceUnavailable)
		return
	}
	up := &hijacked{ResponseWriter: w}
	if canHijack(w) {
		w = up
	}
	options := l.set.accept
	options.OnPingReceived = func(context.Context, []byte) bool { return up.below.overhead.ping() }
	ws, err := websocket.Accept(w, r, &options)
	if err != nil {
		l.set.warn("websocket: a request was refused", "remote", r.RemoteAddr,
			"origin", clip(r.Header.Get("Origin")), "error", clip(err.Error()))
		return
	}
	remote := l.set.proxies.client(up.below.RemoteAddr(), r.Header.Values("X-Forwarded-For"))
	c := newConn(ws, up.below, false, remote, l.set)
	patience := time.NewTimer(l.set.HandshakeTimeout)
	defer patience.Stop()
	select {
	case l.conns <- c:
		return
	case <-l.closed:
		c.refuse(websocket.StatusGoingAway, "the listener is closed")
	case <-patience.C:
		c.refuse(websocket.StatusTryAgainLater, "nobody accepts")
	}
	_ = c.Close()
}

// clip returns the beginning of a text that strangers have a say in.
func clip(text string) string { return text[:min(len(text), maxLogged)] }

// Accept returns the conn of the next WebSocket.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
	case <-l.served: // what it listened on was closed
	}
	return nil, net.ErrClosed
}

// Close is described at Listener. Closing again does nothing.
func (l *Listener) Close() error {
	var err error
	l.end.Do(func() {
		close(l.closed)
		if l.server != nil {
			err = l.server.Close()
			<-l.served
		}
	})
	return err
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Addr returns the address that the server listens on, without a path. A Listener of
// NewListener does not know it.
func (l *Listener) Addr() net.Addr { return l.addr }

// FinalConns says that a peer with TLS adds none to the conns: a WebSocket has that of its
// HTTP server, or of the reverse proxy before it.
func (l *Listener) FinalConns() {}

// handlerAddr is the address of a Listener that is only a handler.
type handlerAddr struct{}

func (handlerAddr) Network() string { return "websocket" }
func (handlerAddr) String() string  { return "websocket handler" }

// hijacked is a ResponseWriter that keeps the conn which was taken from it.
type hijacked struct {
	http.ResponseWriter
	below *stream
}

// canHijack reports whether the conn can be taken from the ResponseWriter.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch inner := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return false
		}
	}
}

// Hijack is that of the ResponseWriter, with a stream.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.below = &stream{Conn: conn}
	buf.Writer.Reset(h.below)
	return h.below, buf, nil
}
