package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
	"golang.org/x/net/dns/dnsmessage"
)

func srvRecord(target string, port, priority, weight uint16) dnsmessage.SRVResource {
	return dnsmessage.SRVResource{Target: dnsmessage.MustNewName(target), Port: port, Priority: priority, Weight: weight}
}

func TestDNSDiscover(t *testing.T) {
	s := newDNSServer(t)
	s.set(func() {
		s.hosts["orders.example.org."] = []string{"192.0.2.7", "192.0.2.3", "2001:db8::1"}
		s.hosts["empty.example.org."] = nil
		s.srv["_orders._tcp.example.org."] = []dnsmessage.SRVResource{
			srvRecord("b.example.org.", 9001, 20, 5), srvRecord("a.example.org.", 9000, 10, 0), srvRecord("c.example.org.", 9000, 10, 7),
		}
		s.srv["_empty._tcp.example.org."] = nil
		s.srv["_off._tcp.example.org."] = []dnsmessage.SRVResource{srvRecord(".", 0, 0, 0)}
	})
	reg := registry.NewDNS(registry.DNSConfig{Resolver: s.resolver()})
	for _, c := range []struct {
		service, want, err string
	}{
		{"orders.example.org:9090", "192.0.2.3:9090/1/0 192.0.2.7:9090/1/0 [2001:db8::1]:9090/1/0", ""},
		{"192.0.2.9:9090", "192.0.2.9:9090/1/0", ""},
		{"_orders._tcp.example.org", "a.example.org:9000/1/10 b.example.org:9001/5/20 c.example.org:9000/7/10", ""},
		{"nowhere.example.org:9090", "", "no such host"},
		{"_nowhere._tcp.example.org", "", "no such host"},
		{"_off._tcp.example.org", "", "no records"},
		{"empty.example.org:9090", "", "no such host"},
		{"_empty._tcp.example.org", "", "no such host"},
		{"orders.example.org", "", `write "_name._tcp.domain" for SRV`},
		{":9090", "", "a part is empty"},
	} {
		got, err := reg.Discover(t.Context(), c.service)
		var text []string
		for _, i := range got {
			text = append(text, fmt.Sprintf("%s/%d/%d", i.Addr, i.Weight, i.Priority))
			if i.ID != i.Addr || i.Service != c.service {
				t.Errorf("%s: instance %+v", c.service, i)
			}
		}
		if all := strings.Join(text, " "); all != c.want {
			t.Errorf("%s: got %s, want %s", c.service, all, c.want)
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", c.service, err, c.err)
		}
	}
	if _, err := reg.Register(t.Context(), registry.Instance{Service: "s", Addr: "a"}, time.Second); !errors.Is(err, registry.ErrReadOnly) {
		t.Errorf("Register: %v", err)
	}
}

// A client finds servers by SRV records, and follows when they change.
func TestClientByDNS(t *testing.T) {
	s := newDNSServer(t)
	servers := []*server{start(t, "127.0.0.1:0", tp.PeerConfig{}), start(t, "127.0.0.1:0", tp.PeerConfig{})}
	port := func(i int) uint16 {
		_, text, _ := net.SplitHostPort(servers[i].addr)
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return uint16(n)
	}
	const service = "_test._tcp.example.org"
	set := func(records ...dnsmessage.SRVResource) {
		s.set(func() { s.srv[service+"."] = records })
	}
	set(srvRecord("localhost.", port(0), 0, 1))
	reg := registry.NewDNS(registry.DNSConfig{Resolver: s.resolver(), Interval: 5 * time.Millisecond, Timeout: 200 * time.Millisecond})
	c, err := registry.NewClient(quiet(t, tp.PeerConfig{}), registry.ClientConfig{Registry: reg, Service: service, OnError: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := who(t, c, 4); got[servers[0].addr] != 4 {
		t.Errorf("got %v", got)
	}
	set(srvRecord("localhost.", port(0), 0, 1), srvRecord("localhost.", port(1), 0, 1))
	healthy(t, c, 2)
	if got := who(t, c, 10); got[servers[1].addr] != 5 {
		t.Errorf("got %v", got)
	}

	// What DNS does not say any more, or does not answer at all, does not take
	// away servers that run.
	s.set(func() { delete(s.srv, service+".") })
	for range 2 {
		was := s.asked()
		eventually(t, "it was asked again", func() bool { return s.asked() > was+1 })
		if got := who(t, c, 10); got[servers[1].addr] != 5 {
			t.Errorf("got %v", got)
		}
		s.set(func() { s.silent = true })
	}
	s.set(func() { s.silent = false })
	set(srvRecord("localhost.", port(1), 0, 1))
	eventually(t, "one is gone", func() bool { return len(c.Members()) == 1 })
	if got := who(t, c, 4); got[servers[1].addr] != 4 {
		t.Errorf("got %v", got)
	}
}

// Watch tells changes only, and errors with what was known.
func TestDNSWatch(t *testing.T) {
	s := newDNSServer(t)
	s.set(func() { s.hosts["h.example.org."] = []string{"192.0.2.1"} })
	reg := registry.NewDNS(registry.DNSConfig{Resolver: s.resolver(), Interval: time.Millisecond})
	type news struct {
		all []registry.Instance
		err error
	}
	told := make(chan news)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reg.Watch(ctx, "h.example.org:1", func(all []registry.Instance, err error) {
			select {
			case told <- news{all, err}:
			case <-ctx.Done():
			}
		})
	}()
	if n := receive(t, told); n.err != nil || len(n.all) != 1 {
		t.Errorf("at first: %v", n)
	}
	was := s.asked()
	eventually(t, "it looks again", func() bool { return s.asked() > was+6 })
	s.set(func() { s.hosts["h.example.org."] = []string{"192.0.2.1", "192.0.2.2"} })
	if n := receive(t, told); n.err != nil || len(n.all) != 2 {
		t.Errorf("what was not changed was told, or what was not: %v", n)
	}
	s.set(func() { delete(s.hosts, "h.example.org.") })
	if n := receive(t, told); n.err == nil || len(n.all) != 2 {
		t.Errorf("of a name that is gone: %v", n)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
	if err := reg.Watch(t.Context(), "no-port", func([]registry.Instance, error) {}); err == nil {
		t.Error("a name that can never be found is watched")
	}
}
