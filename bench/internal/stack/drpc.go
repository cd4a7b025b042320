//go:build !gate

package stack

import (
	"context"
	"net"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// DRPC is storj.io/drpc with unary calls. A connection of it carries one call at
// a time, so that callers who share one would stand in line. Each has its own
// instead, as its pool would give it one for each call, only without the pool's
// cost: where others have 1 connection with 100 callers, it has 100.
type DRPC struct{}

var _ Stack = DRPC{}

// Name returns "drpc".
func (DRPC) Name() string { return "drpc" }

// Serve answers EchoBlob and EchoMsg.
func (DRPC) Serve(_ scenario.Scenario, fail func(error)) (string, error) {
	lis, addr, err := listen()
	if err != nil {
		return "", err
	}
	mux := drpcmux.New()
	if err := pb.DRPCRegisterEcho(mux, echoService{}); err != nil {
		return "", err
	}
	go func() { fail(drpcserver.New(mux).Serve(context.Background(), lis)) }()
	return addr, nil
}

// Dial makes a connection for each caller.
func (DRPC) Dial(addr string, s scenario.Scenario, m *meter.Meter) (Client, error) {
	if err := carries("drpc", s, scenario.Bytes, scenario.Proto); err != nil {
		return nil, err
	}
	var conns []connection
	payload := s.Payload()
	for i := range s.Conns + s.Idle {
		callers := s.Callers
		if i >= s.Conns {
			callers = 1 // that of an idle connection
		}
		own := make(chan caller, callers)
		for range callers {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			own <- drpcCaller(pb.NewDRPCEchoClient(drpcconn.New(conn)), s.Body, payload)
		}
		conns = append(conns, func() caller { return <-own })
	}
	return newCallers(s, m, conns)
}

func drpcCaller(client pb.DRPCEchoClient, body scenario.Body, payload []byte) caller {
	ctx := context.Background()
	if body == scenario.Proto {
		request := pb.Sample()
		return callMsg(request, func() (*pb.Msg, error) { return client.EchoMsg(ctx, request) })
	}
	request := &pb.Blob{Data: payload}
	return callBytes(request.Data, func() ([]byte, error) {
		reply, err := client.EchoBlob(ctx, request)
		return reply.GetData(), err
	})
}
