package httproto_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"

	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/socket"
)

// A request is a pull. What curl -d says of its body is not taken at its word.
func Example() {
	client, server := net.Pipe()
	go func() {
		s := socket.NewSocket(server, httproto.NewProtoFunc())
		defer s.Close()
		var args []int
		p := socket.NewPacket(socket.WithBody(&args))
		if err := s.ReadPacket(p); err != nil {
			fmt.Println(err)
			return
		}
		s.WritePacket(socket.NewPacket(socket.WithPtype(2), socket.WithSeq(p.Seq()),
			socket.WithBodyCodec(p.BodyCodec()), socket.WithBody(args[0]+args[1])))
	}()

	fmt.Fprint(client, "POST /math/add HTTP/1.1\r\nHost: h\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\n[1,2]")
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var sum int
	fmt.Fscan(resp.Body, &sum)
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"), sum)
	// Output:
	// 200 OK application/json 3
}
