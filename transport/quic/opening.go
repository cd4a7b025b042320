package quic

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

var errTooMany = errors.New("quic: too many connections that are not open yet")

// openingGrace is for how long a connection does not count for its address: after a
// restart a thousand clients come at once, perhaps from one address, and may have to
// wait for a processor.
const openingGrace = 250 * time.Millisecond

// openings counts the connections of a listener that are not accepted yet: nobody
// knows whose they are.
type openings struct {
	most, mostPerIP int // negative: no bound

	mu    sync.Mutex // protects following, and those of each opening
	all   int
	perIP map[string]int // those after their grace
}

// opening is one of them.
type opening struct {
	of    *openings
	ip    string
	grace *time.Timer
	old   bool // counted for its address
	gone  bool
}

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
	one := &opening{of: o, ip: ipOf(addr)}
	o.mu.Lock()
	if o.most >= 0 && o.all >= o.most || o.mostPerIP >= 0 && o.perIP[one.ip] >= o.mostPerIP {
		o.mu.Unlock()
		return nil, errTooMany
	}
	o.all++
	one.grace = time.AfterFunc(openingGrace, one.age)
	o.mu.Unlock()
	context.AfterFunc(ctx, one.leave)
	return context.WithValue(ctx, openingKey{}, one), nil
}

// age makes it count for its address.
func (one *opening) age() {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	if !one.gone {
		one.old = true
		one.of.perIP[one.ip]++
	}
}

// leave takes it off, once.
func (one *opening) leave() {
	o := one.of
	o.mu.Lock()
	defer o.mu.Unlock()
	if one.gone {
		return
	}
	one.gone = true
	one.grace.Stop()
	o.all--
	if !one.old {
		return
	}
	if o.perIP[one.ip]--; o.perIP[one.ip] == 0 {
		delete(o.perIP, one.ip)
	}
}

func ipOf(addr net.Addr) string {
	if udp, ok := addr.(*net.UDPAddr); ok {
		return udp.IP.String()
	}
	return ""
}
