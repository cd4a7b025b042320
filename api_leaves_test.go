package tp_test

import (
	"io"
	"net"
	"time"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
	"github.com/henrylee2cn/teleport/xfer"
)

// The exported names of the packages socket, codec, xfer and utils of teleport
// v3 of December 2017: see api_test.go.

// Functions of package socket.
var (
	_ func() socket.ProtoFunc                           = socket.DefaultProtoFunc
	_ func() codec.Codec                                = socket.GetDefaultBodyCodec
	_ func(...socket.PacketSetting) *socket.Packet      = socket.GetPacket
	_ func(net.Conn, ...socket.ProtoFunc) socket.Socket = socket.GetSocket
	_ func(...socket.PacketSetting) *socket.Packet      = socket.NewPacket
	_ func(net.Conn, ...socket.ProtoFunc) socket.Socket = socket.NewSocket
	_ func() *socket.SocketHub                          = socket.NewSocketHub
	_ func() uint32                                     = socket.PacketSizeLimit
	_ func(*socket.Packet)                              = socket.PutPacket
	_ func(byte)                                        = socket.SetDefaultBodyCodec
	_ func(socket.ProtoFunc)                            = socket.SetDefaultProtoFunc
	_ func(uint32)                                      = socket.SetPacketSizeLimit
	_ func(int)                                         = socket.SetTCPReadBuffer
	_ func(int)                                         = socket.SetTCPWriteBuffer
	_ func(interface{}) socket.PacketSetting            = socket.WithBody
	_ func(byte) socket.PacketSetting                   = socket.WithBodyCodec
	_ func(*utils.Args) socket.PacketSetting            = socket.WithMeta
	_ func(socket.NewBodyFunc) socket.PacketSetting     = socket.WithNewBody
	_ func(byte) socket.PacketSetting                   = socket.WithPtype
	_ func(uint64) socket.PacketSetting                 = socket.WithSeq
	_ func(string) socket.PacketSetting                 = socket.WithUri
	_ func(...byte) socket.PacketSetting                = socket.WithXferPipe
)

// Methods of package socket.
var (
	_ func(*socket.FastProto, *socket.Packet) error         = (*socket.FastProto).Pack
	_ func(*socket.FastProto, *socket.Packet) error         = (*socket.FastProto).Unpack
	_ func(*socket.FastProto) (byte, string)                = (*socket.FastProto).Version
	_ func(*socket.Packet, *socket.Packet)                  = (*socket.Packet).AppendXferPipeFrom
	_ func(*socket.Packet) interface{}                      = (*socket.Packet).Body
	_ func(*socket.Packet) byte                             = (*socket.Packet).BodyCodec
	_ func(*socket.Packet) ([]byte, error)                  = (*socket.Packet).MarshalBody
	_ func(*socket.Packet) *utils.Args                      = (*socket.Packet).Meta
	_ func(*socket.Packet) byte                             = (*socket.Packet).Ptype
	_ func(*socket.Packet, ...socket.PacketSetting)         = (*socket.Packet).Reset
	_ func(*socket.Packet) uint64                           = (*socket.Packet).Seq
	_ func(*socket.Packet, interface{})                     = (*socket.Packet).SetBody
	_ func(*socket.Packet, byte)                            = (*socket.Packet).SetBodyCodec
	_ func(*socket.Packet, *utils.Args)                     = (*socket.Packet).SetMeta
	_ func(*socket.Packet, socket.NewBodyFunc)              = (*socket.Packet).SetNewBody
	_ func(*socket.Packet, byte)                            = (*socket.Packet).SetPtype
	_ func(*socket.Packet, uint64)                          = (*socket.Packet).SetSeq
	_ func(*socket.Packet, uint32) error                    = (*socket.Packet).SetSize
	_ func(*socket.Packet, string)                          = (*socket.Packet).SetUri
	_ func(*socket.Packet) uint32                           = (*socket.Packet).Size
	_ func(*socket.Packet) string                           = (*socket.Packet).String
	_ func(*socket.Packet, []byte) error                    = (*socket.Packet).UnmarshalBody
	_ func(*socket.Packet, []byte) error                    = (*socket.Packet).UnmarshalNewBody
	_ func(*socket.Packet) string                           = (*socket.Packet).Uri
	_ func(*socket.Packet) *xfer.XferPipe                   = (*socket.Packet).XferPipe
	_ func(*socket.SocketHub, string, socket.Socket)        = (*socket.SocketHub).ChangeId
	_ func(*socket.SocketHub, string)                       = (*socket.SocketHub).Delete
	_ func(*socket.SocketHub, string) (socket.Socket, bool) = (*socket.SocketHub).Get
	_ func(*socket.SocketHub) int                           = (*socket.SocketHub).Len
	_ func(*socket.SocketHub) (socket.Socket, bool)         = (*socket.SocketHub).Random
	_ func(*socket.SocketHub, func(socket.Socket) bool)     = (*socket.SocketHub).Range
	_ func(*socket.SocketHub, socket.Socket)                = (*socket.SocketHub).Set
)

// Interfaces of package socket.
var (
	_ interface {
		Seq() uint64
		SetSeq(uint64)
		Ptype() byte
		SetPtype(byte)
		Uri() string
		SetUri(string)
		Meta() *utils.Args
		SetMeta(*utils.Args)
	} = socket.Header(nil)

	_ socket.Header = interface {
		Seq() uint64
		SetSeq(uint64)
		Ptype() byte
		SetPtype(byte)
		Uri() string
		SetUri(string)
		Meta() *utils.Args
		SetMeta(*utils.Args)
	}(nil)

	_ interface {
		Version() (byte, string)
		Pack(*socket.Packet) error
		Unpack(*socket.Packet) error
	} = socket.Proto(nil)

	_ socket.Proto = interface {
		Version() (byte, string)
		Pack(*socket.Packet) error
		Unpack(*socket.Packet) error
	}(nil)

	_ interface {
		LocalAddr() net.Addr
		RemoteAddr() net.Addr
		SetDeadline(time.Time) error
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
		WritePacket(*socket.Packet) error
		ReadPacket(*socket.Packet) error
		Read([]byte) (int, error)
		Write([]byte) (int, error)
		Close() error
		Public() goutil.Map
		PublicLen() int
		Id() string
		SetId(string)
	} = socket.Socket(nil)
)

// Types of package socket.
var (
	_ socket.Packet
	_ socket.FastProto
	_ socket.SocketHub
	_ func(*socket.Packet)             = socket.PacketSetting(nil)
	_ func(io.ReadWriter) socket.Proto = socket.ProtoFunc(nil)
	_ socket.Proto                     = (*socket.FastProto)(nil)
	_ socket.Header                    = (*socket.Packet)(nil)
	_ socket.Body                      = (*socket.Packet)(nil)
)

// Differs: it took a Header. The manual of 2017 has it as it is here.
var _ func(seq uint64, ptype byte, uri string) interface{} = socket.NewBodyFunc(nil)

// Differs: UnmarshalBody had no result here, so that *Packet was no Body.
var _ interface {
	BodyCodec() byte
	SetBodyCodec(bodyCodec byte)
	Body() interface{}
	SetBody(body interface{})
	SetNewBody(newBodyFunc socket.NewBodyFunc)
	MarshalBody() ([]byte, error)
	UnmarshalNewBody(bodyBytes []byte) error
	UnmarshalBody(bodyBytes []byte) error
} = socket.Body(nil)

// Variables of package socket.
var (
	_ error = socket.ErrExceedPacketSizeLimit
	_ error = socket.ErrProactivelyCloseSocket
	_ error = socket.ErrProtoUnmatch
)

// Functions of package codec.
var (
	_ func(byte) (codec.Codec, error)   = codec.Get
	_ func(string) (codec.Codec, error) = codec.GetByName
	_ func(interface{}) ([]byte, error) = codec.ProtoMarshal
	_ func([]byte, interface{}) error   = codec.ProtoUnmarshal
	_ func(codec.Codec)                 = codec.Reg
)

// Methods of package codec.
var (
	_ func(codec.JsonCodec) byte                           = codec.JsonCodec.Id
	_ func(codec.JsonCodec, interface{}) ([]byte, error)   = codec.JsonCodec.Marshal
	_ func(codec.JsonCodec) string                         = codec.JsonCodec.Name
	_ func(codec.JsonCodec, []byte, interface{}) error     = codec.JsonCodec.Unmarshal
	_ func(codec.ProtoCodec) byte                          = codec.ProtoCodec.Id
	_ func(codec.ProtoCodec, interface{}) ([]byte, error)  = codec.ProtoCodec.Marshal
	_ func(codec.ProtoCodec) string                        = codec.ProtoCodec.Name
	_ func(codec.ProtoCodec, []byte, interface{}) error    = codec.ProtoCodec.Unmarshal
	_ func(codec.StringCodec) byte                         = codec.StringCodec.Id
	_ func(codec.StringCodec, interface{}) ([]byte, error) = codec.StringCodec.Marshal
	_ func(codec.StringCodec) string                       = codec.StringCodec.Name
	_ func(codec.StringCodec, []byte, interface{}) error   = codec.StringCodec.Unmarshal
)

// Interfaces of package codec.
var (
	_ interface {
		Id() byte
		Name() string
		Marshal(interface{}) ([]byte, error)
		Unmarshal([]byte, interface{}) error
	} = codec.Codec(nil)

	_ codec.Codec = interface {
		Id() byte
		Name() string
		Marshal(interface{}) ([]byte, error)
		Unmarshal([]byte, interface{}) error
	}(nil)
)

// Types and constants of package codec.
var (
	_ = codec.JsonCodec{}
	_ = codec.ProtoCodec{}
	_ = codec.StringCodec{}
	_ = map[byte]bool{codec.ID_JSON: true, codec.ID_PROTOBUF: true, codec.ID_STRING: true, codec.NilCodecId: true}
	_ = map[string]bool{codec.NAME_JSON: true, codec.NAME_PROTOBUF: true, codec.NAME_STRING: true, codec.NilCodecName: true}
	_ = codec.Empty
)

// Functions of package xfer.
var (
	_ func(byte) (xfer.XferFilter, error) = xfer.Get
	_ func(xfer.XferFilter)               = xfer.Reg
)

// Methods of package xfer.
var (
	_ func(*xfer.Gzip) byte                                            = (*xfer.Gzip).Id
	_ func(*xfer.Gzip, []byte) ([]byte, error)                         = (*xfer.Gzip).OnPack
	_ func(*xfer.Gzip, []byte) ([]byte, error)                         = (*xfer.Gzip).OnUnpack
	_ func(*xfer.XferPipe, ...byte) error                              = (*xfer.XferPipe).Append
	_ func(*xfer.XferPipe, *xfer.XferPipe)                             = (*xfer.XferPipe).AppendFrom
	_ func(*xfer.XferPipe) []byte                                      = (*xfer.XferPipe).Ids
	_ func(*xfer.XferPipe) int                                         = (*xfer.XferPipe).Len
	_ func(*xfer.XferPipe, []byte) ([]byte, error)                     = (*xfer.XferPipe).OnPack
	_ func(*xfer.XferPipe, []byte) ([]byte, error)                     = (*xfer.XferPipe).OnUnpack
	_ func(*xfer.XferPipe, func(idx int, filter xfer.XferFilter) bool) = (*xfer.XferPipe).Range
	_ func(*xfer.XferPipe)                                             = (*xfer.XferPipe).Reset
)

// Interfaces of package xfer.
var (
	_ interface {
		Id() byte
		OnPack([]byte) ([]byte, error)
		OnUnpack([]byte) ([]byte, error)
	} = xfer.XferFilter(nil)

	_ xfer.XferFilter = interface {
		Id() byte
		OnPack([]byte) ([]byte, error)
		OnUnpack([]byte) ([]byte, error)
	}(nil)
)

// Types and variables of package xfer.
var (
	_ xfer.XferPipe
	_ xfer.XferFilter = (*xfer.Gzip)(nil)
	_ error           = xfer.ErrXferPipeTooLong
)

// Functions of package utils.
var (
	_ func() *utils.Args = utils.AcquireArgs
	_ func(*utils.Args)  = utils.ReleaseArgs
)

// Methods of package utils.
var (
	_ func(*utils.Args, string, string)           = (*utils.Args).Add
	_ func(*utils.Args, []byte, string)           = (*utils.Args).AddBytesK
	_ func(*utils.Args, []byte, []byte)           = (*utils.Args).AddBytesKV
	_ func(*utils.Args, string, []byte)           = (*utils.Args).AddBytesV
	_ func(*utils.Args, []byte) []byte            = (*utils.Args).AppendBytes
	_ func(*utils.Args, *utils.Args)              = (*utils.Args).CopyTo
	_ func(*utils.Args, string)                   = (*utils.Args).Del
	_ func(*utils.Args, []byte)                   = (*utils.Args).DelBytes
	_ func(*utils.Args, string) bool              = (*utils.Args).GetBool
	_ func(*utils.Args, string) (float64, error)  = (*utils.Args).GetUfloat
	_ func(*utils.Args, string) float64           = (*utils.Args).GetUfloatOrZero
	_ func(*utils.Args, string) (int, error)      = (*utils.Args).GetUint
	_ func(*utils.Args, string) int               = (*utils.Args).GetUintOrZero
	_ func(*utils.Args, string) bool              = (*utils.Args).Has
	_ func(*utils.Args, []byte) bool              = (*utils.Args).HasBytes
	_ func(*utils.Args) int                       = (*utils.Args).Len
	_ func(*utils.Args, string)                   = (*utils.Args).Parse
	_ func(*utils.Args, []byte)                   = (*utils.Args).ParseBytes
	_ func(*utils.Args, string) []byte            = (*utils.Args).Peek
	_ func(*utils.Args, []byte) []byte            = (*utils.Args).PeekBytes
	_ func(*utils.Args, string) [][]byte          = (*utils.Args).PeekMulti
	_ func(*utils.Args, []byte) [][]byte          = (*utils.Args).PeekMultiBytes
	_ func(*utils.Args) []byte                    = (*utils.Args).QueryString
	_ func(*utils.Args)                           = (*utils.Args).Reset
	_ func(*utils.Args, string, string)           = (*utils.Args).Set
	_ func(*utils.Args, []byte, string)           = (*utils.Args).SetBytesK
	_ func(*utils.Args, []byte, []byte)           = (*utils.Args).SetBytesKV
	_ func(*utils.Args, string, []byte)           = (*utils.Args).SetBytesV
	_ func(*utils.Args, string, int)              = (*utils.Args).SetUint
	_ func(*utils.Args, []byte, int)              = (*utils.Args).SetUintBytes
	_ func(*utils.Args) string                    = (*utils.Args).String
	_ func(*utils.Args, func(key, value []byte))  = (*utils.Args).VisitAll
	_ func(*utils.Args, io.Writer) (int64, error) = (*utils.Args).WriteTo
)

// Types and variables of package utils.
var (
	_ utils.Args
	_ error = utils.ErrNoArgValue
)
