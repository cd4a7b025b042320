package tp

import (
	"context"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// The names of package socket that users of this package need most.

// SetReadLimit sets the greatest packet in bytes, read and written, of peers
// without PeerConfig.PacketSizeLimit, for the whole process; 0 restores the
// default of 16 MiB. A session that receives a larger one closes; one that is
// to be sent is an error.
func SetReadLimit(maxPacketSize uint32) { socket.SetPacketSizeLimit(maxPacketSize) }

// GetReadLimit returns what SetReadLimit set.
func GetReadLimit() uint32 { return socket.PacketSizeLimit() }

// SetGlobalBodyCodec sets the codec of pulls and pushes that are sent without
// one, of peers without PeerConfig.DefaultBodyCodec. It panics when no codec
// has the id.
func SetGlobalBodyCodec(codecId byte) { socket.SetDefaultBodyCodec(codecId) }

// SetDefaultProtoFunc sets the packet format of sessions that are made
// without one, for the whole process; nil restores the default one.
func SetDefaultProtoFunc(protoFunc socket.ProtoFunc) { socket.SetDefaultProtoFunc(protoFunc) }

// DefaultProtoFunc returns the packet format of sessions that are made
// without one.
func DefaultProtoFunc() socket.ProtoFunc { return socket.DefaultProtoFunc() }

// SetTCPReadBuffer sets the size in bytes of the kernel's receive buffer of
// TCP connections; 0 leaves it to the kernel.
func SetTCPReadBuffer(bytes int) { socket.SetTCPReadBuffer(bytes) }

// SetTCPWriteBuffer sets the size in bytes of the kernel's send buffer of TCP
// connections; 0 leaves it to the kernel.
func SetTCPWriteBuffer(bytes int) { socket.SetTCPWriteBuffer(bytes) }

// GetPacket returns a packet with the settings: see socket.NewPacket.
func GetPacket(settings ...socket.PacketSetting) *socket.Packet { return socket.GetPacket(settings...) }

// PutPacket empties a packet that the caller needs no more.
func PutPacket(p *socket.Packet) { socket.PutPacket(p) }

// WithContext bounds a pull by ctx, or the wait of a push for room in the
// outgoing queue.
func WithContext(ctx context.Context) socket.PacketSetting { return socket.WithContext(ctx) }

// WithMeta sets the meta data of a pull or push. It is only read.
func WithMeta(meta *utils.Args) socket.PacketSetting { return socket.WithMeta(meta) }

// WithAddMeta adds a value to the meta data of a pull or push.
func WithAddMeta(key, value string) socket.PacketSetting { return socket.WithAddMeta(key, value) }

// WithBodyCodec sets the codec of the body of a pull or push.
func WithBodyCodec(bodyCodec byte) socket.PacketSetting { return socket.WithBodyCodec(bodyCodec) }

// WithXferPipe sends a pull or push through transfer filters, outermost
// first. The reply comes through them too. With one that is not registered it fails
// with CodeBadPacket, and says which import is missing.
func WithXferPipe(filterId ...byte) socket.PacketSetting { return socket.WithXferPipe(filterId...) }

// WithIdempotent says that executing a pull twice does no harm. When its connection
// is lost before the reply came, a session that dials again (PeerConfig.RedialTimes)
// then sends it again, within its deadline.
func WithIdempotent() socket.PacketSetting { return socket.WithIdempotent() }
