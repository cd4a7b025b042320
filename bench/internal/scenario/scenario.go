// Package scenario lists what is measured.
package scenario

import (
	"bytes"
	"fmt"
	"strings"
)

// payload is the size of a common request, in bytes.
const payload = 581

// Scenario is a load: all calls at once are Conns*Callers.
type Scenario struct {
	ID      string
	Title   string
	Conns   int
	Callers int // of one connection, each of whom waits for its reply
	Size    int // bytes of the request and of the reply
}

var all = []Scenario{
	{ID: "S1", Title: "1 connection, 1 caller", Conns: 1, Callers: 1, Size: payload},
	{ID: "S2", Title: "1 connection, 100 callers", Conns: 1, Callers: 100, Size: payload},
	{ID: "S3", Title: "1 connection, 1000 callers", Conns: 1, Callers: 1000, Size: payload},
	{ID: "S4", Title: "100 connections, 1 caller each", Conns: 100, Callers: 1, Size: payload},
	{ID: "S6", Title: "16 connections, 64 callers each", Conns: 16, Callers: 64, Size: payload},
	{ID: "S9", Title: "1 MiB, 1 connection, 8 callers", Conns: 1, Callers: 8, Size: 1 << 20},
}

// All returns every scenario, in the order of the table.
func All() []Scenario { return all }

// Pick returns the scenarios of a list of ids with commas; all, if it is empty.
func Pick(list string) ([]Scenario, error) {
	if list == "" {
		return all, nil
	}
	var picked []Scenario
next:
	for id := range strings.SplitSeq(list, ",") {
		for _, s := range all {
			if s.ID == id {
				picked = append(picked, s)
				continue next
			}
		}
		return nil, fmt.Errorf("there is no scenario %q", id)
	}
	return picked, nil
}

// Payload returns the request, which every server gives back.
func (s Scenario) Payload() []byte {
	const text = "0123456789abcdefghijklmnopqrstuvwxyz."
	return bytes.Repeat([]byte(text), s.Size/len(text)+1)[:s.Size]
}
