package stack

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Caller makes a call and looks at the reply: at its size, and if it is to be
// thorough at all of it.
type Caller func(thorough bool) error

// ErrReply says that a reply is not what was sent.
var ErrReply = errors.New("the reply differs from the request")

// CallBytes is the Caller of a call with opaque bytes.
func CallBytes(want []byte, call func() ([]byte, error)) Caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got) != len(want) || thorough && !bytes.Equal(got, want) {
			return ErrReply
		}
		return nil
	}
}

// Connection makes the Callers who share it.
type Connection func() Caller

// callers is the Client of a stack whose calls wait for their replies: one
// goroutine each.
type callers struct {
	scenario scenario.Scenario
	meter    *meter.Meter
	conns    []Connection // first those with callers, then the idle ones
}

var _ Client = (*callers)(nil)

// NewCallers returns the Client of a stack whose calls wait for their replies. It makes a call on each idle connection, so that it is as one that
// was in use.
func NewCallers(s scenario.Scenario, m *meter.Meter, conns []Connection) (Client, error) {
	for i, conn := range conns[s.Conns:] {
		if err := conn()(true); err != nil {
			return nil, fmt.Errorf("idle connection %d: %w", i, err)
		}
	}
	return &callers{s, m, conns}, nil
}

// Run starts a goroutine for each caller.
func (c *callers) Run() {
	for i := range c.scenario.Conns * c.scenario.Callers {
		call := c.conns[i%c.scenario.Conns]()
		go func() {
			if err := drive(call, c.meter, i); err != nil {
				c.meter.Fail(fmt.Errorf("caller %d: %w", i, err))
			}
		}()
	}
}

// drive calls until the Meter is over. The clock is read once for each call:
// the end of one is the start of the next.
func drive(call Caller, m *meter.Meter, number int) error {
	recorder := m.Recorder(number)
	start := m.Now()
	for first := true; ; first = false {
		if err := call(first); err != nil {
			return err
		}
		end := m.Now()
		if !recorder.Record(start, end) {
			return nil
		}
		start = end
	}
}
