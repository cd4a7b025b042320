package websocket_test

import (
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/transport/websocket"
)

var nearProxy = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5000}

func TestForwardedFor(t *testing.T) {
	trusted := []string{"10.0.0.0/8", "2001:db8::1"}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"10.0.0.1:5000", []string{"192.0.2.7"}, "192.0.2.7:0"},
		{"10.0.0.1:5000", []string{"192.0.2.7:1234"}, "192.0.2.7:1234"},
		{"10.0.0.1:5000", []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		{"10.0.0.1:5000", []string{"[2001:db8::7]"}, "[2001:db8::7]:0"},
		{"10.0.0.1:5000", []string{"[2001:db8::7]:1234"}, "[2001:db8::7]:1234"},
		{"10.0.0.1:5000", []string{"::ffff:192.0.2.7"}, "192.0.2.7:0"},
		{"[2001:db8::1]:5000", []string{"192.0.2.7"}, "192.0.2.7:0"},
		{"[::ffff:10.0.0.1]:5000", []string{"192.0.2.7"}, "192.0.2.7:0"},
		// The last that is no proxy: what stands before it, the client has written.
		{"10.0.0.1:5000", []string{"1.1.1.1, 192.0.2.7"}, "192.0.2.7:0"},
		{"10.0.0.1:5000", []string{"1.1.1.1", "192.0.2.7\t,10.0.0.9 , 10.0.0.2"}, "192.0.2.7:0"},
		{"10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3:0"},
		// Nobody has asked a stranger.
		{"192.0.2.1:5000", []string{"192.0.2.7"}, "192.0.2.1:5000"},
		{"11.0.0.1:5000", []string{"192.0.2.7"}, "11.0.0.1:5000"},
		// What is no address is no client.
		{"10.0.0.1:5000", nil, "10.0.0.1:5000"},
		{"10.0.0.1:5000", []string{""}, "10.0.0.1:5000"},
		{"10.0.0.1:5000", []string{"192.0.2.7, unknown"}, "10.0.0.1:5000"},
		{"10.0.0.1:5000", []string{"192.0.2.7, unknown, 10.0.0.2"}, "10.0.0.2:0"},
		{"10.0.0.1:5000", []string{"fe80::1%eth0"}, "10.0.0.1:5000"},
		{"10.0.0.1:5000", []string{"[192.0.2.7]"}, "10.0.0.1:5000"},
		{"10.0.0.1:5000", []string{"192.0.2.7:99999"}, "10.0.0.1:5000"},
	} {
		remote := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.remote))
		got, err := websocket.ClientAddr(trusted, remote, c.forwarded)
		noError(t, err)
		equal(t, c.remote+" "+strings.Join(c.forwarded, ";"), got.String(), netip.MustParseAddrPort(c.want).String())
	}
	unix := &net.UnixAddr{Name: "@", Net: "unix"}
	got, err := websocket.ClientAddr(trusted, unix, []string{"192.0.2.7"})
	noError(t, err)
	equal[net.Addr](t, "behind a unix socket", got, unix)
}

// Whatever a client writes, it is no panic, and who is found is nobody that the client
// could have made up: with the proxy's own word at the end it is always that one.
func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{
		"", ",", "1.1.1.1", "1.1.1.1, 2.2.2.2:80", "[::1]:80", "[::1", "::1%lo", "10.0.0.1", "unknown", " \t,\t", "[]", ":0", "1.1.1.1:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, forged string) {
		trusted := []string{"10.0.0.0/8"}
		alone, err := websocket.ClientAddr(trusted, nearProxy, []string{forged})
		noError(t, err)
		if _, err := netip.ParseAddrPort(alone.String()); err != nil {
			t.Errorf("%q is no address", alone)
		}
		for _, forwarded := range [][]string{{forged + ", 192.0.2.7"}, {forged, "192.0.2.7"}} {
			got, err := websocket.ClientAddr(trusted, nearProxy, forwarded)
			noError(t, err)
			equal(t, "client", got.String(), "192.0.2.7:0")
		}
		stranger := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
		got, err := websocket.ClientAddr(trusted, stranger, []string{forged})
		noError(t, err)
		equal[net.Addr](t, "stranger", got, stranger)
	})
}

// Behind a real reverse proxy a WebSocket works as without, and says who the client is
// if the proxy is trusted.
func TestReverseProxy(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		config := &websocket.Config{Path: "/tp"}
		if trusted {
			config.TrustedProxies = []string{"127.0.0.1"}
		}
		lis := listen(t, config)
		target, err := url.Parse("http://" + lis.Addr().String())
		noError(t, err)
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header["X-Forwarded-For"] = []string{"192.0.2.7"} // as if it had come from there
		}})
		near := dial(t, "ws"+strings.TrimPrefix(proxy.URL, "http")+"/tp", nil)
		far := accept(t, lis)
		exchange(t, near, far)
		remote, ok := far.RemoteAddr().(*net.TCPAddr)
		if !ok {
			t.Fatalf("RemoteAddr is a %T", far.RemoteAddr())
		}
		if want := map[bool]string{false: "127.0.0.1", true: "192.0.2.7"}[trusted]; remote.IP.String() != want {
			t.Errorf("RemoteAddr is %v, want %v", remote, want)
		}
		// The orderly end passes the proxy.
		noError(t, far.(interface{ CloseWrite() error }).CloseWrite())
		if _, err := near.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
			t.Errorf("Read returned %v", err)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
			t.Errorf("Read returned %v", err)
		}
		proxy.Close()
	}
}
