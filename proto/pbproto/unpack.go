package pbproto

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"google.golang.org/protobuf/encoding/protowire"
)

// Unpack reads one frame.
func (b *proto) Unpack(p *socket.Packet) error {
	length, size, err := b.readLength()
	if err != nil {
		return err
	}
	if err := p.SetSize(uint32(min(length+uint64(size), math.MaxUint32))); err != nil {
		return err
	}
	return p.ReadFrame(b.rw, int(length), parseFrame)
}

// readLength reads the length of a packet, and tells how many bytes that took.
func (b *proto) readLength() (length uint64, size int, err error) {
	for size = range b.head {
		if _, err := io.ReadFull(b.rw, b.head[size:size+1]); err != nil {
			if err == io.EOF && size > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, err
		}
		if b.head[size] < 0x80 {
			length, _ = binary.Uvarint(b.head[:size+1])
			return length, size + 1, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: the length of a packet has more than %d bytes", socket.ErrMalformed, maxLength)
}

// parseFrame fills the packet but for its body, which it returns. Fields may come in any
// order; as in all protocol buffers, those that are not known or of another kind are
// skipped, and of one that comes twice the last counts.
func parseFrame(p *socket.Packet, b []byte) (body []byte, err error) {
	body, filters, filtered, err := parsePacket(p, b)
	if err != nil || len(filters) == 0 {
		return body, err
	}
	if err := p.SetFilters(filters); err != nil {
		return nil, err
	}
	plain, err := p.Unfilter(filtered)
	if err != nil {
		return nil, err
	}
	clearFields(p)
	body, filters, _, err = parsePacket(p, plain)
	if err == nil && len(filters) > 0 {
		err = fmt.Errorf("%w: filters within filters", socket.ErrMalformed)
	}
	return body, err
}

// clearFields drops what stood beside the filters.
func clearFields(p *socket.Packet) {
	p.SetSeq(0)
	p.SetPtype(0)
	p.SetUri("")
	p.SetMeta(nil)
	p.SetBodyCodec(0)
}

func parsePacket(p *socket.Packet, b []byte) (body, filters, filtered []byte, err error) {
	var rerr *protometa.Error
	meta := 0 // the least that its encoding takes
	err = eachField(b, func(field protowire.Number, n uint64, value []byte) error {
		switch field {
		case fieldSeq:
			p.SetSeq(n)
		case fieldType:
			if n > math.MaxUint8 {
				return fmt.Errorf("%w: a packet of type %d", socket.ErrMalformed, n)
			}
			p.SetPtype(byte(n))
		case fieldCodec:
			if n > math.MaxUint8 {
				return fmt.Errorf("%w: codec %d", socket.ErrMalformed, n)
			}
			p.SetBodyCodec(byte(n))
		case fieldURI:
			if !utf8.Valid(value) {
				return fmt.Errorf("%w: a URI that is no UTF-8", socket.ErrMalformed)
			}
			p.SetUri(string(value))
		case fieldMeta:
			if !p.MetaFits(max(meta-1, 0)) { // a pair may be of 2 bytes here, and takes 50 in memory
				return nil
			}
			n, err := parsePair(p, value)
			meta += n
			return err
		case fieldBody:
			body = value
		case fieldError:
			if rerr == nil {
				rerr = new(protometa.Error)
			}
			return parseError(rerr, value)
		case fieldFilters:
			filters = value
		case fieldFiltered:
			filtered = value
		}
		return nil
	}, 1<<fieldSeq|1<<fieldType|1<<fieldCodec)
	if rerr != nil {
		rerr.SetTo(p.Meta())
	}
	return body, filters, filtered, err
}

// parsePair adds a pair to the meta data, and returns how much it adds at least to the
// encoding of that.
func parsePair(p *socket.Packet, b []byte) (n int, err error) {
	var key, value []byte
	err = eachField(b, func(field protowire.Number, _ uint64, content []byte) error {
		switch field {
		case fieldKey:
			key = content
		case fieldValue:
			value = content
		}
		return nil
	}, 0)
	if err == nil && !utf8.Valid(key) {
		err = fmt.Errorf("%w: a key in the meta data that is no UTF-8", socket.ErrMalformed)
	}
	if err != nil {
		return 0, err
	}
	p.Meta().AddBytesKV(key, value)
	return len(key) + len(value) + 2, nil
}

func parseError(e *protometa.Error, b []byte) error {
	return eachField(b, func(field protowire.Number, n uint64, content []byte) error {
		switch field {
		case fieldCode:
			e.Code = int32(n)
		case fieldMessage:
			e.Message = string(content)
		case fieldDetail:
			e.Detail = string(content)
		}
		return nil
	}, 1<<fieldCode)
}

// eachField calls f for each field of a message whose kind is right: those that are in
// the set of numbers are varints, all others bytes.
func eachField(b []byte, f func(field protowire.Number, n uint64, value []byte) error, numbers uint) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		isNumber := field < 32 && numbers&(1<<field) != 0
		var number uint64
		var value []byte
		switch {
		case isNumber && kind == protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case !isNumber && kind == protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
			field = 0
		}
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		if field == 0 {
			continue
		}
		if err := f(field, number, value); err != nil {
			return err
		}
	}
	return nil
}

func malformed(n int) error {
	return fmt.Errorf("%w: %w", socket.ErrMalformed, protowire.ParseError(n))
}
