// Package stack has what is compared: each Stack is a way to send a request
// and get a reply, with a server and a client that run in processes of their
// own.
package stack

import (
	"fmt"
	"net"
	"slices"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Stack is one of those that are compared.
type Stack interface {
	// Name is that of the tables, and of the flag -stacks.
	Name() string
	// Serve starts the server on a port of the loopback, and returns its
	// address. It answers until the process ends; what ends it before goes to
	// fail.
	Serve(s scenario.Scenario, fail func(error)) (addr string, err error)
	// Dial connects the scenario's connections. Each idle one makes a call.
	Dial(addr string, s scenario.Scenario, m *meter.Meter) (Client, error)
}

// Client is the load of a scenario, connected.
type Client interface {
	// Run starts the load, which goes on until the Meter is over, and returns.
	Run()
}

// Listen takes a port of the loopback.
func Listen() (net.Listener, string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return lis, lis.Addr().String(), nil
}

// Carries returns an error when a stack is asked for a body that it does not
// know, which is a mistake in the table of scenarios.
func Carries(stack string, s scenario.Scenario, bodies ...scenario.Body) error {
	if slices.Contains(bodies, s.Body) {
		return nil
	}
	return fmt.Errorf("%s has no scenario with a body of kind %q", stack, s.Body)
}
