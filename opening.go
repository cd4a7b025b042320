package tp

import (
	"container/list"
	"net"
	"time"
)

const (
	defaultMaxOpening      = 1024
	defaultMaxOpeningPerIP = 64
	// openingGrace is for how long one does not count: after a restart a thousand
	// clients come at once, perhaps from one address, and may have to wait for a
	// processor.
	openingGrace = 250 * time.Millisecond
)

// openings are the accepted connections that have not been let in yet: nobody
// knows whose they are, so they have small limits of their own. The peer's mu
// guards it.
type openings struct {
	young list.List      // of *opening, the oldest first: those that do not count yet
	old   list.List      // those before them, which do
	perIP map[string]int // how many of old
}

// opening is one of them.
type opening struct {
	conn net.Conn
	ip   string        // "" if it has none, as a unix conn
	came time.Duration // since processStart
	at   *list.Element // of young or old; nil when it is settled
	old  bool
}

// hasOpenings reports whether it takes more than a moment to let a connection in.
func (p *Peer) hasOpenings(secure bool) bool {
	return secure || len(p.plugins.sorted.Load().postAccept) > 0
}

// admit takes up an accepted conn, or reports that there are too many of its
// address. If there are too many in all, the oldest have to go: who has not come in
// by now will hardly do.
func (p *Peer) admit(conn net.Conn) (*opening, bool) {
	o := &opening{conn: conn, ip: ipOf(conn), came: sinceStart()}
	p.mu.Lock()
	all := &p.openings
	all.age(o.came)
	if most := p.cfg.MaxOpeningPerIP; most > 0 && all.perIP[o.ip] >= most {
		p.mu.Unlock()
		return nil, false
	}
	var oldest []*opening
	for most := p.cfg.MaxOpening; most > 0 && all.old.Len() >= most; {
		o := all.old.Front().Value.(*opening)
		all.remove(o)
		oldest = append(oldest, o)
	}
	o.at = all.young.PushBack(o)
	p.mu.Unlock()
	for _, o := range oldest {
		p.tally.refuse(refusedOpening)
		p.strangers.warn(p.log(), "conn %s: not accepted: there are more than %d such connections (PeerConfig.MaxOpening), and it is the oldest", addrText(o.conn.RemoteAddr()), p.cfg.MaxOpening)
		_ = o.conn.Close()
	}
	return o, true
}

// age makes those count that have had their grace.
func (all *openings) age(now time.Duration) {
	for first := all.young.Front(); first != nil; first = all.young.Front() {
		o := first.Value.(*opening)
		if now-o.came < openingGrace {
			return
		}
		all.young.Remove(first)
		o.at, o.old = all.old.PushBack(o), true
		if o.ip == "" {
			continue
		}
		if all.perIP == nil {
			all.perIP = make(map[string]int)
		}
		all.perIP[o.ip]++
	}
}

// ipOf returns the address of the other side without its port.
func ipOf(conn net.Conn) string {
	switch addr := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		return addr.IP.String()
	case *net.UDPAddr: // of QUIC
		return addr.IP.String()
	}
	return ""
}

// settle forgets one that was let in, or not. It reports false if it had to go before.
func (p *Peer) settle(o *opening) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := o.at != nil
	p.openings.remove(o)
	return there
}

func (all *openings) remove(o *opening) {
	switch {
	case o.at == nil:
	case !o.old:
		all.young.Remove(o.at)
	default:
		all.old.Remove(o.at)
		if o.ip == "" {
			break
		}
		if all.perIP[o.ip]--; all.perIP[o.ip] == 0 {
			delete(all.perIP, o.ip)
		}
	}
	o.at = nil
}

func (all *openings) len() int { return all.young.Len() + all.old.Len() }
