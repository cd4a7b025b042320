package tp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport"
)

// reversed is a Transport whose address is a TCP address written backwards.
type reversed struct{}

func (reversed) Listen(addr string, config *tls.Config) (net.Listener, error) {
	if config == nil {
		return net.Listen("tcp", backwards(addr))
	}
	return tls.Listen("tcp", backwards(addr), config)
}

func (reversed) Dial(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", backwards(addr))
	}
	config = config.Clone()
	config.ServerName = "127.0.0.1"
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", backwards(addr))
}

func backwards(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

var schemes atomic.Int32 // that were registered, since there is no way to unregister

// regReversed returns a scheme of its own.
func regReversed() string {
	scheme := fmt.Sprintf("reversed%d", schemes.Add(1))
	transport.Reg(scheme, reversed{})
	return scheme
}

// listen makes the peer listen on its ListenAddrs, and returns the first address.
func listen(t *testing.T, p *tp.Peer, n int) net.Addr {
	t.Helper()
	listened := make(chan error, 1)
	go func() { listened <- p.Listen() }()
	eventually(t, "it listens", func() bool {
		select {
		case err := <-listened:
			t.Fatalf("Listen: %v", err)
		default:
		}
		return len(p.Addrs()) == n
	})
	t.Cleanup(func() {
		_ = p.Close()
		if err := receive(t, listened); !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("Listen returned %v", err)
		}
	})
	return p.Addrs()[0]
}

// A conversation over each kind of address, with and without TLS, in which the client
// dials again after a restart of the server.
func TestAddresses(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	scheme := regReversed()
	free := func(t *testing.T) string {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		noError(t, err)
		defer lis.Close()
		return lis.Addr().String()
	}
	for name, c := range map[string]struct {
		addr          func(t *testing.T) string
		secure, local bool
	}{
		"bare":     {addr: free},
		"bare tls": {addr: free, secure: true},
		"tcp":      {addr: func(t *testing.T) string { return "tcp://" + free(t) }},
		"tcp tls":  {addr: func(t *testing.T) string { return "TCP://" + free(t) }, secure: true},
		"tls":      {addr: func(t *testing.T) string { return "tls://" + free(t) }, secure: true},
		"unix":     {addr: func(t *testing.T) string { return "unix://" + t.TempDir() + "/s" }, local: true},
		"unix tls": {addr: func(t *testing.T) string { return "unix://" + t.TempDir() + "/s" }, local: true, secure: true},
		"mem":      {addr: func(t *testing.T) string { return "mem://" + t.Name() }, local: true},
		"mem tls":  {addr: func(t *testing.T) string { return "mem://" + t.Name() }, local: true, secure: true},
		"own":      {addr: func(t *testing.T) string { return scheme + "://" + backwards(free(t)) }},
		"own tls":  {addr: func(t *testing.T) string { return scheme + "://" + backwards(free(t)) }, secure: true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := c.addr(t)
			start := func() *tp.Peer {
				cfg := tp.PeerConfig{ListenAddrs: []string{addr}}
				if c.secure {
					cfg.TlsCertFile, cfg.TlsKeyFile = certFile, keyFile
				}
				srv := newPeer(t, cfg)
				echo(srv)
				bound := listen(t, srv, 1)
				if text := bound.String(); !strings.HasSuffix(addr, text) && text != backwards(strings.TrimPrefix(addr, scheme+"://")) {
					t.Errorf("%s is bound to %s", addr, text)
				}
				return srv
			}
			srv := start()
			cli := newPeer(t, tp.PeerConfig{RedialTimes: -1})
			if c.secure {
				cli.SetTLSConfig(&tls.Config{RootCAs: roots})
			}
			sess := dial(t, cli, addr)
			big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			var back []byte
			noRerror(t, sess.Pull("/echo", &big, &back).Rerror())
			if !bytes.Equal(back, big) {
				t.Errorf("of %d bytes %d came back", len(big), len(back))
			}
			if c.secure && !c.local { // who has no TLS is not let in
				if other, rerr := newPeer(t, tp.PeerConfig{}).Dial(strings.Replace(addr, "tls://", "tcp://", 1)); rerr == nil {
					if rerr := other.Pull("/echo", nil, nil).Rerror(); rerr == nil {
						t.Error("a session without TLS is served")
					}
				}
			}
			noError(t, srv.Close())
			start()
			noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
		})
	}
}

// One Listen serves all of its addresses, each as its scheme says.
func TestListenOnSchemes(t *testing.T) {
	certFile, keyFile, roots := newCert(t)
	path := filepath.Join(t.TempDir(), "s")
	book := new(logBook)
	p := newPeer(t, tp.PeerConfig{
		TlsCertFile: certFile, TlsKeyFile: keyFile, Logger: book,
		ListenAddrs: []string{"tls://127.0.0.1:0", "unix://" + path, "mem://" + t.Name()},
	})
	echo(p)
	listen(t, p, 3)
	cli := newPeer(t, tp.PeerConfig{})
	cli.SetTLSConfig(&tls.Config{RootCAs: roots})
	for _, addr := range p.Addrs() {
		text := addr.String()
		switch addr.Network() {
		case "tcp":
			text = "tls://" + text
		case "unix":
			text = "unix://" + text
		}
		noRerror(t, dial(t, cli, text).Pull("/echo", nil, nil).Rerror())
		if !book.contains("INFO", "listening on", addr.String()) {
			t.Errorf("the log does not tell of %v: %s", addr, book)
		}
	}
	noError(t, p.Close())
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket file is left: %v", err)
	}
}

// The roots of the system verify the server of tls:// when the peer has no TLS.
func TestDialTLSWithoutConfig(t *testing.T) {
	certFile, keyFile, _ := newCert(t)
	p := newPeer(t, tp.PeerConfig{TlsCertFile: certFile, TlsKeyFile: keyFile})
	addr := serve(t, p)
	_, rerr := newPeer(t, tp.PeerConfig{}).Dial("tls://" + addr)
	wantCode(t, rerr, tp.CodeDialFailed, "certificate")
}

func TestAddressErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	noError(t, os.WriteFile(file, []byte("content"), 0o600))
	for addr, want := range map[string]string{
		"tls://127.0.0.1:0":                     "the peer has no TLS: set PeerConfig.TlsCertFile",
		"unix://" + dir + "/none/s":             "no such file or directory",
		"unix://" + file:                        "is there, and no socket",
		"mem://taken":                           "in use",
		"unix://" + strings.Repeat("/long", 30): "the path has 150 bytes",
	} {
		if strings.HasPrefix(addr, "mem://") {
			listen(t, newPeer(t, tp.PeerConfig{ListenAddrs: []string{addr}}), 1)
		}
		p := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"mem://first", addr}})
		if err := p.Listen(); err == nil || !strings.Contains(err.Error(), "cannot listen on "+addr) || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen on %s: %v, want %q in it", addr, err, want)
		}
		if len(p.Addrs()) > 0 {
			t.Errorf("with %s, it listens on %v", addr, p.Addrs())
		}
	}
	cli := newPeer(t, tp.PeerConfig{})
	for addr, want := range map[string]string{
		"quic://127.0.0.1:1":          `import _ "github.com/henrylee2cn/teleport/transport/quic"`,
		"gopher://127.0.0.1:1":        `nothing has registered the scheme "gopher"; there are mem, `,
		"mem://nobody":                "refused",
		"mem://":                      "empty",
		"unix://" + dir + "/nobody":   "no such file or directory",
		"tcp://localhost":             "missing port",
		"tcp://127.0.0.1:http://else": "too many colons",
	} {
		_, rerr := cli.Dial(addr)
		wantCode(t, rerr, tp.CodeDialFailed, want)
	}
}
