// Package stack has what is compared: each Stack is a way to send a request
// and get a reply, with a server and a client that run in processes of their
// own.
package stack

import (
	"fmt"
	"net"
	"strings"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Stack is one of those that are compared.
type Stack interface {
	// Name is that of the tables, and of the flag -stacks.
	Name() string
	// Serve answers on the listener until the process ends.
	Serve(lis net.Listener, s scenario.Scenario) error
	// Dial connects the scenario's connections.
	Dial(addr string, s scenario.Scenario) (Client, error)
}

// Client is the load of a scenario, connected.
type Client interface {
	// Run starts the callers, which call until the Meter is over, and returns.
	Run(m *meter.Meter)
}

var all = []Stack{Raw{}, Teleport{}, GRPC{}}

// All returns every Stack, in the order of the table.
func All() []Stack { return all }

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
	for _, s := range all {
		if s.Name() == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("there is no stack %q", name)
}
