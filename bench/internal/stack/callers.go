package stack

import (
	"bytes"
	"fmt"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// call sends the payload on a connection and returns the reply.
type call func() ([]byte, error)

// callers is the Client of a stack whose calls wait for their replies: one
// goroutine each.
type callers struct {
	scenario scenario.Scenario
	conns    []call // one for each connection, for all of its callers
}

var _ Client = (*callers)(nil)

// Run starts a goroutine for each caller.
func (c *callers) Run(m *meter.Meter) {
	want := c.scenario.Payload()
	for i := range c.scenario.Conns * c.scenario.Callers {
		go func() {
			if err := drive(c.conns[i%len(c.conns)], m, i, want); err != nil {
				m.Fail(err)
			}
		}()
	}
}

// drive calls until the Meter is over. The clock is read once for each call:
// the end of one is the start of the next.
func drive(call call, m *meter.Meter, caller int, want []byte) error {
	recorder := m.Recorder(caller)
	start := m.Now()
	for first := true; ; first = false {
		reply, err := call()
		if err != nil {
			return err
		}
		if len(reply) != len(want) || first && !bytes.Equal(reply, want) {
			return fmt.Errorf("caller %d got a wrong reply of %d bytes", caller, len(reply))
		}
		end := m.Now()
		if !recorder.Record(start, end) {
			return nil
		}
		start = end
	}
}
