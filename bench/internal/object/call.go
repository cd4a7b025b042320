package object

import "github.com/henrylee2cn/teleport/bench/internal/stack"

// Call is stack.CallBytes for a call with an Order.
func Call(want *Order, call func() (*Order, error)) stack.Caller {
	return func(thorough bool) error {
		got, err := call()
		if err != nil {
			return err
		}
		if len(got.Items) != len(want.Items) || thorough && !got.Equal(want) {
			return stack.ErrReply
		}
		return nil
	}
}
