// Package scenario lists what is measured, and with which stacks.
package scenario

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Kind is what a scenario measures.
type Kind string

const (
	// Calls has callers who call, wait for the reply and call again.
	Calls Kind = ""
	// Idle weighs connections on which nothing happens.
	Idle Kind = "idle"
	// Broadcast pushes one message to every client, over and over.
	Broadcast Kind = "broadcast"
)

// Body is what a request carries, and its reply too.
type Body string

const (
	// Bytes are opaque, Size of them.
	Bytes Body = ""
	// Proto is pb.Sample.
	Proto Body = "protobuf"
	// JSON is object.Sample.
	JSON Body = "json"
)

// Scenario is a load: all calls at once are Conns*Callers.
type Scenario struct {
	ID      string
	Kind    Kind
	Body    Body
	Size    int // bytes of a Bytes body
	Conns   int
	Callers int // of one connection, each of whom waits for its reply
	Idle    int // connections beside, which made one call each
	Routes  int // handlers of the server; 0 is 1
	Procs   int // GOMAXPROCS of both processes; 0 is Go's own choice

	Stacks []string // that it is meant for
	// Rounds, if not 0, are the most in which it is measured: for those that
	// take long.
	Rounds int
}

// All returns every scenario, in the order in which they run.
func All() []Scenario { return all }

// Pick returns the scenarios of a list of ids with commas; all, if it is empty.
func Pick(list string) ([]Scenario, error) {
	if list == "" {
		return all, nil
	}
	var picked []Scenario
	for id := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(s Scenario) bool { return s.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q", id)
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// PickStacks returns the stacks of a list of names with commas, in its order; all, if it
// is empty, in that in which they are measured.
func PickStacks(list string) ([]string, error) {
	if list == "" {
		return stacks, nil
	}
	picked := strings.Split(list, ",")
	for _, name := range picked {
		if !slices.Contains(stacks, name) {
			return nil, fmt.Errorf("there is no stack %q", name)
		}
	}
	return picked, nil
}

// Short returns the scenario at a size that only proves that it works.
func (s Scenario) Short() Scenario {
	s.Conns = min(s.Conns, 100)
	if s.Callers == 1 && s.Conns > 20 {
		s.Conns = 20
	}
	if s.Kind == Broadcast {
		s.Conns = 50
	}
	s.Callers = min(s.Callers, 100)
	s.Idle = min(s.Idle, 100)
	s.Routes = min(s.Routes, 1000)
	return s
}

// Files returns about how many files each process opens, at most: a stack may
// have a connection for each caller.
func (s Scenario) Files() int { return s.Conns*max(s.Callers, 1) + s.Idle + 64 }

// Payload returns the request of a Bytes body, which every server gives back.
func (s Scenario) Payload() []byte {
	const text = "0123456789abcdefghijklmnopqrstuvwxyz."
	return bytes.Repeat([]byte(text), s.Size/len(text)+1)[:s.Size]
}
