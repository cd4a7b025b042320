package prototest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// benchSizes are those of the bodies.
var benchSizes = []int{64, 581, 64 << 10}

// endless is a conn on which one frame comes again and again.
type endless struct {
	*conn
	frame []byte
	at    int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.at == len(e.frame) {
		e.at = 0
	}
	n := copy(b, e.frame[e.at:])
	e.at += n
	return n, nil
}

func (e *endless) Write(b []byte) (int, error) { return len(b), nil }

// benchPacket returns a pull whose body is JSON, encoded already.
func benchPacket(size int) *socket.Packet {
	body := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), size-2)...), '"')
	return socket.NewPacket(socket.WithSeq(1), socket.WithPtype(1), socket.WithUri("/home/echo?x=1"),
		socket.WithBodyCodec(codec.ID_JSON), socket.WithBody(body), socket.WithAddMeta("X-Trace", "4bf92f3577b34da6"))
}

// BenchPack packs a pull on a Conn that writes to nowhere.
func BenchPack(b *testing.B, protoFunc socket.ProtoFunc) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("body=%d", size), func(b *testing.B) {
			p := benchPacket(size)
			c := socket.NewConn(&endless{conn: newConn(nil)}, socket.Options{}, protoFunc)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := c.WritePacket(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchUnpack reads a pull, whose body it holds as package tp does, from a Conn.
func BenchUnpack(b *testing.B, protoFunc socket.ProtoFunc) { benchUnpack(b, protoFunc, false) }

// BenchUnpackAnswered is BenchUnpack with an empty reply to each.
func BenchUnpackAnswered(b *testing.B, protoFunc socket.ProtoFunc) { benchUnpack(b, protoFunc, true) }

func benchUnpack(b *testing.B, protoFunc socket.ProtoFunc, answered bool) {
	answer := socket.NewPacket(socket.WithPtype(2), socket.WithBody([]byte(nil)))
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("body=%d", size), func(b *testing.B) {
			frame := Pack(b, protoFunc, benchPacket(size))
			c := socket.NewConn(&endless{conn: newConn(nil), frame: frame}, socket.Options{}, protoFunc)
			p := socket.NewPacket()
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				p.Reset()
				p.HoldBody()
				if err := c.ReadPacket(p); err != nil {
					b.Fatal(err)
				}
				if !answered {
					continue
				}
				answer.SetSeq(p.Seq())
				if err := c.WritePacket(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
