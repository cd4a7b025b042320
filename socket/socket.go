// Package socket turns a net.Conn into a Socket that reads and writes packets.
//
// A [Packet] has a sequence number, a type, a URI, meta data, a body and a
// pipe of transfer filters. How it looks on the wire is decided by a [Proto];
// the default is [FastProto]. What the body looks like is decided by a codec
// of package codec.
//
//	s := socket.NewSocket(conn)
//	err := s.WritePacket(socket.NewPacket(
//		socket.WithPtype(1),
//		socket.WithUri("/a/b"),
//		socket.WithBody(map[string]int{"n": 1}),
//	))
//
// The package knows nothing of sessions, calls or routes: those are in
// package tp, which builds its links on [Conn]. A Socket is usable alone.
//
// Limits: a packet read or written is at most [PacketSizeLimit] bytes (16 MiB
// by default), before its filters and after them, and goes through at most 4
// filters (MaxFilters of package xfer). A packet that claims to be large takes
// memory only as its bytes arrive. [Options] bound the URI and the meta data, and
// name the filters that are allowed.
package socket

import (
	"net"

	"github.com/henrylee2cn/goutil"
)

// Socket is a net.Conn that speaks packets.
//
// Any number of goroutines may write packets; the frames leave whole and in
// the order in which their writers were admitted. One goroutine reads: calls
// of ReadPacket and Read wait for each other. Every Socket must be closed.
//
// After an error of WritePacket other than ErrPack, or of ReadPacket other than
// ErrUndecodable and ErrExceedHeaderLimit, the Socket is of no more use.
type Socket interface {
	net.Conn

	// WritePacket packs the packet and returns when the kernel has all its
	// bytes. A packet that cannot be packed leaves nothing on the wire.
	WritePacket(packet *Packet) error

	// ReadPacket reads the next packet. Its body is decoded into
	// packet.Body(), or into what the packet's NewBodyFunc makes. It returns
	// io.EOF when the other side closed between two packets, and
	// io.ErrUnexpectedEOF when it closed inside one.
	ReadPacket(packet *Packet) error

	// Public returns the map of the user's own values on this Socket.
	Public() goutil.Map

	// PublicLen returns how many values Public holds.
	PublicLen() int

	// Id returns the id; by default it is the remote address.
	Id() string

	// SetId sets the id. It does not touch any SocketHub: see
	// SocketHub.ChangeId.
	SetId(string)
}

// NewSocket returns a Socket on c. Its packet format is the first protoFunc,
// or DefaultProtoFunc(). A TCP conn gets the settings of [SetTCPReadBuffer],
// [SetTCPWriteBuffer], [SetNoDelay] and [SetKeepAlive].
func NewSocket(c net.Conn, protoFunc ...ProtoFunc) Socket {
	return NewConn(c, Options{}, protoFunc...)
}

// GetSocket is NewSocket, by its name of teleport v3, where sockets came
// from a pool. A Socket can be held by anyone, so here none does.
func GetSocket(c net.Conn, protoFunc ...ProtoFunc) Socket {
	return NewSocket(c, protoFunc...)
}
