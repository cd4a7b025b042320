package quic_test

import (
	"context"
	"fmt"
	"io"
	"log"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport/quic"
)

// A server and a client that have no other address than this.
func Example() {
	serverTLS, clientTLS := certificates()
	lis, err := quic.New(nil).Listen("127.0.0.1:0", serverTLS)
	if err != nil {
		log.Fatal(err)
	}
	server := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
		return "Hello, " + *name, nil
	})
	go func() { _ = server.ServeListener(lis) }()

	conn, err := quic.New(nil).Dial(context.Background(), lis.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	client := tp.NewPeer(&tp.PeerConfig{})
	greeting, rerr := tp.Pull[string](client.ServeConn(conn), "/greet", "Ann")
	fmt.Println(greeting, rerr.ToError())
	_, _ = client.Close(), server.Close()
	// Output: Hello, Ann <nil>
}

// What a conn has beyond net.Conn: it can be closed for writing alone.
func ExampleTransport_Listen() {
	serverTLS, clientTLS := certificates()
	lis, err := quic.New(nil).Listen("127.0.0.1:0", serverTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	client, err := quic.New(nil).Dial(context.Background(), lis.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	server, err := lis.Accept()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(client, "all that there is")
	_ = client.(interface{ CloseWrite() error }).CloseWrite()
	text, err := io.ReadAll(server)
	fmt.Printf("%s %v\n", text, err)
	_, _ = client.Close(), server.Close()
	// Output: all that there is <nil>
}
