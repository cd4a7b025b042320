package relay

import (
	"context"
	"net"
	"sync"
)

// conn is a connection of a client, and the one to the server that belongs to
// it.
type conn struct {
	client *net.TCPConn
	pumps  [2]*pump        // up and down
	life   context.Context // ends when nothing is to be passed on any more
	die    context.CancelFunc

	mu     sync.Mutex // protects following
	server *net.TCPConn
	isCut  bool
	reset  bool // how it was cut
}

func newConn(client *net.TCPConn) *conn {
	c := &conn{client: client}
	c.life, c.die = context.WithCancel(context.Background())
	return c
}

// join gives c its server. It reports false, and closes the server, when c was
// cut meanwhile.
func (c *conn) join(server *net.TCPConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		closeTCP(server, c.reset)
		return false
	}
	c.server = server
	c.pumps[0].from, c.pumps[0].to = c.client, server
	c.pumps[1].from, c.pumps[1].to = server, c.client
	return true
}

// end ends c in good order: both sides are told that no more will come, and
// may still send, to nobody. Before c has a server it does nothing.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil || c.isCut {
		return
	}
	c.die()
	_ = c.client.CloseWrite()
	_ = c.server.CloseWrite()
}

// cut closes both sides, with a reset if wanted. The first call counts.
func (c *conn) cut(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return
	}
	c.isCut, c.reset = true, reset
	c.die()
	closeTCP(c.client, reset)
	if c.server != nil {
		closeTCP(c.server, reset)
	}
}

func closeTCP(c *net.TCPConn, reset bool) {
	if reset {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}
