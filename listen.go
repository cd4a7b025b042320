package tp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/transport"
)

// Pauses after a failed accept (out of file descriptors, mostly).
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Listen listens on every address of PeerConfig.ListenAddrs and serves what
// connects there, in the packet format of the first protoFunc or the default
// one. It blocks until the peer is closed and has drained, and then returns
// ErrListenClosed. An address that cannot be listened on, or a bad
// certificate file, is an error at once, and then none is listened on.
//
// An address is not opened where the process has inherited a listener for it,
// from the process that it replaces (see Reboot) or from systemd: see
// InheritListener. So it is with TCP and unix sockets, also below a transport.Layer such
// as WebSocket; addresses of other transports are always opened.
//
// In a goroutine, it may not listen yet when the next line runs: to dial at
// once, net.Listen first and use ServeListener.
//
// When the process is ending by GraceSignal, Shutdown or Reboot, Listen does not
// return: a main function that ends with it would end the drain.
func (p *Peer) Listen(protoFunc ...socket.ProtoFunc) error {
	if len(p.cfg.ListenAddrs) == 0 {
		return errors.New("tp: Listen: PeerConfig.ListenAddrs is empty: name an address, such as \"0.0.0.0:9090\"")
	}
	listeners, err := p.listenAll()
	if err != nil {
		return err
	}
	for _, lis := range listeners {
		p.log().Infof("listening on %v", lis)
	}
	errs := make(chan error, len(listeners))
	for _, lis := range listeners {
		go func() { errs <- p.serveListener(lis.Listener, lis.config, protoFunc) }() // waited for below
	}
	process.listens(p)
	for range listeners {
		one := <-errs
		if err == nil && !errors.Is(one, ErrListenClosed) {
			err = one
			for _, lis := range listeners {
				_ = lis.Close() // all or none
			}
		}
	}
	if err == nil {
		err = ErrListenClosed
	}
	return p.afterListen(err)
}

// ServeListener serves what connects to lis, as Listen does with its own: with
// TLS if the peer has it, unless lis is a transport.FinalListener. It closes lis. What
// lis accepts may be a ConnOpener.
func (p *Peer) ServeListener(lis net.Listener, protoFunc ...socket.ProtoFunc) error {
	if lis == nil {
		panic("tp: ServeListener: the listener is nil")
	}
	var config *tls.Config
	if _, final := lis.(transport.FinalListener); !final {
		var err error
		if config, err = p.serverTLSConfig(); err != nil {
			_ = lis.Close()
			return err
		}
	}
	process.serves()
	return p.afterListen(p.serveListener(lis, config, protoFunc))
}

// afterListen waits for the drain if that is why the listeners are closed.
func (p *Peer) afterListen(err error) error {
	if !errors.Is(err, ErrListenClosed) {
		return err
	}
	<-p.gone
	process.holdIfEnding()
	return err
}

func (p *Peer) serveListener(lis net.Listener, config *tls.Config, protoFunc []socket.ProtoFunc) error {
	defer func() { _ = lis.Close() }()
	if !p.addListener(lis) {
		return ErrListenClosed
	}
	defer p.removeListener(lis)
	if err := p.tellListen(lis); err != nil {
		return err
	}
	pause := time.Duration(0)
	for {
		conn, err := lis.Accept()
		if err == nil {
			pause = 0
			if !p.enterAccepted() {
				_ = conn.Close()
				return ErrListenClosed
			}
			p.take(conn, config, protoFunc)
			continue
		}
		if p.isStopping() {
			return ErrListenClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("tp: listener %s: %w", addrText(lis.Addr()), err)
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		p.log().Errorf("listener %s: cannot accept, trying again in %v: %v", addrText(lis.Addr()), pause, err)
		select {
		case <-time.After(pause):
		case <-p.stop:
			return ErrListenClosed
		}
	}
}

// take lets an accepted conn in, in another goroutine, if there are not too many
// that want to come in.
func (p *Peer) take(conn net.Conn, config *tls.Config, protoFunc []socket.ProtoFunc) {
	var o *opening
	_, toOpen := conn.(ConnOpener)
	if p.hasOpenings(toOpen || config != nil) {
		var ok bool
		if o, ok = p.admit(conn); !ok {
			p.tally.refuse(refusedOpening)
			p.strangers.warn(p.log(), "conn %s: not accepted: there are %d such connections of its address (PeerConfig.MaxOpeningPerIP)", addrText(conn.RemoteAddr()), p.cfg.MaxOpeningPerIP)
			_ = conn.Close()
			p.leaveAccepted()
			return
		}
	}
	go p.serveAccepted(conn, o, config, protoFunc)
}

// serveAccepted opens an accepted session. What serves it is another goroutine,
// whose stack is still small.
func (p *Peer) serveAccepted(conn net.Conn, o *opening, config *tls.Config, protoFunc []socket.ProtoFunc) {
	if s := p.openAccepted(conn, o, config, protoFunc); s != nil {
		go s.serve(s.link()) // counted by p.sessions
	}
}

// openAccepted returns nil when it has closed the conn.
func (p *Peer) openAccepted(conn net.Conn, o *opening, config *tls.Config, protoFunc []socket.ProtoFunc) *session {
	defer p.leaveAccepted()
	var s *session
	unrefused := false
	if o != nil {
		defer func() {
			if p.settle(o) && s == nil && !unrefused { // otherwise it is counted already
				p.tally.refuse(refusedAccept)
			}
		}()
	}
	returned := false
	defer func() { // the functions of a TLS config and a ProtoFunc may panic
		if !returned {
			_ = conn.Close()
			if r := recover(); r != nil {
				p.log().Errorf("conn %s: not accepted: panic: %v\n%s", addrText(conn.RemoteAddr()), r, debug.Stack())
			}
		}
	}()
	s, unrefused = p.secureAndAccept(conn, config, protoFunc)
	returned = true
	return s
}

// secureAndAccept returns nil if it has closed the conn, or passed it to somebody else. It
// reports whether that is no refusal.
func (p *Peer) secureAndAccept(conn net.Conn, config *tls.Config, protoFunc []socket.ProtoFunc) (s *session, unrefused bool) {
	opener, toOpen := conn.(ConnOpener)
	ctx, cancel := p.acceptBound(toOpen || config != nil)
	defer cancel()
	if toOpen {
		open, proto, err := p.openConn(ctx, opener, config)
		if errors.Is(err, io.EOF) {
			p.log().Debugf("conn %s: %v", addrText(conn.RemoteAddr()), err)
			_ = conn.Close()
			return nil, true
		}
		if err != nil {
			p.strangers.warn(p.log(), "conn %s: not accepted: %v", addrText(conn.RemoteAddr()), err)
			_ = conn.Close()
			return nil, false
		}
		if open == nil {
			return nil, true
		}
		conn = open
		if proto != nil {
			protoFunc = []socket.ProtoFunc{proto}
		}
	} else if config != nil {
		secure := tls.Server(conn, config)
		if err := p.handshake(ctx, secure); err != nil {
			p.strangers.warn(p.log(), "conn %s: TLS handshake: %v", addrText(conn.RemoteAddr()), err)
			_ = conn.Close()
			return nil, false
		}
		conn = secure
	}
	s, ok := p.accept(ctx, conn, protoFunc)
	if !ok {
		return nil, false
	}
	return s, false
}

func (p *Peer) addListener(lis net.Listener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isStopping() {
		return false
	}
	p.listeners[lis] = true
	p.accepting++
	p.serving++
	return true
}

func (p *Peer) removeListener(lis net.Listener) {
	p.mu.Lock()
	delete(p.listeners, lis)
	p.mu.Unlock()
	p.leaveAccepted()
}

// enterAccepted is enter for an accepted conn.
func (p *Peer) enterAccepted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosing() {
		return false
	}
	p.accepting++
	p.serving++
	return true
}

// leaveAccepted is leave for an accepted conn that is open or closed, or a listener.
func (p *Peer) leaveAccepted() {
	p.mu.Lock()
	if p.accepting--; p.accepting == 0 {
		p.allIn.Tell()
	}
	p.mu.Unlock()
	p.leave()
}

// closeListeners closes the listeners, and waits until all that they have accepted
// is open or refused: who came before is not hung up on, but drained.
func (p *Peer) closeListeners(ctx context.Context) {
	if bound := p.cfg.AcceptTimeout; bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	p.mu.Lock()
	for lis := range p.listeners {
		_ = lis.Close()
	}
	allIn := p.allIn.Wait()
	none := p.accepting == 0
	p.mu.Unlock()
	if none {
		return
	}
	select {
	case <-allIn:
	case <-ctx.Done():
	}
}

// Addrs returns the addresses that the peer listens on now, in no order: with them a
// port that was given as 0 is known. That of a unix socket is its path, and that of
// a listener in memory is what Dial takes.
func (p *Peer) Addrs() []net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := make([]net.Addr, 0, len(p.listeners))
	for lis := range p.listeners {
		addrs = append(addrs, lis.Addr())
	}
	return addrs
}
