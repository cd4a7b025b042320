package websocket

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// proxies are the prefixes of Config.TrustedProxies.
type proxies []netip.Prefix

func parseProxies(texts []string) (all proxies, err error) {
	for i, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("websocket: Config.TrustedProxies[%d] = %q is neither an IP address nor a CIDR prefix", i, text)
			}
			addr = addr.Unmap()
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, prefix)
	}
	return all, nil
}

// trust reports whether the address is that of a trusted proxy.
func (p proxies) trust(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client returns the address of the client, which remote is if it is no trusted
// proxy. Otherwise it is the last address in the X-Forwarded-For headers
// that is none: each proxy appends the address of who has connected to it, so what
// stands before may be the client's own invention. If all are trusted it is the first of
// them. What is no address ends the search, with what was found by then.
func (p proxies) client(remote net.Addr, forwarded []string) net.Addr {
	if len(p) == 0 || !p.trust(ipOf(remote)) {
		return remote
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	client := remote
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.Trim(hops[i], " \t"))
		if !ok {
			break
		}
		client = net.TCPAddrFromAddrPort(hop)
		if !p.trust(hop.Addr()) {
			break
		}
	}
	return client
}

// parseHop parses an address of X-Forwarded-For: an IP address, which some proxies
// write with a port, or an IPv6 address in brackets. The port is 0 if there is none.
func parseHop(text string) (netip.AddrPort, bool) {
	hop, err := netip.ParseAddrPort(text)
	if err != nil {
		inner := text
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			inner = text[1 : len(text)-1]
		}
		addr, err := netip.ParseAddr(inner)
		if err != nil || inner != text && !addr.Is6() {
			return netip.AddrPort{}, false
		}
		hop = netip.AddrPortFrom(addr, 0)
	}
	if hop.Addr().Zone() != "" { // means something only on the proxy
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(hop.Addr().Unmap(), hop.Port()), true
}

// ipOf returns the IP address of addr, or the invalid one if it has none.
func ipOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
