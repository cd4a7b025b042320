package thriftproto

import (
	"encoding/binary"
	"fmt"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/valyala/bytebufferpool"
)

// content is what a packet has as its body.
type content struct {
	b []byte
	// wrapped says that b is no struct, but goes into a field of one, and that a header
	// tells its codec.
	wrapped bool
	pooled  *bytebufferpool.ByteBuffer // of which b is a part, or nil
}

func (c content) free() {
	if c.pooled != nil {
		bytebufferpool.Put(c.pooled)
	}
}

// bodyField returns the field of a struct that a wrapped body is in: the first
// argument, or the result.
func bodyField(kind byte) int16 {
	if kind == kindReply {
		return 0
	}
	return 1
}

// encodeBody encodes the body of a packet. One of the codec thrift is the struct of the
// message, if there are headers to tell what is not; so is an empty one if there
// are none. The error of a reply takes its place, unless there is a body too.
func encodeBody(p *socket.Packet, failed bool, transport Transport) (c content, err error) {
	if failed && (p.Body() == nil || transport != Header) {
		return c, nil
	}
	c.pooled = bytebufferpool.Get()
	b, err := p.AppendFiltered(c.pooled.B[:0], appendBody)
	if err != nil {
		c.free()
		return content{}, err
	}
	c.pooled.B, c.b = b, b
	c.wrapped = p.BodyCodec() != CodecID || len(p.Filters()) > 0 || failed
	if len(b) == 0 && transport != Header {
		c.wrapped = false
	}
	if !c.wrapped && len(b) > 0 {
		err = checkEncoded(p, b)
	}
	if err != nil {
		c.free()
		return content{}, err
	}
	return c, nil
}

func appendBody(b []byte, p *socket.Packet) ([]byte, error) { return p.AppendBody(b) }

// checkEncoded returns why what a user has encoded is no struct, or nil: the other side
// could not tell where it ends.
func checkEncoded(p *socket.Packet, b []byte) error {
	switch p.Body().(type) {
	case []byte, *[]byte:
	default:
		return nil // the codec has made it
	}
	if err := checkStruct(b); err != nil {
		return fmt.Errorf("%w: its body is no struct of thrift: %v", ErrNotCarried, err)
	}
	return nil
}

// checkStruct returns why b is not exactly one struct, or nil.
func checkStruct(b []byte) error {
	from := &cursor{b}
	err := skip(from, typeStruct, 0)
	if err == nil && len(from.b) > 0 {
		err = fmt.Errorf("%d bytes come after it", len(from.b))
	}
	return err
}

// parseBody returns the body of a message without an error.
func parseBody(p *socket.Packet, h *header, b []byte, field int16) ([]byte, error) {
	if !h.hasCodec {
		p.SetBodyCodec(CodecID)
		if len(b) == 1 && b[0] == typeStop { // a body of no bytes is that too
			return nil, nil
		}
		return b, nil
	}
	p.SetBodyCodec(h.codec)
	var body []byte
	err := eachField(b, func(id int16, kind byte, value []byte) {
		if id == field && kind == typeString {
			body = value[4:]
		}
	})
	if err != nil {
		return nil, err
	}
	return h.unfilter(p, body)
}

// eachField calls f for each field of a struct, which must be all of b.
func eachField(b []byte, f func(id int16, kind byte, value []byte)) error {
	from := &cursor{b}
	for {
		kind, err := from.take(1)
		if err != nil {
			return err
		}
		if kind[0] == typeStop {
			break
		}
		id, err := from.take(2)
		if err != nil {
			return err
		}
		begin := from.b
		if err := skip(from, kind[0], 1); err != nil {
			return err
		}
		f(int16(binary.BigEndian.Uint16(id)), kind[0], begin[:len(begin)-len(from.b)])
	}
	if len(from.b) > 0 {
		return fmt.Errorf("%w: %d bytes after a struct", socket.ErrMalformed, len(from.b))
	}
	return nil
}

// appendBinary appends a field of bytes.
func appendBinary(b []byte, id int16, value []byte) []byte {
	b = append(b, typeString, byte(id>>8), byte(id))
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// Fields of the struct of an exception: the first two are of TApplicationException.
const (
	exceptionMessage = 1
	exceptionType    = 2
	exceptionBody    = 3 // of a reply that has a body too; only with headers
)

// appendException appends the struct of an error.
func appendException(b []byte, p *socket.Packet, body content) []byte {
	e := protometa.From(p.Meta())
	text := e.Message
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	b = appendBinary(b, exceptionMessage, []byte(text))
	b = append(b, typeI32, 0, exceptionType)
	b = binary.BigEndian.AppendUint32(b, uint32(typeOf(e.Code)))
	if body.wrapped {
		b = appendBinary(b, exceptionBody, body.b)
	}
	return append(b, typeStop)
}

// parseException puts the error of a reply into its meta data, unless a header has it
// there, and returns the body.
func parseException(p *socket.Packet, h *header, b []byte) (body []byte, err error) {
	var e protometa.Error
	err = eachField(b, func(id int16, kind byte, value []byte) {
		switch {
		case id == exceptionMessage && kind == typeString:
			e.Message = string(value[4:])
		case id == exceptionType && kind == typeI32:
			e.Code = int32(binary.BigEndian.Uint32(value))
		case id == exceptionBody && kind == typeString:
			body = value[4:]
		}
	})
	if err != nil {
		return nil, err
	}
	if !p.HasMeta() || !protometa.Has(p.Meta()) {
		e.Code = codeOf(e.Code)
		e.SetTo(p.Meta())
	}
	if !h.hasCodec {
		return nil, nil
	}
	p.SetBodyCodec(h.codec)
	return h.unfilter(p, body)
}

// Types of TApplicationException, and codes of package tp.
const (
	unknownMethod = 1
	internalError = 6
	protocolError = 7
	lastType      = 10 // UNSUPPORTED_CLIENT_TYPE
	invalidFirst  = 8  // INVALID_TRANSFORM and INVALID_PROTOCOL
	invalidLast   = 9

	codeBadPacket     = 400
	codeNotFound      = 404
	codeInternalError = 500
)

// typeOf returns the type of an exception for a code. Codes that thrift knows nothing
// of stay what they are.
func typeOf(code int32) int32 {
	switch code {
	case codeNotFound:
		return unknownMethod
	case codeInternalError:
		return internalError
	case codeBadPacket:
		return protocolError
	}
	return code
}

// codeOf returns the code for the type of an exception.
func codeOf(kind int32) int32 {
	switch {
	case kind == unknownMethod:
		return codeNotFound
	case kind == protocolError || invalidFirst <= kind && kind <= invalidLast:
		return codeBadPacket
	case 0 <= kind && kind <= lastType:
		return codeInternalError
	}
	return kind
}
