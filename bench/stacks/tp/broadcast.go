package main

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// serveBroadcast lets the peer push to /news, as often as /ack allows it.
func serveBroadcast(peer *tp.Peer, s scenario.Scenario, fail func(error)) {
	c := stack.StartCaster(s.Size, func(msg []byte) error {
		count, rerr := peer.Broadcast("/news", msg, nil)
		if rerr == nil && count.Sent != s.Conns+1 {
			return fmt.Errorf("a broadcast reached %+v of %d", count, s.Conns+1)
		}
		return asError(rerr)
	}, fail)
	tp.RegPush(peer.PushRouter, "ack", func(tp.PushCtx, *[]byte) { c.Acknowledge() })
}

// dialBroadcast makes a session for each client, and one more that acknowledges.
// It is a session of the server's peer too, and so one more client.
func dialBroadcast(peer *tp.Peer, addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	var sess tp.Session
	a := stack.NewAudience(s.Conns+1, s.Size, m, func() error {
		return asError(sess.Push("/ack", nil))
	})
	tp.RegPush(peer.PushRouter, "news", func(_ tp.PushCtx, args *[]byte) { a.Receive(*args) })
	payload := s.Payload()
	for range s.Conns + 1 {
		var rerr *tp.Rerror
		if sess, rerr = peer.Dial(addr); rerr != nil {
			return nil, asError(rerr)
		}
		// A session that answers is one that the server's peer knows.
		if rerr = sess.Pull("/echo", payload, nil).Rerror(); rerr != nil {
			return nil, asError(rerr)
		}
	}
	return a, nil
}
