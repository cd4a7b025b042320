package main

import (
	"context"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// GRPC is google.golang.org/grpc with unary calls, and workers for the streams.
// In S2 they made no difference beyond the noise, nor did larger buffers (128
// KiB) or windows (1 MiB), which would cost memory; that write buffers are
// shared is its default.
type GRPC struct{}

var _ stack.Stack = GRPC{}

// Name returns "grpc".
func (GRPC) Name() string { return "grpc" }

// Serve answers EchoBlob and EchoMsg.
func (GRPC) Serve(_ scenario.Scenario, fail func(error)) (string, error) {
	lis, addr, err := stack.Listen()
	if err != nil {
		return "", err
	}
	srv := grpc.NewServer(grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))))
	RegisterEchoServer(srv, echoService{})
	go func() { fail(srv.Serve(lis)) }()
	return addr, nil
}

// echoService is the service.
type echoService struct {
	UnimplementedEchoServer
}

// EchoBlob returns what it is given.
func (echoService) EchoBlob(_ context.Context, in *pb.Blob) (*pb.Blob, error) { return in, nil }

// EchoMsg returns what it is given.
func (echoService) EchoMsg(_ context.Context, in *pb.Msg) (*pb.Msg, error) { return in, nil }

// Dial makes a ClientConn for each connection. One of them keeps to one
// connection.
func (GRPC) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	if err := stack.Carries("grpc", s, scenario.Bytes, scenario.Proto); err != nil {
		return nil, err
	}
	var conns []stack.Connection
	payload := s.Payload()
	for range s.Conns + s.Idle {
		conn, err := grpc.NewClient("passthrough:///"+addr,
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		conn.Connect()
		client := NewEchoClient(conn)
		conns = append(conns, func() stack.Caller { return grpcCaller(client, s.Body, payload) })
	}
	return stack.NewCallers(s, m, conns)
}

func grpcCaller(client EchoClient, body scenario.Body, payload []byte) stack.Caller {
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
