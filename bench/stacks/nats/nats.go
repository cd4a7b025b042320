package main

import (
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// NATS is nats.go, request and reply, through a nats-server that is embedded in
// the server process. The responder is a client of it in the same process, on a
// connection that is no socket, so that only one way leads over the loopback.
type NATS struct{}

var _ stack.Stack = NATS{}

// Name returns "nats".
func (NATS) Name() string { return "nats" }

// natsPatience is how long a client waits for a reply.
const natsPatience = 20 * time.Second

// Serve responds to the subject "echo".
func (NATS) Serve(s scenario.Scenario, fail func(error)) (string, error) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return "", err
	}
	srv.Start()
	if !srv.ReadyForConnections(natsPatience) {
		return "", errors.New("nats-server does not listen")
	}
	conn, err := nats.Connect("", nats.InProcessServer(srv), nats.NoReconnect(), natsFails(fail))
	if err != nil {
		return "", err
	}
	if _, err := conn.Subscribe("echo", func(m *nats.Msg) {
		if err := m.Respond(m.Data); err != nil {
			fail(err)
		}
	}); err != nil {
		return "", err
	}
	if s.Kind == scenario.Broadcast {
		if err := natsBroadcast(conn, s, fail); err != nil {
			return "", err
		}
	}
	return srv.Addr().String(), conn.Flush()
}

// natsFails passes on what a connection says beside its calls: that a
// subscriber is too slow, for one.
func natsFails(fail func(error)) nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fail(err) })
}

// Dial makes a nats.Conn for each connection.
func (NATS) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	if err := stack.Carries("nats", s, scenario.Bytes); err != nil {
		return nil, err
	}
	connect := func() (*nats.Conn, error) {
		return nats.Connect("nats://"+addr, nats.NoReconnect(), natsFails(m.Fail))
	}
	if s.Kind == scenario.Broadcast {
		return natsListeners(connect, s, m)
	}
	payload := s.Payload()
	var conns []stack.Connection
	for range s.Conns + s.Idle {
		conn, err := connect()
		if err != nil {
			return nil, err
		}
		call := func() ([]byte, error) {
			reply, err := conn.Request("echo", payload, natsPatience)
			if err != nil {
				return nil, err
			}
			return reply.Data, nil
		}
		conns = append(conns, func() stack.Caller { return stack.CallBytes(payload, call) })
	}
	return stack.NewCallers(s, m, conns)
}
