package websocket

import "net"

// ClientAddr is what a Listener finds out about a client.
func ClientAddr(trusted []string, remote net.Addr, forwarded []string) (net.Addr, error) {
	p, err := parseProxies(trusted)
	if err != nil {
		return nil, err
	}
	return p.client(remote, forwarded), nil
}
