package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	jsoniter "github.com/json-iterator/go"
)

const (
	// NAME_JSON is the name of the JSON codec.
	NAME_JSON = "json"
	// ID_JSON is the id of the JSON codec.
	ID_JSON = 'j'
)

// JsonCodec is the codec for JSON. It follows encoding/json (struct tags,
// sorted map keys, escaped HTML, json.Marshaler and encoding.TextMarshaler)
// by means of github.com/json-iterator/go, which is faster. It has no state.
type JsonCodec struct{}

var (
	_ Codec  = JsonCodec{}
	_ Copier = JsonCodec{}
)

// Id returns ID_JSON.
func (JsonCodec) Id() byte { return ID_JSON }

// Name returns NAME_JSON.
func (JsonCodec) Name() string { return NAME_JSON }

// CopiesData returns true.
func (JsonCodec) CopiesData() bool { return true }

// Marshal returns the JSON text of v: "null" for nil.
func (JsonCodec) Marshal(v interface{}) ([]byte, error) {
	data, err := appendJSON(nil, v)
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Unmarshal stores the JSON text data in v, a pointer that is not nil. As in
// encoding/json, fields that data does not mention keep their value, and arrays
// and objects may be nested 10,000 deep. Data of no bytes changes nothing, and
// v == nil drops data.
func (JsonCodec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	unmarshal := jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal
	if len(data) > maxNestedDepth && deeperThan(data, safeDepth(reflect.TypeOf(v))) {
		data = bytes.Clone(data) // a method of a user may keep what it is given
		unmarshal = json.Unmarshal
	}
	if err := unmarshal(data, v); err != nil {
		return fmt.Errorf("codec: json: unmarshal into %T: %w", v, err)
	}
	return nil
}
