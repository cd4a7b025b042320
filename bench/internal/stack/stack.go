// Package stack has what is compared: each Stack is a way to send a request
// and get a reply, with a server and a client that run in processes of their
// own.
package stack

import (
	"fmt"
	"net"
	"slices"
	"strings"

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

// all is each Stack, in the order in which they are measured.
var all = append([]Stack{
	Raw{},
	Teleport{name: "tp"},
	Teleport{name: "tp-controller", controller: true},
	Teleport{name: "tp-inline", inline: true},
	Teleport{name: "tp-plugins", plugins: true},
	GRPC{},
}, others...)

// Pick returns the stacks of a list of names with commas; all, if it is empty.
func Pick(list string) ([]Stack, error) {
	if list == "" {
		return all, nil
	}
	var picked []Stack
	for name := range strings.SplitSeq(list, ",") {
		s, err := Find(name)
		if err != nil {
			return nil, err
		}
		picked = append(picked, s)
	}
	return picked, nil
}

// Find returns the Stack of a name.
func Find(name string) (Stack, error) {
	i := slices.IndexFunc(all, func(s Stack) bool { return s.Name() == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no stack %q", name)
	}
	return all[i], nil
}

// listen takes a port of the loopback.
func listen() (net.Listener, string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return lis, lis.Addr().String(), nil
}

// carries returns an error when a stack is asked for a body that it does not
// know, which is a mistake in the table of scenarios.
func carries(stack string, s scenario.Scenario, bodies ...scenario.Body) error {
	if slices.Contains(bodies, s.Body) {
		return nil
	}
	return fmt.Errorf("%s has no scenario with a body of kind %q", stack, s.Body)
}
