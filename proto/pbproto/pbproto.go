// Package pbproto is a packet format in protocol buffers: each packet is the message
// Packet of teleport.proto, after its length as a varint, so that a program in any
// language with protocol buffers can talk to a peer. Both sides of a connection must
// use it:
//
//	peer.Dial("127.0.0.1:9090", pbproto.NewProtoFunc())
//
// It carries all that a packet of this library may be, but for URIs and keys of meta data
// that are no UTF-8. The envelope has nothing to do with the codec of the body. The
// meaning of the fields is in doc/pbproto.md.
package pbproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrNotCarried says that a packet is nothing that the format can carry. The errors of
// Pack that are returned wrap it: use errors.Is.
var ErrNotCarried = errors.New("pbproto: the format cannot carry the packet")

// Fields of the messages: see teleport.proto.
const (
	fieldSeq      = 1
	fieldType     = 2
	fieldURI      = 3
	fieldMeta     = 4
	fieldCodec    = 5
	fieldBody     = 6
	fieldError    = 7
	fieldFilters  = 8
	fieldFiltered = 9

	fieldKey   = 1
	fieldValue = 2

	fieldCode    = 1
	fieldMessage = 2
	fieldDetail  = 3
)

// maxLength is how long the length of a packet may be: 32 bits.
const maxLength = 5

// proto packs and unpacks. Its AppendFrame may be called by many goroutines at once,
// Unpack by one.
type proto struct {
	rw   io.ReadWriter
	head [maxLength]byte
}

var _ socket.FrameAppender = new(proto)

// NewProtoFunc returns the ProtoFunc of the format.
func NewProtoFunc() socket.ProtoFunc {
	return func(rw io.ReadWriter) socket.Proto { return &proto{rw: rw} }
}

// Version returns 'p' and "protobuf". The id is not on the wire.
func (b *proto) Version() (byte, string) { return 'p', "protobuf" }

// Pack writes the packet's frame with one Write.
func (b *proto) Pack(p *socket.Packet) error {
	frame, err := b.AppendFrame(nil, p)
	if err != nil {
		return err
	}
	_, err = b.rw.Write(frame)
	return err
}

// AppendFrame appends the packet's frame to dst.
func (*proto) AppendFrame(dst []byte, p *socket.Packet) ([]byte, error) {
	b, at := openLength(dst)
	var err error
	if ids := p.Filters(); len(ids) > 0 {
		b = protowire.AppendTag(b, fieldFilters, protowire.BytesType)
		b = protowire.AppendBytes(b, ids)
		b = protowire.AppendTag(b, fieldFiltered, protowire.BytesType)
		var filteredAt int
		b, filteredAt = openLength(b)
		if b, err = p.AppendFiltered(b, appendPacket); err == nil {
			b = closeLength(b, filteredAt)
		}
	} else {
		b, err = appendPacket(b, p)
	}
	if err != nil {
		return dst, err
	}
	b = closeLength(b, at)
	if err := p.SetSize(uint32(min(len(b)-len(dst), math.MaxUint32))); err != nil {
		return dst, err
	}
	return b, nil
}

// openLength leaves room for the length of what is to follow.
func openLength(b []byte) (room []byte, at int) {
	return append(b, make([]byte, maxLength)...), len(b)
}

// closeLength writes the length of what follows the room at b[at:], which is as long as
// it can be, and moves that up to it.
func closeLength(b []byte, at int) []byte {
	var length [binary.MaxVarintLen64]byte
	content := b[at+maxLength:]
	n := binary.PutUvarint(length[:], uint64(len(content)))
	if n > maxLength {
		return b // 4 GiB and more: refused by its size
	}
	copy(b[at:], length[:n])
	return b[:at+n+copy(b[at+n:], content)]
}

// appendPacket appends the fields of a packet without its filters. What is zero is left
// out.
func appendPacket(b []byte, p *socket.Packet) ([]byte, error) {
	b = appendNumber(b, fieldSeq, p.Seq())
	b = appendNumber(b, fieldType, uint64(p.Ptype()))
	if uri := p.Uri(); uri != "" {
		if !utf8.ValidString(uri) {
			return nil, fmt.Errorf("%w: the URI %.64q is no UTF-8", ErrNotCarried, uri)
		}
		b = protowire.AppendTag(b, fieldURI, protowire.BytesType)
		b = protowire.AppendString(b, uri)
	}
	if p.HasMeta() {
		meta := p.Meta()
		if p.Ptype() == protometa.Reply && protometa.Has(meta) {
			b = appendError(b, protometa.From(meta))
			meta = protometa.Without(meta, protometa.ErrorKey)
		}
		var badKey []byte
		meta.VisitAll(func(key, value []byte) {
			if !utf8.Valid(key) {
				badKey = key
			}
			b = appendPair(b, key, value)
		})
		if badKey != nil {
			return nil, fmt.Errorf("%w: the key %.64q in its meta data is no UTF-8", ErrNotCarried, badKey)
		}
	}
	start := len(b)
	b, at := openLength(protowire.AppendTag(b, fieldBody, protowire.BytesType))
	b, err := p.AppendBody(b)
	if err != nil {
		return nil, err
	}
	if len(b) == at+maxLength {
		b = b[:start]
	} else {
		b = closeLength(b, at)
	}
	// After the body, for AppendBody may have chosen it.
	return appendNumber(b, fieldCodec, uint64(p.BodyCodec())), nil
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendPair(b []byte, key, value []byte) []byte {
	size := sizeOf(fieldKey, len(key)) + sizeOf(fieldValue, len(value))
	b = protowire.AppendTag(b, fieldMeta, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendField(b, fieldKey, key)
	return appendField(b, fieldValue, value)
}

// appendError appends an error, also one of which all is zero.
func appendError(b []byte, e protometa.Error) []byte {
	content := appendNumber(nil, fieldCode, uint64(int64(e.Code)))
	content = appendField(content, fieldMessage, []byte(e.Message))
	content = appendField(content, fieldDetail, []byte(e.Detail))
	b = protowire.AppendTag(b, fieldError, protowire.BytesType)
	return protowire.AppendBytes(b, content)
}

func appendField(b []byte, field protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func sizeOf(field protowire.Number, n int) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}
