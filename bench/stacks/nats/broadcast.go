package main

import (
	"github.com/nats-io/nats.go"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// natsBroadcast publishes to the subject "news", on the responder's connection.
func natsBroadcast(conn *nats.Conn, s scenario.Scenario, fail func(error)) error {
	c := stack.StartCaster(s.Size, func(msg []byte) error { return conn.Publish("news", msg) }, fail)
	_, err := conn.Subscribe("ack", func(*nats.Msg) { c.Acknowledge() })
	return err
}

// natsListeners subscribes with a connection for each client.
func natsListeners(connect func() (*nats.Conn, error), s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	acks, err := connect()
	if err != nil {
		return nil, err
	}
	a := stack.NewAudience(s.Conns, s.Size, m, func() error { return acks.Publish("ack", nil) })
	for range s.Conns {
		conn, err := connect()
		if err != nil {
			return nil, err
		}
		if _, err := conn.Subscribe("news", func(m *nats.Msg) { a.Receive(m.Data) }); err != nil {
			return nil, err
		}
		if err := conn.Flush(); err != nil { // the server knows of it
			return nil, err
		}
	}
	return a, nil
}
