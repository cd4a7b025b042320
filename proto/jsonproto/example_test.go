package jsonproto_test

import (
	"bufio"
	"fmt"
	"net"

	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/socket"
)

// What a script writes, and what it reads.
func Example() {
	script, server := net.Pipe()
	go func() {
		s := socket.NewSocket(server, jsonproto.NewProtoFunc())
		defer s.Close()
		var args []int
		p := socket.NewPacket(socket.WithBody(&args))
		if err := s.ReadPacket(p); err != nil {
			fmt.Println(err)
			return
		}
		s.WritePacket(socket.NewPacket(socket.WithPtype(2), socket.WithSeq(p.Seq()),
			socket.WithUri(p.Uri()), socket.WithBody(args[0]+args[1])))
	}()

	fmt.Fprintln(script, `{"uri":"/math/add","body":[1,2]}`)
	line, err := bufio.NewReader(script).ReadString('\n')
	fmt.Print(line, err)
	// Output:
	// {"seq":0,"type":"reply","uri":"/math/add","body":3}
	// <nil>
}
