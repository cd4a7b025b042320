package thriftproto

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"reflect"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/henrylee2cn/teleport/codec"
)

const (
	// CodecName is the name of the codec for structs of thrift.
	CodecName = "thrift"
	// CodecID is the id of the codec for structs of thrift.
	CodecID = 't'
)

// Codec is the codec for structs of Apache Thrift: what the thrift compiler
// generates, in the binary protocol. It has no state. Importing this package registers
// it, also for packets of another format.
type Codec struct{}

var (
	_ codec.Appender = Codec{}
	_ codec.Copier   = Codec{}
)

func init() { codec.Reg(Codec{}) }

// Id returns CodecID.
func (Codec) Id() byte { return CodecID }

// Name returns CodecName.
func (Codec) Name() string { return CodecName }

// CopiesData returns true.
func (Codec) CopiesData() bool { return true }

// Marshal returns the bytes of v, a thrift.TStruct, and none for nil.
func (c Codec) Marshal(v interface{}) ([]byte, error) { return c.MarshalAppend(nil, v) }

// MarshalAppend appends what Marshal returns to dst.
func (Codec) MarshalAppend(dst []byte, v interface{}) ([]byte, error) {
	if isNil(v) {
		return dst, nil
	}
	s, ok := v.(thrift.TStruct)
	if !ok {
		return dst, fmt.Errorf("codec: thrift: marshal %T: it is no thrift.TStruct", v)
	}
	// A TMemoryBuffer is a bytes.Buffer, which appends to what it is given.
	to := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(dst)}
	if err := s.Write(context.Background(), thrift.NewTBinaryProtocolConf(to, nil)); err != nil {
		return dst, fmt.Errorf("codec: thrift: marshal %T: %w", v, err)
	}
	return to.Bytes(), nil
}

// Unmarshal reads v, a thrift.TStruct that is not nil, from all of data. Fields that
// data does not mention keep their value, unless they are required. Data of no bytes
// changes nothing, and v == nil drops data.
//
// Before it decodes, it goes through data once: what is not exactly one struct, counts
// that claim more elements than there are, and structs and containers that are more
// than 64 deep in each other are errors.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	s, ok := v.(thrift.TStruct)
	if !ok || isNil(v) {
		return fmt.Errorf("codec: thrift: unmarshal into %T: it is no thrift.TStruct", v)
	}
	// What the compiler makes calls itself for a struct in a struct, and a stack that
	// grows without end stops the whole program. It also believes counts.
	if err := checkStruct(data); err != nil {
		return fmt.Errorf("codec: thrift: unmarshal into %T: %v", v, err) // no error of the packet
	}
	from := &thrift.TMemoryBuffer{Buffer: bytes.NewBuffer(data)}
	limits := &thrift.TConfiguration{MaxMessageSize: int32(min(len(data), math.MaxInt32))}
	if err := s.Read(context.Background(), thrift.NewTBinaryProtocolConf(from, limits)); err != nil {
		return fmt.Errorf("codec: thrift: unmarshal into %T: %w", v, err)
	}
	return nil
}

func isNil(v interface{}) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}
