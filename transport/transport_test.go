package transport_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/henrylee2cn/teleport/transport"
)

// plain is a Transport over TCP.
type plain struct{}

func (plain) Listen(addr string, _ *tls.Config) (net.Listener, error) {
	return net.Listen("tcp", addr)
}

func (plain) Dial(ctx context.Context, addr string, _ *tls.Config) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ addr, scheme, rest string }{
		{"0.0.0.0:9090", "", "0.0.0.0:9090"},
		{"[::1]:9090", "", "[::1]:9090"},
		{"", "", ""},
		{"tcp://0.0.0.0:9090", "tcp", "0.0.0.0:9090"},
		{"TLS://[::1]:9090", "tls", "[::1]:9090"},
		{"unix:///run/x.sock", "unix", "/run/x.sock"},
		{"ws://host/tp?to=http://other", "ws", "host/tp?to=http://other"},
		{"a+b-c.9://", "a+b-c.9", ""},
		{"://x", "", "://x"},
		{"9p://x", "", "9p://x"},
		{"host:80/a?b=c://d", "", "host:80/a?b=c://d"},
		{"\x13\x10://x", "", "\x13\x10://x"},
		{"[\\]^://x", "", "[\\]^://x"},
		{"a@`{://x", "", "a@`{://x"},
	} {
		if scheme, rest := transport.Split(c.addr); scheme != c.scheme || rest != c.rest {
			t.Errorf("Split(%q) = %q, %q, want %q, %q", c.addr, scheme, rest, c.scheme, c.rest)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, addr := range []string{"0.0.0.0:9090", "unix:///run/x.sock", "://", "WS://a://b", "a b://c"} {
		f.Add(addr)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		scheme, rest := transport.Split(addr)
		if scheme == "" {
			if rest != addr {
				t.Errorf("without a scheme, %q became %q", addr, rest)
			}
			return
		}
		again, same := transport.Split(scheme + "://" + rest)
		if again != scheme || same != rest || !strings.EqualFold(scheme+"://"+rest, addr) {
			t.Errorf("%q is %q and %q, and then %q and %q", addr, scheme, rest, again, same)
		}
	})
}

var runs atomic.Int32 // of TestReg, since there is no way to unregister

func TestReg(t *testing.T) {
	own := fmt.Sprintf("test.%d", runs.Add(1))
	transport.Reg(own, plain{})
	got, err := transport.Get(own)
	if err != nil || got != (plain{}) {
		t.Errorf("Get returned %v, %v", got, err)
	}
	for scheme, want := range map[string]string{
		own: "taken", "tcp": "own", "unix": "own", "": "letters", "a:b": "letters", "Upper": "lower-case", "1st": "letters",
	} {
		wantPanic(t, want, func() { transport.Reg(scheme, plain{}) })
	}
	wantPanic(t, "nil", func() { transport.Reg("nothing", nil) })
}

func TestGetNamesTheImport(t *testing.T) {
	for scheme, want := range map[string]string{
		"ws":   `import _ "github.com/henrylee2cn/teleport/transport/websocket"`,
		"wss":  `import _ "github.com/henrylee2cn/teleport/transport/websocket"`,
		"quic": `import _ "github.com/henrylee2cn/teleport/transport/quic"`,
		"sctp": "mem, ",
	} {
		_, err := transport.Get(scheme)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", scheme)) || !strings.Contains(err.Error(), want) {
			t.Errorf("Get(%q): %v, want %s in it", scheme, err, want)
		}
	}
}

func wantPanic(t *testing.T, text string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r := fmt.Sprint(recover()); !strings.Contains(r, text) {
			t.Errorf("panic %s, want %q in it", r, text)
		}
	}()
	fn()
}
