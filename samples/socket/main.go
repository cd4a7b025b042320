// Command socket uses package socket alone: packets on a net.Conn, without
// peers, sessions and routes.
package main

import (
	"fmt"
	"log"
	"net"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// Types of packets are the program's own here. (Package tp has its own.)
const (
	question byte = 1
	answer   byte = 2
)

func main() {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer lis.Close()
	served := make(chan error, 1)
	go func() { served <- serveOne(lis) }()

	if err := ask(lis.Addr().String()); err != nil {
		log.Fatal(err)
	}
	if err := <-served; err != nil {
		log.Fatal(err)
	}
}

func ask(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	s := socket.NewSocket(conn)
	defer s.Close()

	// The meta data is the packet's header for whatever the program likes.
	err = s.WritePacket(socket.NewPacket(
		socket.WithPtype(question),
		socket.WithSeq(7),
		socket.WithUri("/sum"),
		socket.WithAddMeta("trace-id", "abc123"),
		socket.WithXferPipe('g'), // gzip, which package xfer registers
		socket.WithBody([]int{1, 2, 3}),
	))
	if err != nil {
		return err
	}

	var text string
	reply := socket.NewPacket(socket.WithBody(&text)) // the body is decoded into text
	if err := s.ReadPacket(reply); err != nil {
		return err
	}
	fmt.Printf("client: seq=%d trace-id=%s body=%q\n", reply.Seq(), reply.Meta().Peek("trace-id"), text)
	return nil
}

func serveOne(lis net.Listener) error {
	conn, err := lis.Accept()
	if err != nil {
		return err
	}
	s := socket.NewSocket(conn)
	defer s.Close()

	// What the body is decoded into may depend on the header, which has been
	// read by then.
	packet := socket.NewPacket(socket.WithNewBody(func(seq uint64, ptype byte, uri string) interface{} {
		if ptype == question && uri == "/sum" {
			return new([]int)
		}
		return nil // not wanted: it is skipped
	}))
	if err := s.ReadPacket(packet); err != nil {
		return err
	}
	numbers, ok := packet.Body().(*[]int)
	if !ok {
		return fmt.Errorf("unexpected packet: %v", packet)
	}
	traceID := packet.Meta().Peek("trace-id")
	fmt.Printf("server: seq=%d trace-id=%s body=%v\n", packet.Seq(), traceID, *numbers)

	sum := 0
	for _, n := range *numbers {
		sum += n
	}
	return s.WritePacket(socket.NewPacket(
		socket.WithPtype(answer),
		socket.WithSeq(packet.Seq()), // so that the asker knows what this answers
		socket.WithAddMeta("trace-id", string(traceID)),
		socket.WithBodyCodec(codec.ID_STRING),
		socket.WithBody(fmt.Sprintf("the sum is %d", sum)),
	))
}
