// Package msgpack is the codec "msgpack", id 'm', for MessagePack
// (https://github.com/msgpack/msgpack/blob/master/spec.md) by means of
// github.com/vmihailenco/msgpack/v5. Importing it registers it:
//
//	import _ "github.com/henrylee2cn/teleport/codec/msgpack"
//
//	peer := tp.NewPeer(&tp.PeerConfig{DefaultBodyCodec: "msgpack"})
//
// A struct is a map. Its fields have the names of their msgpack tags, else those
// of their json tags, so that what is made for JSON needs no others. A type may
// have methods of its own, see msgpack.CustomEncoder and msgpack.CustomDecoder
// there.
package msgpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/henrylee2cn/teleport/codec"
)

const (
	// Name is the name of the MessagePack codec.
	Name = "msgpack"
	// ID is the id of the MessagePack codec.
	ID = 'm'
)

// Codec is the codec for MessagePack. It has no state.
type Codec struct{}

var (
	_ codec.Appender = Codec{}
	_ codec.Copier   = Codec{}
)

func init() { codec.Reg(Codec{}) }

// Id returns ID.
func (Codec) Id() byte { return ID }

// Name returns Name.
func (Codec) Name() string { return Name }

// CopiesData returns true.
func (Codec) CopiesData() bool { return true }

// Marshal returns the MessagePack form of v: the byte c0 for nil. The keys of a
// map[string]interface{}, map[string]string or map[string]bool are sorted; those
// of other maps are in no order.
func (c Codec) Marshal(v interface{}) ([]byte, error) {
	return c.MarshalAppend(nil, v)
}

// encoders holds encoders: of *encoder.
var encoders = sync.Pool{New: func() interface{} { return &encoder{enc: msgpack.NewEncoder(nil)} }}

// encoder is an encoder with the slice to which it appends.
type encoder struct {
	dst []byte
	enc *msgpack.Encoder
}

// Write implements io.Writer.
func (e *encoder) Write(b []byte) (int, error) {
	e.dst = append(e.dst, b...)
	return len(b), nil
}

// WriteByte implements io.ByteWriter, for the encoder to need no memory for one.
func (e *encoder) WriteByte(b byte) error {
	e.dst = append(e.dst, b)
	return nil
}

// MarshalAppend appends what Marshal(v) returns to dst.
func (Codec) MarshalAppend(dst []byte, v interface{}) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.dst = dst
	e.enc.Reset(e)
	e.enc.SetCustomStructTag("json")
	e.enc.UseCompactInts(true) // in as few bytes as they need
	e.enc.SetSortMapKeys(true)
	err := e.enc.Encode(v)
	b := e.dst
	e.dst = nil // the caller's
	encoders.Put(e)
	if err != nil {
		return dst, fmt.Errorf("msgpack: marshal %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal stores the value that data consists of in v, a pointer that is not
// nil. Keys that a struct has no field for are skipped, and fields that data does
// not mention keep their value. In an interface{} a map becomes a
// map[string]interface{}, an integer an int64 or uint64, a float a float64. Data of
// no bytes changes nothing, and v == nil drops data.
//
// Before it decodes, it goes through data once: more than one value, one that is
// cut off, an array or map that claims more elements than there are bytes left, and
// values nested more than MaxDepth deep are errors.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	if rv := reflect.ValueOf(v); rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("msgpack: cannot unmarshal into %T: pass a pointer that is not nil", v)
	}
	err := check(data)
	if err == nil {
		err = decode(data, v)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // for nobody to take it for the end of a connection
	}
	if err != nil {
		return fmt.Errorf("msgpack: unmarshal into %T: %w", v, err)
	}
	return nil
}

// maxKeptDecoder is up to which size of data a decoder is used again.
const maxKeptDecoder = 64 << 10

func decode(data []byte, v interface{}) error {
	dec := msgpack.GetDecoder()
	dec.Reset(bytes.NewReader(data))
	dec.SetCustomStructTag("json")
	dec.UseLooseInterfaceDecoding(true)
	err := dec.Decode(v)
	if len(data) <= maxKeptDecoder { // it keeps a buffer as long as the longest string
		msgpack.PutDecoder(dec)
	}
	return err
}
