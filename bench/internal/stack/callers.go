package stack

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/object"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// caller makes a call and looks at the reply: at its size, and if it is to be
// thorough at all of it.
type caller func(thorough bool) error

// errReply says that a reply is not what was sent.
var errReply = errors.New("the reply differs from the request")

// callBytes is the caller of a call with opaque bytes.
func callBytes(want []byte, call func() ([]byte, error)) caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got) != len(want) || thorough && !bytes.Equal(got, want) {
			return errReply
		}
		return nil
	}
}

// callMsg is the caller of a call with a protobuf message.
func callMsg(want *pb.Msg, call func() (*pb.Msg, error)) caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got.GetNote()) != len(want.GetNote()) || len(got.GetPrices()) != len(want.GetPrices()) ||
			thorough && !proto.Equal(got, want) {
			return errReply
		}
		return nil
	}
}

// callOrder is the caller of a call with an object in JSON.
func callOrder(want *object.Order, call func() (*object.Order, error)) caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got.Items) != len(want.Items) || thorough && !got.Equal(want) {
			return errReply
		}
		return nil
	}
}

// connection makes the callers who share it.
type connection func() caller

// callers is the Client of a stack whose calls wait for their replies: one
// goroutine each.
type callers struct {
	scenario scenario.Scenario
	meter    *meter.Meter
	conns    []connection // first those with callers, then the idle ones
}

var _ Client = (*callers)(nil)

// newCallers makes a call on each idle connection, so that it is as one that
// was in use.
func newCallers(s scenario.Scenario, m *meter.Meter, conns []connection) (*callers, error) {
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
func drive(call caller, m *meter.Meter, number int) error {
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
