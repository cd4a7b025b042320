package pb

import (
	"google.golang.org/protobuf/proto"

	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// Call is stack.CallBytes for a call with a Msg.
func Call(want *Msg, call func() (*Msg, error)) stack.Caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got.GetNote()) != len(want.GetNote()) || len(got.GetPrices()) != len(want.GetPrices()) ||
			thorough && !proto.Equal(got, want) {
			return stack.ErrReply
		}
		return nil
	}
}
