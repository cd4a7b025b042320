package codec

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// NAME_PROTOBUF is the name of the protocol buffers codec.
	NAME_PROTOBUF = "protobuf"
	// ID_PROTOBUF is the id of the protocol buffers codec.
	ID_PROTOBUF = 'p'
)

// Empty is the message without fields. The protobuf codec writes it, which
// takes no bytes, for nil and for struct{}. It is shared: do not change it.
// Unmarshaling into it drops the data.
var Empty = &emptypb.Empty{}

// ProtoCodec is the codec for protocol buffers. ProtoMarshal and
// ProtoUnmarshal say which types it takes. It has no state.
type ProtoCodec struct{}

var (
	_ Codec  = ProtoCodec{}
	_ Copier = ProtoCodec{}
)

// marshalerVT and unmarshalerVT are what the vtprotobuf generator adds to a
// message: code without reflection.
type marshalerVT interface {
	MarshalVT() ([]byte, error)
}

type unmarshalerVT interface {
	UnmarshalVT(data []byte) error
}

// Id returns ID_PROTOBUF.
func (ProtoCodec) Id() byte { return ID_PROTOBUF }

// Name returns NAME_PROTOBUF.
func (ProtoCodec) Name() string { return NAME_PROTOBUF }

// CopiesData returns true. A message with an UnmarshalVT, or with an Unmarshal
// of its own, must copy what it keeps, as all generated ones do.
func (ProtoCodec) CopiesData() bool { return true }

// Marshal is ProtoMarshal.
func (ProtoCodec) Marshal(v interface{}) ([]byte, error) {
	return ProtoMarshal(v)
}

// Unmarshal is ProtoUnmarshal.
func (ProtoCodec) Unmarshal(data []byte, v interface{}) error {
	return ProtoUnmarshal(data, v)
}

// ProtoMarshal returns the wire format of v: a message of
// google.golang.org/protobuf or of github.com/golang/protobuf, anything with
// MarshalVT() ([]byte, error), which is preferred, or a pointer to one of
// these. Nil, also a nil message, struct{} and *struct{} are the message
// Empty. It is an error for every other type.
func ProtoMarshal(v interface{}) ([]byte, error) {
	switch v.(type) {
	case nil, struct{}, *struct{}, **struct{}:
		return []byte{}, nil
	}
	if !isMessage(v) {
		// Perhaps a pointer to a message: step down.
		rv := reflect.ValueOf(v)
		for rv.Kind() == reflect.Pointer && !rv.IsNil() {
			rv = rv.Elem()
			if rv.Kind() == reflect.Pointer && isMessage(rv.Interface()) {
				return ProtoMarshal(rv.Interface())
			}
		}
		return nil, unknownMessage("marshal", v)
	}
	if isNil(v) {
		return []byte{}, nil
	}
	var data []byte
	var err error
	switch m := v.(type) {
	case marshalerVT:
		data, err = m.MarshalVT()
	case proto.Message:
		data, err = proto.Marshal(m)
	case protoadapt.MessageV1:
		data, err = proto.Marshal(protoadapt.MessageV2Of(m))
	default:
		return nil, unknownMessage("marshal", v)
	}
	if err != nil {
		return nil, fmt.Errorf("codec: protobuf: marshal %T: %w", v, err)
	}
	return data, nil
}

// ProtoUnmarshal resets v and fills it from data: a message of
// google.golang.org/protobuf or of github.com/golang/protobuf, anything with
// UnmarshalVT([]byte) error, which is preferred, or a pointer to one of
// these, which is allocated if it is nil. What has an UnmarshalVT is reset by
// its Reset method; without one, data is merged into it. Nil, struct{},
// *struct{} and Empty drop data, whatever it is. It is an error for every
// other type.
func ProtoUnmarshal(data []byte, v interface{}) error {
	switch v.(type) {
	case nil, struct{}, *struct{}, **struct{}:
		return nil
	}
	if !isMessage(v) {
		m := messageBelow(v)
		if m == nil {
			return unknownMessage("unmarshal into", v)
		}
		v = m
	}
	if m, ok := v.(*emptypb.Empty); ok && m == Empty {
		return nil
	}
	if isNil(v) {
		return fmt.Errorf("codec: protobuf: cannot unmarshal into a nil %T: pass a pointer to a message", v)
	}
	var err error
	switch m := v.(type) {
	case unmarshalerVT:
		resetVT(m)
		err = m.UnmarshalVT(data)
	case proto.Message:
		err = proto.Unmarshal(data, m)
	case protoadapt.MessageV1:
		m.Reset()
		err = proto.UnmarshalOptions{Merge: true}.Unmarshal(data, protoadapt.MessageV2Of(m))
	default:
		return unknownMessage("unmarshal into", v)
	}
	if err != nil {
		return fmt.Errorf("codec: protobuf: unmarshal into %T: %w", v, err)
	}
	return nil
}

// messageBelow returns the message that v leads to as a pointer, or a pointer to one
// and so on, and allocates it if there is none. Nil means that v leads to no message.
func messageBelow(v interface{}) interface{} {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
		if rv.Kind() != reflect.Pointer || !isMessage(rv.Interface()) {
			continue
		}
		if rv.IsNil() {
			rv.Set(reflect.New(rv.Type().Elem()))
		}
		return rv.Interface()
	}
	return nil
}

// resetVT does what proto.Unmarshal does before it reads.
func resetVT(m unmarshalerVT) {
	switch r := m.(type) {
	case interface{ Reset() }:
		r.Reset()
	case proto.Message:
		proto.Reset(r)
	}
}

// isMessage reports whether v is of a type that the codec takes in at least
// one direction.
func isMessage(v interface{}) bool {
	switch v.(type) {
	case marshalerVT, unmarshalerVT, proto.Message, protoadapt.MessageV1:
		return true
	}
	return false
}

// isNil reports whether v is a nil pointer.
func isNil(v interface{}) bool {
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}

// unknownMessage says that v is no message, and what to do about it.
func unknownMessage(verb string, v interface{}) error {
	t := reflect.TypeOf(v)
	if isMessage(reflect.New(t).Interface()) {
		return fmt.Errorf("codec: protobuf: cannot %s %T: pass a pointer to it, *%T", verb, v, v)
	}
	return fmt.Errorf("codec: protobuf: cannot %s %T: pass a protobuf message, or choose another codec", verb, v)
}
