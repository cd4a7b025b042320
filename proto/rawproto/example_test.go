package rawproto_test

import (
	"fmt"
	"net"

	"github.com/henrylee2cn/teleport/proto/rawproto"
	"github.com/henrylee2cn/teleport/socket"
)

// The bytes are those of erpc: size, no filters, number 1 in base 36, type 1, URI,
// status, no meta data, and the body in JSON.
func Example() {
	client, server := net.Pipe()
	go func() {
		s := socket.NewSocket(client, rawproto.NewProtoFunc())
		defer s.Close()
		s.WritePacket(socket.NewPacket(socket.WithPtype(1), socket.WithSeq(1),
			socket.WithUri("/home/echo"), socket.WithBody(map[string]int{"a": 1})))
	}()

	frame := make([]byte, 100)
	n, err := server.Read(frame)
	fmt.Printf("%q %v\n", frame[:n], err)
	// Output:
	// "\x00\x00\x00%\x00\x011\x01\n/home/echo\x00\x06code=0\x00\x00j{\"a\":1}" <nil>
}
