//go:build !gate

package stack

import (
	"github.com/nats-io/nats.go"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// natsBroadcast publishes to the subject "news", on the responder's connection.
func natsBroadcast(conn *nats.Conn, s scenario.Scenario, fail func(error)) error {
	c := startCaster(s.Size, func(msg []byte) error { return conn.Publish("news", msg) }, fail)
	_, err := conn.Subscribe("ack", func(*nats.Msg) { c.acknowledge() })
	return err
}

// natsListeners subscribes with a connection for each client.
func natsListeners(connect func() (*nats.Conn, error), s scenario.Scenario, m *meter.Meter) (Client, error) {
	acks, err := connect()
	if err != nil {
		return nil, err
	}
	a := newAudience(s.Conns, s.Size, m, func() error { return acks.Publish("ack", nil) })
	for range s.Conns {
		conn, err := connect()
		if err != nil {
			return nil, err
		}
		if _, err := conn.Subscribe("news", func(m *nats.Msg) { a.receive(m.Data) }); err != nil {
			return nil, err
		}
		if err := conn.Flush(); err != nil { // the server knows of it
			return nil, err
		}
	}
	return a, nil
}
