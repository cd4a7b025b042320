//go:build !unix

package tp

import "net"

func openListener(network, addr string) (net.Listener, error) { return net.Listen(network, addr) }
