package quic

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"github.com/henrylee2cn/teleport/transport"
)

// listener accepts connections on one UDP socket.
//
// Goroutines: one that accepts (run), and for each connection one that waits for its
// stream (open). Close stops them. The last that leaves closes the socket: run counts,
// and each connection until it has ended.
type listener struct {
	config   *Config
	socket   *net.UDPConn
	below    *quicgo.Transport
	accepts  *quicgo.Listener
	openings openings

	accepted chan *conn
	life     context.Context // ends with Close
	end      context.CancelFunc

	holders sync.WaitGroup // of the socket
}

var _ transport.FinalListener = new(listener)

// FinalConns says that a peer with TLS adds none to the conns: QUIC has its own.
func (l *listener) FinalConns() {}

func newListener(socket *net.UDPConn, config *tls.Config, settings *Config) (*listener, error) {
	l := &listener{
		config: settings,
		socket: socket,
		openings: openings{
			most: settings.MaxOpening, mostPerIP: settings.MaxOpeningPerIP,
			perIP: make(map[string]int),
		},
		accepted: make(chan *conn),
	}
	l.below = &quicgo.Transport{
		Conn:                socket,
		VerifySourceAddress: l.openings.suspicious,
		ConnContext: func(ctx context.Context, from *quicgo.ClientInfo) (context.Context, error) {
			return l.openings.enter(ctx, from.RemoteAddr)
		},
	}
	accepts, err := l.below.Listen(config, settings.quic(false))
	if err != nil {
		_ = l.below.Close()
		return nil, err
	}
	l.accepts = accepts
	l.life, l.end = context.WithCancel(context.Background())
	l.holders.Add(1)
	go l.run()
	go func() { // the last to leave
		l.holders.Wait()
		_ = l.below.Close()
		_ = socket.Close()
	}()
	return l, nil
}

// Addr returns the address that is listened on, a *net.UDPAddr.
func (l *listener) Addr() net.Addr { return l.socket.LocalAddr() }

// Accept returns the next conn, or an error that matches net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.life.Done():
		return nil, l.closedError("accept")
	default:
	}
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.life.Done():
		return nil, l.closedError("accept")
	}
}

// Close ends the accepting: see Transport.Listen.
func (l *listener) Close() error {
	if l.life.Err() != nil {
		return l.closedError("close")
	}
	l.end()
	return nil
}

func (l *listener) closedError(op string) error {
	return &net.OpError{Op: op, Net: Scheme, Addr: l.Addr(), Err: net.ErrClosed}
}

// run accepts connections until Close.
func (l *listener) run() {
	defer l.holders.Done()
	for {
		qc, err := l.accepts.Accept(l.life)
		if err != nil {
			break
		}
		l.holders.Add(1)
		go l.open(qc)
	}
	l.end() // quic-go has failed if Close has not been called
	_ = l.accepts.Close()
	for { // those that were about to be accepted
		qc, err := l.accepts.Accept(context.Background())
		if err != nil {
			return
		}
		_ = qc.CloseWithError(codeNone, "")
	}
}

// open hands a connection over when its client has opened the stream.
func (l *listener) open(qc *quicgo.Conn) {
	c := l.openWithin(qc)
	if c != nil {
		select {
		case l.accepted <- c:
			qc.Context().Value(openingKey{}).(*opening).leave()
			return // it is left when it has ended
		case <-l.life.Done():
		case <-qc.Context().Done():
		}
	}
	_ = qc.CloseWithError(codeNone, "")
	l.holders.Done()
}

// openWithin returns nil if there is no stream in time.
func (l *listener) openWithin(qc *quicgo.Conn) *conn {
	bound, cancel := context.WithTimeout(l.life, l.config.StreamTimeout)
	defer cancel()
	stream, err := qc.AcceptStream(bound)
	if err != nil {
		return nil
	}
	defer context.AfterFunc(bound, func() { _ = stream.SetReadDeadline(time.Unix(1, 0)) })()
	var first [1]byte
	if n, _ := stream.Read(first[:]); n == 0 || first[0] != preface {
		return nil
	}
	return newConn(qc, stream, qc.LocalAddr(), qc.RemoteAddr(), l.config.Linger, l.holders.Done)
}
