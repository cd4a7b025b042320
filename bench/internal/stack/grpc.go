package stack

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/henrylee2cn/teleport/bench/internal/pb"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// GRPC is google.golang.org/grpc with unary calls.
type GRPC struct{}

var _ Stack = GRPC{}

// Name returns "grpc".
func (GRPC) Name() string { return "grpc" }

// Serve answers EchoBlob.
func (GRPC) Serve(lis net.Listener, _ scenario.Scenario) error {
	srv := grpc.NewServer()
	pb.RegisterEchoServer(srv, echoService{})
	return srv.Serve(lis)
}

type echoService struct {
	pb.UnimplementedEchoServer
}

// EchoBlob returns what it is given.
func (echoService) EchoBlob(_ context.Context, in *pb.Blob) (*pb.Blob, error) { return in, nil }

// Dial makes a ClientConn for each connection. One of them keeps to one
// connection.
func (GRPC) Dial(addr string, s scenario.Scenario) (Client, error) {
	c := &callers{scenario: s}
	request := &pb.Blob{Data: s.Payload()}
	for range s.Conns {
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		conn.Connect()
		client := pb.NewEchoClient(conn)
		c.conns = append(c.conns, func() ([]byte, error) {
			reply, err := client.EchoBlob(context.Background(), request)
			return reply.GetData(), err
		})
	}
	return c, nil
}
