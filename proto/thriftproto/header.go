package thriftproto

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

// THeader, doc/specs/HeaderFormat.md of Apache Thrift. After the length of the frame
// comes:
//
//	uint16  0x0fff
//	uint16  flags
//	int32   sequence number
//	uint16  length of what follows up to the message, in words of 4 bytes
//	varint  protocol of the message: 0 is binary
//	varint  number of transforms, then a varint for each
//	varint  1 for key-value pairs, then their number as a varint, and for each of the two
//	        strings its length as a varint and its bytes
//	zeros   to fill the last word
const (
	headerMagic    = 0x0fff0000
	protocolBinary = 0
	infoPairs      = 1
	// maxHeader is what a length in words of 4 bytes has room for.
	maxHeader = 4 * math.MaxUint16
)

// Keys of headers that are no meta data. They belong to the format.
const (
	// codecKey says that the body is no struct but in a field, and of which codec, in
	// decimal. In the reply to a peer's pull, whose codec need not be thrift's, too.
	codecKey = "X-Tp-Codec"
	// filtersKey has the ids of the filters that the body went through, in hexadecimal,
	// outermost first.
	filtersKey = "X-Tp-Filters"
	// typeKey has the type of a packet that is no pull, reply or push, in decimal.
	typeKey = "X-Tp-Type"
	// seqKey has a sequence number that takes more than 32 bits, in decimal.
	seqKey = "X-Tp-Seq"
)

// header is what stands before a message but for the meta data.
type header struct {
	hasCodec bool
	codec    byte
	filters  []byte
	hasType  bool
	ptype    byte
	hasSeq   bool
	seq      uint64
}

// appendHeader appends all that is before the message.
func appendHeader(b []byte, p *socket.Packet, wrapped bool) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, headerMagic)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Seq()))
	begin := len(b)
	b = append(b, 0, 0, protocolBinary, 0)
	filters := p.Filters()
	if !wrapped { // an error goes through none
		filters = nil
	}
	pairs := uint64(0)
	for _, has := range []bool{wrapped, len(filters) > 0, hasOwnType(p), p.Seq() > math.MaxUint32} {
		if has {
			pairs++
		}
	}
	if p.HasMeta() {
		pairs += uint64(p.Meta().Len())
	}
	if pairs > 0 {
		b = binary.AppendUvarint(append(b, infoPairs), pairs)
	}
	if wrapped {
		b = appendPair(b, codecKey, strconv.Itoa(int(p.BodyCodec())))
	}
	if len(filters) > 0 {
		b = appendPair(b, filtersKey, hex.EncodeToString(filters))
	}
	if hasOwnType(p) {
		b = appendPair(b, typeKey, strconv.Itoa(int(p.Ptype())))
	}
	if p.Seq() > math.MaxUint32 {
		b = appendPair(b, seqKey, strconv.FormatUint(p.Seq(), 10))
	}
	if p.HasMeta() {
		var reserved string
		p.Meta().VisitAll(func(key, value []byte) {
			if isReserved(string(key)) {
				reserved = string(key)
			}
			b = appendPair(b, key, value)
		})
		if reserved != "" {
			return b, fmt.Errorf("%w: the key %s in its meta data belongs to the format", ErrNotCarried, reserved)
		}
	}
	for (len(b)-begin-2)%4 != 0 {
		b = append(b, 0)
	}
	n := len(b) - begin - 2
	if n > maxHeader {
		return b, fmt.Errorf("%w: %d bytes of headers, of which there may be %d", ErrNotCarried, n, maxHeader)
	}
	binary.BigEndian.PutUint16(b[begin:], uint16(n/4))
	return b, nil
}

// hasOwnType reports whether the type of a packet is none that messages have.
func hasOwnType(p *socket.Packet) bool {
	return p.Ptype() < protometa.Pull || p.Ptype() > protometa.Push
}

func isReserved(key string) bool {
	return key == codecKey || key == filtersKey || key == typeKey || key == seqKey
}

func appendPair[T string | []byte](b []byte, key, value T) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// parseHeader reads what stands before a message, after the magic and the flags, which
// mean nothing, and returns the message. The meta data goes into the packet.
func parseHeader(p *socket.Packet, b []byte) (h header, rest []byte, err error) {
	const fixed = 4 + 2
	if len(b) < fixed {
		return h, nil, noRoomFor("headers", len(b))
	}
	n := 4 * int(binary.BigEndian.Uint16(b[4:]))
	if b = b[fixed:]; n > len(b) {
		return h, nil, noRoomFor("headers", len(b))
	}
	fields := varints{b[:n]}
	protocol, transforms := fields.next(), fields.next()
	switch {
	case fields.b == nil:
		return h, nil, noRoomFor("protocol and the transforms", n)
	case protocol != protocolBinary:
		return h, nil, fmt.Errorf("%w: thrift protocol %d; only %d (binary) is supported", socket.ErrProtoUnmatch, protocol, protocolBinary)
	case transforms != 0:
		return h, nil, fmt.Errorf("%w: a message with %d transforms, such as zlib; none is supported", socket.ErrProtoUnmatch, transforms)
	}
	meta := 0 // the least that its encoding takes
	for len(fields.b) > 0 && fields.next() == infoPairs {
		for range fields.next() {
			key, value := fields.text(), fields.text()
			if fields.b == nil {
				break
			}
			if isReserved(string(key)) {
				if err := h.set(string(key), string(value)); err != nil {
					return h, nil, err
				}
			} else if p.MetaFits(max(meta-1, 0)) { // a pair may be of 2 bytes here, and takes 50 in memory
				p.Meta().AddBytesKV(key, value)
				meta += len(key) + len(value) + 2
			}
		}
		if fields.b == nil {
			return h, nil, noRoomFor("key-value pairs", n)
		}
	}
	return h, b[n:], nil
}

// varints reads numbers and strings. After an error b is nil.
type varints struct{ b []byte }

func (v *varints) next() uint64 {
	n, size := binary.Uvarint(v.b)
	if size <= 0 || n > math.MaxInt32 {
		v.b = nil
		return 0
	}
	v.b = v.b[size:]
	return n
}

func (v *varints) text() []byte {
	n := v.next()
	if v.b == nil || n > uint64(len(v.b)) {
		v.b = nil
		return nil
	}
	text := v.b[:n]
	v.b = v.b[n:]
	return text
}

// set takes a pair of the format.
func (h *header) set(key, value string) (err error) {
	var n uint64
	switch key {
	case codecKey:
		n, err = strconv.ParseUint(value, 10, 8)
		h.hasCodec, h.codec = true, byte(n)
	case filtersKey:
		h.filters, err = hex.DecodeString(value)
	case typeKey:
		n, err = strconv.ParseUint(value, 10, 8)
		h.hasType, h.ptype = true, byte(n)
	case seqKey:
		h.hasSeq = true
		h.seq, err = strconv.ParseUint(value, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%w: the header %s: %w", socket.ErrMalformed, key, err)
	}
	return nil
}

// setFields puts what the headers say into the packet, which has what the message says.
func (h *header) setFields(p *socket.Packet, m message) error {
	if h.hasType {
		if m.kind != kindOneway || protometa.Pull <= h.ptype && h.ptype <= protometa.Push {
			return fmt.Errorf("%w: a message of type %d with the header %s: %d", socket.ErrMalformed, m.kind, typeKey, h.ptype)
		}
		p.SetPtype(h.ptype)
		p.SetUri(m.name)
	}
	if h.hasSeq {
		if uint32(h.seq) != uint32(m.seq) {
			return fmt.Errorf("%w: message %d with the header %s: %d", socket.ErrMalformed, m.seq, seqKey, h.seq)
		}
		p.SetSeq(h.seq)
	}
	if len(h.filters) > 0 && !h.hasCodec {
		return fmt.Errorf("%w: the header %s without %s", socket.ErrMalformed, filtersKey, codecKey)
	}
	return p.SetFilters(h.filters)
}

// unfilter undoes the filters of a body.
func (h *header) unfilter(p *socket.Packet, body []byte) ([]byte, error) {
	if len(h.filters) == 0 {
		return body, nil
	}
	return p.Unfilter(body)
}
