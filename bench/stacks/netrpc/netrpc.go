package main

import (
	"net/rpc"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// NetRPC is net/rpc of the standard library, with gob.
type NetRPC struct{}

var _ stack.Stack = NetRPC{}

// Name returns "netrpc".
func (NetRPC) Name() string { return "netrpc" }

// Serve answers Echo.Bytes.
func (NetRPC) Serve(_ scenario.Scenario, _ func(error)) (string, error) {
	lis, addr, err := stack.Listen()
	if err != nil {
		return "", err
	}
	srv := rpc.NewServer()
	if err := srv.RegisterName("Echo", netEcho{}); err != nil {
		return "", err
	}
	go srv.Accept(lis)
	return addr, nil
}

type netEcho struct{}

// Bytes returns what it is given.
func (netEcho) Bytes(args []byte, reply *[]byte) error {
	*reply = args
	return nil
}

// Dial makes an rpc.Client for each connection.
func (NetRPC) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	if err := stack.Carries("netrpc", s, scenario.Bytes); err != nil {
		return nil, err
	}
	payload := s.Payload()
	var conns []stack.Connection
	for range s.Conns + s.Idle {
		client, err := rpc.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		call := func() (reply []byte, err error) {
			err = client.Call("Echo.Bytes", &payload, &reply)
			return reply, err
		}
		conns = append(conns, func() stack.Caller { return stack.CallBytes(payload, call) })
	}
	return stack.NewCallers(s, m, conns)
}
