package tp

import (
	"container/list"
	"net"
)

const (
	defaultMaxOpening      = 1024
	defaultMaxOpeningPerIP = 64
)

// openings are the accepted connections that have not been let in yet: nobody
// knows whose they are, so they have small limits of their own. The peer's mu
// guards it.
type openings struct {
	conns list.List // of *opening, the oldest first
	perIP map[string]int
}

// opening is one of them.
type opening struct {
	conn net.Conn
	ip   string // "" if it has none, as a unix conn
	at   *list.Element
}

// hasOpenings reports whether it takes more than a moment to let a connection in.
func (p *Peer) hasOpenings(secure bool) bool {
	return secure || len(p.plugins.sorted.Load().postAccept) > 0
}

// admit takes up an accepted conn, or reports that there are too many of its
// address. If there are too many in all, the oldest one has to go: who has not
// come in by now will hardly do.
func (p *Peer) admit(conn net.Conn) (*opening, bool) {
	o := &opening{conn: conn, ip: ipOf(conn)}
	p.mu.Lock()
	all := &p.openings
	if most := p.cfg.MaxOpeningPerIP; most > 0 && o.ip != "" && all.perIP[o.ip] >= most {
		p.mu.Unlock()
		return nil, false
	}
	var oldest *opening
	if most := p.cfg.MaxOpening; most > 0 && all.conns.Len() >= most {
		oldest = all.conns.Front().Value.(*opening)
		all.remove(oldest)
	}
	o.at = all.conns.PushBack(o)
	if o.ip != "" {
		if all.perIP == nil {
			all.perIP = make(map[string]int)
		}
		all.perIP[o.ip]++
	}
	p.mu.Unlock()
	if oldest != nil {
		p.tally.refuse(refusedOpening)
		p.log().Warnf("conn %s: not accepted: there are more than %d such connections (PeerConfig.MaxOpening), and it is the oldest", addrText(oldest.conn.RemoteAddr()), p.cfg.MaxOpening)
		_ = oldest.conn.Close()
	}
	return o, true
}

// ipOf returns the address of the other side without its port.
func ipOf(conn net.Conn) string {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}

// settled forgets one that was let in, or not.
func (p *Peer) settled(o *opening) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.openings.remove(o)
}

func (all *openings) remove(o *opening) {
	if o.at == nil {
		return
	}
	all.conns.Remove(o.at)
	o.at = nil
	if o.ip != "" {
		if all.perIP[o.ip]--; all.perIP[o.ip] == 0 {
			delete(all.perIP, o.ip)
		}
	}
}
