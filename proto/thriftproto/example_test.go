package thriftproto_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/apache/thrift/lib/go/thrift"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/thriftproto"
)

// A client of the thrift library calls a handler. addArgs and addResult stand for what
// the thrift compiler makes of a method.
func Example() {
	server := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "calculator/add", func(_ tp.PullCtx, args *addArgs) (*addResult, *tp.Rerror) {
		sum := args.A + args.B
		return &addResult{Success: &sum}, nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.ServeListener(lis, thriftproto.NewProtoFunc(nil)) }()

	conn := thrift.NewTFramedTransportConf(thrift.NewTSocketConf(lis.Addr().String(), nil), nil)
	if err := conn.Open(); err != nil {
		log.Fatal(err)
	}
	binary := thrift.NewTBinaryProtocolConf(conn, nil)
	client := thrift.NewTStandardClient(binary, thrift.NewTMultiplexedProtocol(binary, "Calculator"))
	var sum addResult
	if _, err := client.Call(context.Background(), "add", &addArgs{40, 2}, &sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println(*sum.Success)
	_, err = client.Call(context.Background(), "subtract", &addArgs{40, 2}, &sum)
	fmt.Println(err)
	_, _ = conn.Close(), server.Close()
	// Output:
	// 42
	// Not Found: no handler of /calculator/subtract
}
