package websocket_test

import (
	"context"
	"fmt"
	"io"

	"github.com/henrylee2cn/teleport/transport/websocket"
)

// A conn may also be used without a peer. What one side writes the other reads, until
// the end that CloseWrite makes.
func Example() {
	lis, err := websocket.Listen("ws://127.0.0.1:0/bytes", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lis.Close()
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "hello, ")
		_, _ = io.WriteString(conn, "world")
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}()

	conn, err := websocket.Dial(context.Background(), "ws://"+lis.Addr().String()+"/bytes", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	fmt.Println(string(got), err)
	// Output:
	// hello, world <nil>
}
