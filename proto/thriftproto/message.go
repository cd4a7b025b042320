package thriftproto

import (
	"encoding/binary"
	"fmt"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

// The binary protocol of Apache Thrift, doc/specs/thrift-binary-protocol.md of its
// repository. A message is, all integers big-endian:
//
//	uint32  0x80010000 | type
//	uint32  length, then the name
//	int32   sequence number
//	struct  of the arguments, the result or the exception
const (
	versionMask = 0xffff0000
	version1    = 0x80010000
	// maxFrame is the largest frame that thrift knows, without its length.
	maxFrame = 0x3fffffff
)

// Types of messages.
const (
	kindCall      = 1
	kindReply     = 2
	kindException = 3
	kindOneway    = 4
)

// message is the beginning of one.
type message struct {
	kind byte
	name string
	seq  int32
}

// readMessage reads a message that begins with word, up to its struct.
func readMessage(from source, word uint32) (m message, err error) {
	length, err := from.take(4)
	if err != nil {
		return m, err
	}
	name, err := from.take(int64(binary.BigEndian.Uint32(length)))
	if err != nil {
		return m, err
	}
	m.kind, m.name = byte(word), string(name)
	if word&^versionMask > 0xff {
		return m, fmt.Errorf("%w: a message that begins with %#08x", socket.ErrMalformed, word)
	}
	seq, err := from.take(4)
	if err != nil {
		return m, err
	}
	m.seq = int32(binary.BigEndian.Uint32(seq))
	return m, nil
}

// appendMessage appends the packet's message, and its headers before it if there are any.
func (t *proto) appendMessage(b []byte, p *socket.Packet, transport Transport) ([]byte, error) {
	kind := byte(kindOneway) // also of the types above 3, of which a header tells
	failed := false
	switch p.Ptype() {
	case protometa.Pull:
		kind = kindCall
		t.noteSeq(p.Seq())
	case protometa.Reply:
		kind = kindReply
		if failed = p.HasMeta() && protometa.Has(p.Meta()); failed {
			kind = kindException
		}
	}
	content, err := encodeBody(p, failed, transport)
	if err != nil {
		return b, err
	}
	defer content.free()
	if transport == Header {
		if b, err = appendHeader(b, p, content.wrapped); err != nil {
			return b, err
		}
	} else if err := carriesPlain(p, content); err != nil {
		return b, err
	}
	name := t.name(p)
	b = binary.BigEndian.AppendUint32(b, version1|uint32(kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Seq()))
	switch {
	case failed:
		return appendException(b, p, content), nil
	case content.wrapped:
		b = appendBinary(b, bodyField(kind), content.b)
		return append(b, typeStop), nil
	case len(content.b) == 0:
		return append(b, typeStop), nil
	}
	return append(b, content.b...), nil
}

// carriesPlain returns why a packet cannot do without headers, or nil.
func carriesPlain(p *socket.Packet, content content) error {
	switch {
	case p.Ptype() < protometa.Pull || p.Ptype() > protometa.Push:
		return fmt.Errorf("%w: without headers none of type %d", ErrNotCarried, p.Ptype())
	case len(p.Filters()) > 0:
		return fmt.Errorf("%w: without headers none with filters", ErrNotCarried)
	case content.wrapped:
		return fmt.Errorf("%w: without headers no body of codec %d, but of %d (%s)", ErrNotCarried, p.BodyCodec(), CodecID, CodecName)
	}
	return nil
}
