package websocket

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// handshakes counts the conns of an HTTP server that are no WebSockets yet: nobody
// knows whose they are.
type handshakes struct {
	most, mostPerIP int // 0 is no bound
	proxies         proxies

	mu    sync.Mutex // protects following
	all   int
	perIP map[netip.Addr]int // without the trusted proxies
}

// watch is the ConnState of an http.Server without keep-alive: each conn is new once,
// and then hijacked or closed once.
func (h *handshakes) watch(conn net.Conn, state http.ConnState) {
	change := 0
	switch state {
	case http.StateNew:
		change = 1
	case http.StateHijacked, http.StateClosed:
		change = -1
	default:
		return
	}
	if !h.count(ipOf(conn.RemoteAddr()), change) && change > 0 {
		_ = conn.Close()
	}
}

// count reports whether there are not too many.
func (h *handshakes) count(ip netip.Addr, change int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all += change
	ok := h.most == 0 || h.all <= h.most
	if !ip.IsValid() || h.proxies.trust(ip) {
		return ok
	}
	if h.perIP == nil {
		h.perIP = make(map[netip.Addr]int)
	}
	if h.perIP[ip] += change; h.perIP[ip] == 0 {
		delete(h.perIP, ip)
	}
	return ok && (h.mostPerIP == 0 || h.perIP[ip] <= h.mostPerIP)
}
