package stack

import (
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"github.com/henrylee2cn/teleport/bench/internal/object"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Where a scenario wants a codec, raw uses it where that costs least: each
// caller encodes its own request and decodes its own reply, and the server does
// both in the goroutine that reads. Messages and buffers are reused.

// rawReply appends the reply to a request to dst. It is for one goroutine.
type rawReply func(dst, request []byte) ([]byte, error)

func newRawReply(body scenario.Body) rawReply {
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
func (x *rawMux) caller(body scenario.Body, payload []byte) caller {
	n := x.taken
	x.taken++
	switch body {
	case scenario.Proto:
		request, reply := pb.Sample(), new(pb.Msg)
		var buf []byte
		return callMsg(request, func() (_ *pb.Msg, err error) {
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
		return callOrder(request, func() (*object.Order, error) {
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
	return callBytes(payload, func() ([]byte, error) { return x.call(n, payload) })
}
