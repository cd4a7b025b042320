package quic_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/transport"
	"github.com/henrylee2cn/teleport/transport/quic"
	quicgo "github.com/quic-go/quic-go"
)

func TestRegistered(t *testing.T) {
	got, err := transport.Get("quic")
	if err != nil {
		t.Fatal(err)
	}
	server, client := certificates()
	lis, err := got.Listen("127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	conn, err := got.Dial(t.Context(), lis.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = accept(t, lis).Close()
}

func TestListenErrors(t *testing.T) {
	server, _ := certificates()
	taken := listen(t, nil)
	old := server.Clone()
	old.MaxVersion = tls.VersionTLS12
	for _, c := range []struct {
		name, addr string
		config     *tls.Config
		want       string
	}{
		{"no TLS", "127.0.0.1:0", nil, "TlsCertFile"},
		{"no certificate", "127.0.0.1:0", new(tls.Config), "no certificate"},
		{"an old TLS", "127.0.0.1:0", old, "1.3"},
		{"no port", "127.0.0.1", server, "missing port"},
		{"a port that is taken", taken.Addr().String(), server, "in use"},
	} {
		lis, err := quic.New(nil).Listen(c.addr, c.config)
		if err == nil {
			_ = lis.Close()
			t.Errorf("%s: no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "quic") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestDialErrors(t *testing.T) {
	lis := listen(t, nil)
	addr := lis.Addr().String()
	_, client := certificates()
	old := client.Clone()
	old.MaxVersion = tls.VersionTLS12
	other := client.Clone()
	other.ServerName = "example.com"
	for _, c := range []struct {
		name, addr string
		config     *tls.Config
		want       string
	}{
		{"no root", addr, nil, "certificate"},
		{"another name", addr, other, "example.com"},
		{"an old TLS", addr, old, "1.3"},
		{"no port", "127.0.0.1", client, "missing port"},
	} {
		conn, err := quic.New(nil).Dial(t.Context(), c.addr, c.config)
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) || errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	var unknown *tls.CertificateVerificationError
	if _, err := quic.New(nil).Dial(t.Context(), addr, nil); !errors.As(err, &unknown) {
		t.Errorf("the error of a certificate is not found in %v", err)
	}
}

// Where nobody answers, a dial ends with its context, and with HandshakeTimeout.
func TestDialNobody(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	_, client := certificates()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = quic.New(nil).Dial(ctx, silent.LocalAddr().String(), client)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context: %v", err)
	}
	var timeout net.Error
	ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second) // less than quic-go has by itself
	defer cancel()
	_, err = quic.New(&quic.Config{HandshakeTimeout: 100 * time.Millisecond}).Dial(ctx, silent.LocalAddr().String(), client)
	if !errors.As(err, &timeout) || !timeout.Timeout() || ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("with a HandshakeTimeout: %v", err)
	}
}

// A listener that is closed accepts no more; its conns live on, and when the last
// of them has ended, the address is free.
func TestListenerClose(t *testing.T) {
	lis := listen(t, nil)
	client := dial(t, nil, lis.Addr().String())
	server := accept(t, lis)
	waits := make(chan error, 1)
	go func() {
		_, err := lis.Accept()
		waits <- err
	}()
	if err := lis.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, waits); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the Accept that waited: %v", err)
	}
	if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := lis.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	_, tlsClient := certificates()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if conn, err := quic.New(nil).Dial(ctx, lis.Addr().String(), tlsClient); err == nil {
		_ = conn.Close()
		t.Error("dialled a listener that is closed")
	}
	echoOnce(t, client, server)
	_, _ = client.Close(), server.Close()
	eventually(t, "the address is free", func() bool {
		tlsServer, _ := certificates()
		again, err := quic.New(nil).Listen(lis.Addr().String(), tlsServer)
		if err != nil {
			return false
		}
		_ = again.Close()
		return true
	})
}

func echoOnce(t *testing.T, a, b net.Conn) {
	t.Helper()
	if _, err := a.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = b.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// rawDial connects without this package, to do what it never would.
func rawDial(t *testing.T, addr string, config *tls.Config) (*quicgo.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	qc, err := quicgo.DialAddr(ctx, addr, config, nil)
	if err == nil {
		t.Cleanup(func() { _ = qc.CloseWithError(0, "") })
	}
	return qc, err
}

func ours() *tls.Config {
	_, config := certificates()
	config = config.Clone()
	config.NextProtos = []string{quic.Protocol}
	return config
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	lis := listen(t, nil)
	other := ours()
	other.NextProtos = []string{"h3"}
	if _, err := rawDial(t, lis.Addr().String(), other); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("with the protocol h3: %v", err)
	}
}

// A TLS configuration that is chosen for each client is ours too.
func TestGetConfigForClient(t *testing.T) {
	server, client := certificates()
	config := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return server, nil }}
	lis, err := quic.New(nil).Listen("127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	conn, err := quic.New(nil).Dial(t.Context(), lis.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Close(), accept(t, lis).Close()
	if len(server.NextProtos) > 0 || server.MinVersion != 0 {
		t.Error("the user's config was changed")
	}
}

// What a client sends before the handshake is over is not taken.
func TestNoEarlyData(t *testing.T) {
	lis := listen(t, nil)
	config := ours()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, resumes := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		qc, err := quicgo.DialAddrEarly(ctx, lis.Addr().String(), config, nil)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		receive(t, qc.HandshakeComplete())
		state := qc.ConnectionState()
		if state.TLS.DidResume != resumes || state.Used0RTT {
			t.Errorf("resumed %v, with early data %v; want %v and none", state.TLS.DidResume, state.Used0RTT, resumes)
		}
		stream, err := qc.OpenStream()
		if err == nil {
			_, err = stream.Write([]byte("t"))
		}
		if err != nil {
			t.Error(err)
		}
		conn := accept(t, lis) // by then the ticket is there
		_, _ = conn.Write([]byte("x"))
		if _, err := stream.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_ = qc.CloseWithError(0, "")
	}
}

// A client that opens no stream, or says nothing on it, or what nobody knows, is not
// accepted and not kept.
func TestNoStreamNoConn(t *testing.T) {
	lis := listen(t, &quic.Config{StreamTimeout: 200 * time.Millisecond})
	for name, speak := range map[string]func(qc *quicgo.Conn) error{
		"no stream": func(*quicgo.Conn) error { return nil },
		"an empty stream": func(qc *quicgo.Conn) error {
			s, err := qc.OpenStream()
			if err != nil {
				return err
			}
			return s.Close()
		},
		"another preface": func(qc *quicgo.Conn) error {
			s, err := qc.OpenStream()
			if err != nil {
				return err
			}
			_, err = s.Write([]byte("GET"))
			return err
		},
	} {
		qc, err := rawDial(t, lis.Addr().String(), ours())
		if err != nil {
			t.Fatal(err)
		}
		if err := speak(qc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		receive(t, qc.Context().Done())
	}
	// Who comes then is the first that is accepted.
	client := dial(t, nil, lis.Addr().String())
	echoOnce(t, client, accept(t, lis))
}

// A session has one stream, and no datagrams.
func TestOneStream(t *testing.T) {
	lis := listen(t, nil)
	qc, err := rawDial(t, lis.Addr().String(), ours())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := qc.OpenStream()
	if err == nil {
		_, err = stream.Write([]byte("t"))
	}
	if err != nil {
		t.Fatal(err)
	}
	conn := accept(t, lis)
	var limit *quicgo.StreamLimitReachedError
	if _, err := qc.OpenStream(); !errors.As(err, &limit) {
		t.Errorf("a second stream: %v", err)
	}
	_ = stream.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := io.ReadAll(stream); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := qc.OpenStreamSync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stream after the first: %v", err)
	}
	if qc.ConnectionState().SupportsDatagrams.Remote {
		t.Error("datagrams are supported")
	}
}

// Connections that are not open yet are bounded, of one address and in all; those that
// are open do not count.
func TestOpeningsAreBounded(t *testing.T) {
	for name, config := range map[string]*quic.Config{
		"in all":         {MaxOpening: 4, StreamTimeout: patience},
		"of one address": {MaxOpeningPerIP: 4, StreamTimeout: patience},
	} {
		t.Run(name, func(t *testing.T) {
			lis := listen(t, config)
			addr := lis.Addr().String()
			for range 8 { // these are open, one after the other
				client := dial(t, nil, addr)
				echoOnce(t, client, accept(t, lis))
			}
			var idle []*quicgo.Conn
			for i := range 4 {
				qc, err := rawDial(t, addr, ours())
				if err != nil {
					t.Fatalf("the %d.: %v", i, err)
				}
				idle = append(idle, qc)
			}
			var refused *quicgo.TransportError
			eventually(t, "one too many is refused", func() bool { // those of one address have a grace
				qc, err := rawDial(t, addr, ours())
				if err == nil {
					_ = qc.CloseWithError(0, "")
				}
				return errors.As(err, &refused) && refused.ErrorCode == quicgo.ConnectionRefused
			})
			_ = idle[0].CloseWithError(0, "")
			eventually(t, "there is room again", func() bool {
				qc, err := rawDial(t, addr, ours())
				if err == nil {
					_ = qc.CloseWithError(0, "")
				}
				return err == nil
			})
		})
	}
}

// Many who come at once are all accepted.
func TestManyComeAtOnce(t *testing.T) {
	lis := listen(t, nil)
	const many = 50
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() { dial(t, nil, lis.Addr().String()) })
	}
	for range many {
		accept(t, lis)
	}
	clients.Wait()
}

func TestConfigPanics(t *testing.T) {
	for want, config := range map[string]quic.Config{
		"HandshakeTimeout": {HandshakeTimeout: -1},
		"StreamTimeout":    {StreamTimeout: -1},
		"IdleTimeout":      {IdleTimeout: -1},
		"Linger":           {Linger: -1},
		"MaxWindow":        {MaxWindow: -1},
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "Config."+want) {
					t.Errorf("%s: %q", want, text)
				}
			}()
			quic.New(&config)
		}()
	}
}

// When many want to come in, who comes has to prove the address first (RFC 9000, section
// 8.1.2): the answer to a first datagram, which may have a forged address, is a Retry.
func TestManyHaveToProveTheirAddress(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := quicgo.DialAddr(ctx, silent.LocalAddr().String(), ours(), nil)
		dialled <- err
	}()
	first := make([]byte, 1500)
	n, _, err := silent.ReadFromUDP(first)
	cancel()
	if receive(t, dialled); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*quic.Config{
		"in all":         {MaxOpening: 16, MaxOpeningPerIP: -1, StreamTimeout: patience},
		"of one address": {MaxOpeningPerIP: 16, StreamTimeout: patience},
	} {
		lis := listen(t, config)
		datagram := bytes.Clone(first[:n])
		answer := func(wait time.Duration) byte {
			conn, err := net.Dial("udp", lis.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(datagram); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1500)
			_ = conn.SetReadDeadline(time.Now().Add(wait))
			_, _ = conn.Read(b)
			return b[0] & 0xf0
		}
		if got := answer(patience); got != 0xc0 { // an Initial
			t.Errorf("%s: the answer to the first begins with %#x", name, got)
		}
		if _, err := rawDial(t, lis.Addr().String(), ours()); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+": one more has to prove its address", func() bool {
			datagram[6]++ // of the connection's id: what is encrypted is not looked at by then
			return answer(100*time.Millisecond) == 0xf0
		})
	}
}
