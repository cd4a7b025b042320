package registry_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer is a DNS server on UDP with the records that it is given.
type dnsServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	hosts   map[string][]string // A and AAAA records, by name
	srv     map[string][]dnsmessage.SRVResource
	silent  bool // it answers nothing
	queries int
}

func newDNSServer(t *testing.T) *dnsServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dnsServer{conn: conn, hosts: map[string][]string{}, srv: map[string][]dnsmessage.SRVResource{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.serve(t)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return s
}

// resolver returns one that asks the server.
func (s *dnsServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// set changes the records.
func (s *dnsServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *dnsServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries
}

func (s *dnsServer) serve(t *testing.T) {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		answer, err := s.answer(buf[:n])
		if err != nil {
			t.Errorf("the DNS server: %v", err)
		}
		if answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

func (s *dnsServer) answer(query []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries++
	if s.silent {
		return nil, nil
	}
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := q.Name.String()
	hosts, isHost := s.hosts[name]
	srv, isSRV := s.srv[name]
	head.Response, head.RecursionAvailable, head.Authoritative = true, true, true
	if !isHost && !isSRV {
		head.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, head)
	b.EnableCompression()
	_ = b.StartQuestions()
	_ = b.Question(q)
	_ = b.StartAnswers()
	rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
	for _, h := range hosts {
		addr := netip.MustParseAddr(h)
		switch {
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			err = b.AResource(rh, dnsmessage.AResource{A: addr.As4()})
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			err = b.AAAAResource(rh, dnsmessage.AAAAResource{AAAA: addr.As16()})
		}
		if err != nil {
			return nil, err
		}
	}
	for _, r := range srv {
		if q.Type != dnsmessage.TypeSRV {
			break
		}
		if err := b.SRVResource(rh, r); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
