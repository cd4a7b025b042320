package codec

import (
	"fmt"

	jsoniter "github.com/json-iterator/go"
	"google.golang.org/protobuf/proto"
)

// Appender is a Codec that can marshal into memory which the caller has, so
// that a body needs none of its own on its way into a packet. A codec that
// embeds one inherits its MarshalAppend, and must override it together with
// Marshal; the codecs of this package have none that could be inherited.
type Appender interface {
	Codec
	// MarshalAppend appends what Marshal(v) returns to dst and returns the
	// extended slice. It must neither change what dst holds nor keep dst, which
	// is pooled memory. After an error the bytes beyond dst are undefined.
	MarshalAppend(dst []byte, v interface{}) ([]byte, error)
}

// MarshalAppend appends what c.Marshal(v) returns to dst. An Appender does that
// without memory of its own, as do the codecs of this package for most values:
// not for messages of protocol buffers with a MarshalVT or of version 1.
func MarshalAppend(c Codec, dst []byte, v interface{}) ([]byte, error) {
	switch c := c.(type) {
	case JsonCodec:
		return appendJSON(dst, v)
	case ProtoCodec:
		if m, ok := v.(proto.Message); ok && !isNil(m) && !marshalsItself(m) {
			return appendProto(dst, m)
		}
	case StringCodec:
		switch s := v.(type) {
		case string:
			return append(dst, s...), nil
		case *string:
			if s != nil {
				return append(dst, *s...), nil
			}
		}
	case Appender:
		return c.MarshalAppend(dst, v)
	}
	data, err := c.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(dst, data...), nil
}

// maxKeptStream is how large the buffer of a stream may be that is used again: one
// for each processor stays as long as there is anything to marshal.
const maxKeptStream = 1 << 20

func appendJSON(dst []byte, v interface{}) ([]byte, error) {
	stream := jsoniter.ConfigCompatibleWithStandardLibrary.BorrowStream(nil)
	defer func() {
		if cap(stream.Buffer()) <= maxKeptStream {
			jsoniter.ConfigCompatibleWithStandardLibrary.ReturnStream(stream)
		}
	}()
	stream.WriteVal(v)
	if stream.Error != nil {
		return dst, fmt.Errorf("codec: json: marshal %T: %w", v, stream.Error)
	}
	return append(dst, stream.Buffer()...), nil
}

func marshalsItself(m proto.Message) bool {
	_, ok := m.(marshalerVT)
	return ok
}

func appendProto(dst []byte, m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		return dst, fmt.Errorf("codec: protobuf: marshal %T: %w", m, err)
	}
	return b, nil
}
