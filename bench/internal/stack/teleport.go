package stack

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Teleport is this library as a program uses it: a typed handler, which runs
// beside the others, and pulls that wait.
type Teleport struct{}

var _ Stack = Teleport{}

// Name returns "tp".
func (Teleport) Name() string { return "tp" }

// Serve answers pulls of /echo.
func (Teleport) Serve(lis net.Listener, _ scenario.Scenario) error {
	tp.SetRawlogLevel("ERROR") // that the client is gone at the end is no news
	peer := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(peer.PullRouter, "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		return *args, nil
	})
	return peer.ServeListener(lis)
}

// Dial makes a session for each connection.
func (Teleport) Dial(addr string, s scenario.Scenario) (Client, error) {
	peer := tp.NewPeer(&tp.PeerConfig{})
	payload := s.Payload()
	c := &callers{scenario: s}
	for range s.Conns {
		sess, rerr := peer.Dial(addr)
		if rerr != nil {
			return nil, fmt.Errorf("dial: %v", rerr)
		}
		c.conns = append(c.conns, func() ([]byte, error) {
			reply, rerr := tp.Pull[[]byte](sess, "/echo", payload)
			if rerr != nil {
				return nil, fmt.Errorf("pull: %v", rerr)
			}
			return reply, nil
		})
	}
	return c, nil
}
