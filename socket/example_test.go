package socket_test

import (
	"fmt"
	"net"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

func ExampleNewSocket() {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() { // answers one packet
		defer close(done)
		s := socket.NewSocket(server)
		defer s.Close()
		var args map[string]int
		in := socket.NewPacket(socket.WithBody(&args))
		if err := s.ReadPacket(in); err != nil {
			fmt.Println(err)
			return
		}
		s.WritePacket(socket.NewPacket(
			socket.WithSeq(in.Seq()), socket.WithPtype(2), socket.WithUri(in.Uri()),
			socket.WithBody(args["a"]+args["b"]),
		))
	}()

	s := socket.NewSocket(client)
	defer s.Close()
	err := s.WritePacket(socket.NewPacket(
		socket.WithSeq(1), socket.WithPtype(1), socket.WithUri("/math/add"),
		socket.WithBody(map[string]int{"a": 3, "b": 4}),
	))
	fmt.Println(err)

	var sum int
	reply := socket.NewPacket(socket.WithBody(&sum))
	fmt.Println(s.ReadPacket(reply), sum)
	fmt.Println(reply)
	<-done
	// Output:
	// <nil>
	// <nil> 7
	// {"seq":1,"ptype":2,"uri":"/math/add","meta":"","body_codec":106,"body":7,"size":34}
}

func ExampleNewPacket() {
	meta := new(utils.Args)
	meta.Set("tenant", "blue")
	p := socket.NewPacket(
		socket.WithPtype(3),
		socket.WithUri("/chat/say?room=7"),
		socket.WithMeta(meta),
		socket.WithAddMeta("lang", "en"), // added to a copy
		socket.WithXferPipe('g'),         // compressed on the wire
		socket.WithBody("hello"),
	)
	fmt.Println(p.Ptype(), p.Uri(), p.Meta(), p.Body())
	fmt.Println(meta)
	// Output:
	// 3 /chat/say?room=7 tenant=blue&lang=en hello
	// tenant=blue
}

func ExampleSocketHub() {
	hub := socket.NewSocketHub()
	conn, other := net.Pipe()
	defer other.Close()
	s := socket.NewSocket(conn)
	defer s.Close()
	s.SetId("guest-1")
	hub.Set(s)

	hub.ChangeId("alice", s) // after a login, say
	_, guest := hub.Get("guest-1")
	_, alice := hub.Get("alice")
	fmt.Println(guest, alice, s.Id(), hub.Len())

	hub.Delete(s.Id())
	fmt.Println(hub.Len())
	// Output:
	// false true alice 1
	// 0
}
