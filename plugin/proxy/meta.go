package proxy

import (
	"net/netip"
	"strings"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/utils"
)

// Keys of meta data: see the package comment.
const (
	// MetaVia has the ids of the proxies that a pull or push came through, the first
	// one first, with commas between them.
	MetaVia = "X-Proxy-Via"
	// MetaClient says from which client a pull or push came to a backend, and to which
	// client one of a backend goes. The value has a meaning for the proxies only.
	MetaClient = "X-Proxy-Client"
	// MetaRealIP is the IP address of the client.
	MetaRealIP = "X-Real-IP"
	// MetaError is in a reply whose error a proxy made, and is the id of that one.
	MetaError = "X-Proxy-Error"
)

// copyMeta returns a copy of meta data, without what belongs to one connection or what
// each proxy sets by itself.
func copyMeta(from *utils.Args, without ...string) *utils.Args {
	to := new(utils.Args)
	from.CopyTo(to)
	for _, key := range append(without, tp.MetaCapsKey, tp.MetaTimeoutKey, tp.MetaRerrorKey) {
		remove(to, key)
	}
	return to
}

// remove deletes all pairs with the key, however it is written, and returns the value of
// the first. In HTTP, which a client or backend may speak, upper and lower case are the
// same, and X-Real-IP is written X-Real-Ip.
func remove(meta *utils.Args, key string) (value string) {
	var written []string
	meta.VisitAll(func(k, v []byte) {
		if !strings.EqualFold(string(k), key) {
			return
		}
		if written = append(written, string(k)); len(written) == 1 {
			value = string(v)
		}
	})
	for _, k := range written {
		meta.Del(k)
	}
	return value
}

// addVia adds this proxy to those that the packet came through, or tells that it went
// in a circle.
func (p *Proxy) addVia(meta *utils.Args) *tp.Rerror {
	via := remove(meta, MetaVia)
	for hops, rest := 1, via; rest != ""; hops++ {
		var id string
		id, rest, _ = strings.Cut(rest, ",")
		if id == p.cfg.ID {
			p.loops.Add(1)
			return notExecuted(CodeLoopDetected, "it came through proxy "+id+" before")
		}
		if hops >= p.cfg.MaxHops {
			p.loops.Add(1)
			return notExecuted(CodeLoopDetected, "it came through more proxies than Config.MaxHops allows")
		}
	}
	if via != "" {
		via += ","
	}
	meta.Set(MetaVia, via+p.cfg.ID)
	return nil
}

// addClient adds where the packet came from.
func (p *Proxy) addClient(meta *utils.Args, sess tp.Session) {
	addr := ipOf(sess.RemoteIp())
	token := p.clients.tokenOf(sess)
	before, real := remove(meta, MetaClient), remove(meta, MetaRealIP)
	if p.trusts(addr) {
		if before != "" {
			token += "," + before
		}
		if real != "" {
			addr = real
		}
	}
	meta.Set(MetaClient, token)
	if addr != "" {
		meta.Set(MetaRealIP, addr)
	}
}

// ipOf returns the IP of an address with a port, or "" if it has none, as that of a unix
// socket.
func ipOf(addr string) string {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

func (p *Proxy) trusts(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.WithZone("")
	for _, prefix := range p.cfg.TrustedProxies {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
