package socket

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/codec"
)

// Proto packs and unpacks packets on the io.ReadWriter that its ProtoFunc
// was given.
type Proto interface {
	// Version returns the protocol's id and name.
	Version() (byte, string)

	// Pack writes the packet. What it writes becomes one frame when it
	// returns nil, and is dropped when it returns an error, so it may write in
	// as many pieces as it likes. One Pack runs at a time.
	//
	// It gets the body with MarshalBody before it writes the codec id, since
	// that may choose the codec, and records the size with SetSize.
	Pack(*Packet) error

	// Unpack reads one packet, no more than one Unpack at a time. It may
	// buffer what it reads. It checks the size with SetSize before it reads
	// or allocates that much, and gives the body to UnmarshalBody or
	// UnmarshalNewBody after it has set everything else.
	//
	// It returns io.EOF only when nothing of a packet was read, and ErrNoMore when
	// by the rules of the protocol nothing more is to be read.
	//
	// If it waits for anything but bytes, the Proto must be an io.Closer too: its
	// Close, which may be called at any time and more than once, is called when the
	// conn was closed, and must make Unpack return.
	Unpack(*Packet) error
}

// FrameAppender is a Proto that builds its frame without an io.Writer. Its
// AppendFrame is used instead of Pack, by many goroutines at once. A Proto that
// embeds one, such as *FastProto, is one too, and must override AppendFrame
// rather than Pack.
type FrameAppender interface {
	Proto
	// AppendFrame appends the packet's frame to dst. When it fails it returns
	// dst as it was.
	AppendFrame(dst []byte, p *Packet) ([]byte, error)
}

// ProtoFunc makes the Proto of one conn.
type ProtoFunc func(io.ReadWriter) Proto

// Errors of a Proto. Those that are returned wrap them: use errors.Is.
var (
	// ErrProtoUnmatch says that the bytes are of another protocol.
	ErrProtoUnmatch = errors.New("socket: the bytes are of another protocol")
	// ErrMalformed says that a frame's lengths or ids contradict each other.
	ErrMalformed = errors.New("socket: malformed frame")
	// ErrNoMore says that this side is to read nothing more, although the other
	// side has not left. A session then sends what it has queued and closes.
	ErrNoMore = errors.New("socket: the protocol ends here")
)

var defaultProtoFunc atomic.Pointer[ProtoFunc]

// DefaultProtoFunc returns the packet format of sockets that are made without
// one: NewFastProto, or what SetDefaultProtoFunc set.
func DefaultProtoFunc() ProtoFunc {
	if f := defaultProtoFunc.Load(); f != nil {
		return *f
	}
	return NewFastProto
}

// SetDefaultProtoFunc sets the packet format of sockets that are made without
// one, for the whole process; nil restores NewFastProto. Sockets that exist
// keep theirs.
func SetDefaultProtoFunc(protoFunc ProtoFunc) {
	if protoFunc == nil {
		defaultProtoFunc.Store(nil)
		return
	}
	defaultProtoFunc.Store(&protoFunc)
}

var defaultBodyCodec atomic.Uint32 // a codec id; 0 is json

// GetDefaultBodyCodec returns the codec of bodies that are written without
// one: json, or what SetDefaultBodyCodec set.
func GetDefaultBodyCodec() codec.Codec {
	if id := byte(defaultBodyCodec.Load()); id != codec.NilCodecId {
		if c, err := codec.Get(id); err == nil {
			return c
		}
	}
	c, err := codec.Get(codec.ID_JSON)
	if err != nil {
		panic(err) // package codec always has it
	}
	return c
}

// SetDefaultBodyCodec sets the codec of bodies that are written without one,
// for the whole process. It panics when no codec has the id.
func SetDefaultBodyCodec(codecId byte) {
	if _, err := codec.Get(codecId); err != nil {
		panic(err)
	}
	defaultBodyCodec.Store(uint32(codecId))
}
