//go:build !gate

package stack

import (
	"net/rpc"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// NetRPC is net/rpc of the standard library, with gob.
type NetRPC struct{}

var _ Stack = NetRPC{}

// Name returns "netrpc".
func (NetRPC) Name() string { return "netrpc" }

// Serve answers Echo.Bytes.
func (NetRPC) Serve(_ scenario.Scenario, _ func(error)) (string, error) {
	lis, addr, err := listen()
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
func (NetRPC) Dial(addr string, s scenario.Scenario, m *meter.Meter) (Client, error) {
	if err := carries("netrpc", s, scenario.Bytes); err != nil {
		return nil, err
	}
	payload := s.Payload()
	var conns []connection
	for range s.Conns + s.Idle {
		client, err := rpc.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		call := func() (reply []byte, err error) {
			err = client.Call("Echo.Bytes", payload, &reply)
			return reply, err
		}
		conns = append(conns, func() caller { return callBytes(payload, call) })
	}
	return newCallers(s, m, conns)
}
