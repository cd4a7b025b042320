package quic

import (
	"context"
	"errors"
	"net"
	"sync"
)

var errTooMany = errors.New("quic: too many connections that are not open yet")

// openings counts the connections of a listener that are not accepted yet: nobody
// knows whose they are.
type openings struct {
	most, mostPerIP int // negative: no bound

	mu    sync.Mutex // protects following
	all   int
	perIP map[string]int
}

// opening is one of them. Its leave takes it off, once.
type opening struct{ leave func() }

// openingKey is that of the opening in the context of a connection.
type openingKey struct{}

// suspicious tells whether who comes from the address has to prove first that it is
// there. What is sent in answer to a forged address could fill the openings, and keep
// out whose address it is.
func (o *openings) suspicious(addr net.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.most >= 0 && o.all >= o.most/8 || o.mostPerIP >= 0 && o.perIP[ipOf(addr)] >= o.mostPerIP/8
}

// enter counts a connection until it leaves or ends, which is when ctx does. The
// context that it returns has the opening.
func (o *openings) enter(ctx context.Context, addr net.Addr) (context.Context, error) {
	ip := ipOf(addr)
	o.mu.Lock()
	if o.most >= 0 && o.all >= o.most || o.mostPerIP >= 0 && o.perIP[ip] >= o.mostPerIP {
		o.mu.Unlock()
		return nil, errTooMany
	}
	o.all++
	o.perIP[ip]++
	o.mu.Unlock()
	one := &opening{sync.OnceFunc(func() { o.leave(ip) })}
	context.AfterFunc(ctx, one.leave)
	return context.WithValue(ctx, openingKey{}, one), nil
}

func (o *openings) leave(ip string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all--
	if o.perIP[ip]--; o.perIP[ip] == 0 {
		delete(o.perIP, ip)
	}
}

func ipOf(addr net.Addr) string {
	if udp, ok := addr.(*net.UDPAddr); ok {
		return udp.IP.String()
	}
	return ""
}
