package tp

import (
	"net"
	"testing"
)

// What PeerConfig.ListenAddrs says and what a listener is bound to are written
// in several ways.
func TestSameAddr(t *testing.T) {
	for _, c := range []struct {
		network, want, bound string
		exact, fits          bool
	}{
		{"tcp", "127.0.0.1:9090", "127.0.0.1:9090", true, true},
		{"tcp", "localhost:9090", "127.0.0.1:9090", true, true},
		{"tcp", "127.0.0.1:9090", "127.0.0.1:9091", false, false},
		{"tcp", "127.0.0.1:9090", "127.0.0.2:9090", false, false},
		{"tcp", "127.0.0.1:9090", "0.0.0.0:9090", false, false},
		{"tcp", "127.0.0.1:9090", "[::]:9090", false, false},
		{"tcp", "0.0.0.0:9090", "127.0.0.1:9090", false, false},
		{"tcp", "127.0.0.1:0", "127.0.0.1:9090", false, false},
		{"tcp", ":9090", "[::]:9090", true, true},
		{"tcp", ":9090", "0.0.0.0:9090", false, true},
		{"tcp", "0.0.0.0:9090", "0.0.0.0:9090", true, true},
		{"tcp", "0.0.0.0:9090", "[::]:9090", false, true},
		{"tcp", "[::]:9090", "[::]:9090", true, true},
		{"tcp", "[::]:9090", "0.0.0.0:9090", false, true},
		{"tcp", "[::1]:9090", "[::1]:9090", true, true},
		{"tcp", "[fe80::1%eth0]:9090", "[fe80::1%eth1]:9090", false, false},
		{"tcp4", ":9090", "0.0.0.0:9090", false, true},
		{"tcp4", ":9090", "[::]:9090", false, false},
		{"tcp6", ":9090", "[::]:9090", true, true},
		{"tcp6", ":9090", "0.0.0.0:9090", false, false},
		{"tcp", "no address", "0.0.0.0:9090", false, false},
		{"unix", "0.0.0.0:9090", "0.0.0.0:9090", false, false},
	} {
		bound, err := net.ResolveTCPAddr("tcp", c.bound)
		if err != nil {
			t.Fatal(err)
		}
		want := resolve(c.network, c.want)
		if got := sameAddr(c.network, want, bound, false); got != c.exact {
			t.Errorf("%s %s is exactly %s: got %v", c.network, c.want, c.bound, got)
		}
		if got := sameAddr(c.network, want, bound, true); got != c.fits {
			t.Errorf("%s %s is %s: got %v", c.network, c.want, c.bound, got)
		}
	}
	bound := &net.UnixAddr{Name: "/run/chat.sock", Net: "unix"}
	for addr, same := range map[string]bool{"/run/chat.sock": true, "/run/other.sock": false} {
		if got := sameAddr("unix", resolve("unix", addr), bound, false); got != same {
			t.Errorf("unix %s is %s: got %v", addr, bound, got)
		}
	}
	if sameAddr("tcp", resolve("tcp", ":9090"), bound, true) {
		t.Error("a TCP address is that of a unix socket")
	}
}

// The names in LISTEN_FDNAMES say what was asked for, and have no colon.
func TestListenerNames(t *testing.T) {
	for _, lis := range []sharedListener{
		{network: "tcp", addr: "127.0.0.1:0"},
		{network: "tcp", addr: ":9090", unlink: true},
		{network: "unix", addr: "/run/a b+c%3A/ä:1", unlink: true},
		{network: "tcp", addr: ""},
	} {
		name := lis.fdName()
		for _, r := range name {
			if r == ':' {
				t.Errorf("%q has a colon", name)
			}
		}
		var got inheritedListener
		if got.readName(name); got.network != lis.network || got.addr != lis.addr || got.unlink != lis.unlink {
			t.Errorf("%q was read as %+v", name, got)
		}
	}
	var got inheritedListener
	if got.readName("unknown"); got.network != "" || got.addr != "" {
		t.Errorf("got %+v", got)
	}
}
