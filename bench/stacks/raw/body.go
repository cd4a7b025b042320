package main

import (
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"github.com/henrylee2cn/teleport/bench/internal/object"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// Where a scenario wants a codec, raw uses it where that costs least: each
// caller encodes its own request and decodes its own reply, and the server does
// both in the goroutine that reads. Messages and buffers are reused.

// replyFunc appends the reply to a request to dst. It is for one goroutine.
type replyFunc func(dst, request []byte) ([]byte, error)

func newReplyFunc(body scenario.Body) replyFunc {
	switch body {
	case scenario.Proto:
		msg := new(pb.Msg)
		return func(dst, request []byte) ([]byte, error) {
			if err := proto.Unmarshal(request, msg); err != nil {
				return nil, err
			}
			return proto.MarshalOptions{}.MarshalAppend(dst, msg)
		}
	case scenario.JSON:
		return func(dst, request []byte) ([]byte, error) {
			var order object.Order
			if err := json.Unmarshal(request, &order); err != nil {
				return nil, err
			}
			encoded, err := json.Marshal(&order)
			return append(dst, encoded...), err
		}
	}
	return func(dst, request []byte) ([]byte, error) { return append(dst, request...), nil }
}

// caller returns the next caller of the connection. The payload is that of a
// scenario with opaque bytes.
func (x *mux) caller(body scenario.Body, payload []byte) stack.Caller {
	n := x.taken
	x.taken++
	switch body {
	case scenario.Proto:
		request, reply := pb.Sample(), new(pb.Msg)
		var buf []byte
		return pb.Call(request, func() (_ *pb.Msg, err error) {
			if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], request); err != nil {
				return nil, err
			}
			encoded, err := x.call(n, buf)
			if err != nil {
				return nil, err
			}
			return reply, proto.Unmarshal(encoded, reply)
		})
	case scenario.JSON:
		request := object.Sample()
		return object.Call(request, func() (*object.Order, error) {
			encoded, err := json.Marshal(request)
			if err != nil {
				return nil, err
			}
			if encoded, err = x.call(n, encoded); err != nil {
				return nil, err
			}
			reply := new(object.Order)
			return reply, json.Unmarshal(encoded, reply)
		})
	}
	return stack.CallBytes(payload, func() ([]byte, error) { return x.call(n, payload) })
}
