package pbproto_test

import (
	"fmt"
	"net"

	"github.com/henrylee2cn/teleport/proto/pbproto"
	"github.com/henrylee2cn/teleport/socket"
)

// A length, then the fields of the message Packet.
func Example() {
	client, server := net.Pipe()
	go func() {
		s := socket.NewSocket(client, pbproto.NewProtoFunc())
		defer s.Close()
		s.WritePacket(socket.NewPacket(socket.WithPtype(1), socket.WithSeq(1),
			socket.WithUri("/home/echo"), socket.WithBody(map[string]int{"a": 1})))
	}()

	frame := make([]byte, 100)
	n, err := server.Read(frame)
	fmt.Printf("%q %v\n", frame[:n], err)
	// Output:
	// "\x1b\b\x01\x10\x01\x1a\n/home/echo2\a{\"a\":1}(j" <nil>
}
