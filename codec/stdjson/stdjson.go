// Package stdjson makes encoding/json the codec "json" of a program, in the
// place of the one of package codec, which is faster but differs in a few
// places from the standard library. One import line chooses it:
//
//	import _ "github.com/henrylee2cn/teleport/codec/stdjson"
//
// The id, 'j', and the name stay, so nothing else changes, and the other side
// may have any of the implementations. Of two that are imported the one that is
// initialized last counts: import one only. doc/codecs.md compares them.
package stdjson

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
)

// Codec is the codec for JSON by means of encoding/json. It has no state.
//
// It does not promise to copy what it keeps, as codec.JsonCodec does: an
// UnmarshalJSON or UnmarshalText method is given the memory of the body itself.
// So each body is copied once before it is decoded, and what such a method keeps
// stays what it was.
type Codec struct{}

var _ codec.Appender = Codec{}

func init() { codec.Reg(Codec{}) }

// Id returns codec.ID_JSON.
func (Codec) Id() byte { return codec.ID_JSON }

// Name returns codec.NAME_JSON.
func (Codec) Name() string { return codec.NAME_JSON }

// Marshal returns the JSON text of v: "null" for nil.
func (Codec) Marshal(v interface{}) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("stdjson: marshal %T: %w", v, err)
	}
	return data, nil
}

// MarshalAppend appends the JSON text of v to dst.
func (Codec) MarshalAppend(dst []byte, v interface{}) ([]byte, error) {
	w := bytes.NewBuffer(dst)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return dst, fmt.Errorf("stdjson: marshal %T: %w", v, err)
	}
	return w.Bytes()[:w.Len()-1], nil // without the newline that Encode adds
}

// Unmarshal stores the JSON text data in v, a pointer that is not nil. Fields
// that data does not mention keep their value. Data of no bytes changes nothing,
// and v == nil drops data.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("stdjson: unmarshal into %T: %w", v, err)
	}
	return nil
}
