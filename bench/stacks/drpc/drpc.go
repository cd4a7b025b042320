package main

import (
	"context"
	"net"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// DRPC is storj.io/drpc with unary calls. A connection of it carries one call at
// a time, so that callers who share one would stand in line. Each has its own
// instead, as its pool would give it one for each call, only without the pool's
// cost: where others have 1 connection with 100 callers, it has 100.
type DRPC struct{}

var _ stack.Stack = DRPC{}

// Name returns "drpc".
func (DRPC) Name() string { return "drpc" }

// Serve answers EchoBlob and EchoMsg.
func (DRPC) Serve(_ scenario.Scenario, fail func(error)) (string, error) {
	lis, addr, err := stack.Listen()
	if err != nil {
		return "", err
	}
	mux := drpcmux.New()
	if err := DRPCRegisterEcho(mux, echoService{}); err != nil {
		return "", err
	}
	go func() { fail(drpcserver.New(mux).Serve(context.Background(), lis)) }()
	return addr, nil
}

// echoService is the service.
type echoService struct {
	DRPCEchoUnimplementedServer
}

// EchoBlob returns what it is given.
func (echoService) EchoBlob(_ context.Context, in *pb.Blob) (*pb.Blob, error) { return in, nil }

// EchoMsg returns what it is given.
func (echoService) EchoMsg(_ context.Context, in *pb.Msg) (*pb.Msg, error) { return in, nil }

// Dial makes a connection for each caller.
func (DRPC) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	if err := stack.Carries("drpc", s, scenario.Bytes, scenario.Proto); err != nil {
		return nil, err
	}
	var conns []stack.Connection
	payload := s.Payload()
	for i := range s.Conns + s.Idle {
		callers := s.Callers
		if i >= s.Conns {
			callers = 1 // that of an idle connection
		}
		own := make(chan stack.Caller, callers)
		for range callers {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			own <- drpcCaller(NewDRPCEchoClient(drpcconn.New(conn)), s.Body, payload)
		}
		conns = append(conns, func() stack.Caller { return <-own })
	}
	return stack.NewCallers(s, m, conns)
}

func drpcCaller(client DRPCEchoClient, body scenario.Body, payload []byte) stack.Caller {
	ctx := context.Background()
	if body == scenario.Proto {
		request := pb.Sample()
		return pb.Call(request, func() (*pb.Msg, error) { return client.EchoMsg(ctx, request) })
	}
	request := &pb.Blob{Data: payload}
	return stack.CallBytes(request.Data, func() ([]byte, error) {
		reply, err := client.EchoBlob(ctx, request)
		return reply.GetData(), err
	})
}
