package codec

import (
	"bytes"
	"fmt"

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

// maxJSONDepth is how deep arrays and objects may be in each other, as in
// encoding/json.
const maxJSONDepth = 10000

// Unmarshal stores the JSON text data in v, a pointer that is not nil. As in
// encoding/json, fields that data does not mention keep their value, and arrays
// and objects may be nested 10,000 deep. Data of no bytes changes nothing, and
// v == nil drops data.
func (JsonCodec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	if tooDeep(data) {
		return fmt.Errorf("codec: json: unmarshal into %T: arrays and objects are nested more than %d deep", v, maxJSONDepth)
	}
	if err := jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal(data, v); err != nil {
		return fmt.Errorf("codec: json: unmarshal into %T: %w", v, err)
	}
	return nil
}

// tooDeep reports whether data is nested too deep. jsoniter does not look at that
// where it decodes into slices, and calls itself: a type such as []T in T would let
// the stack grow until that ends the program.
func tooDeep(data []byte) bool {
	if len(data) <= maxJSONDepth || bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= maxJSONDepth {
		return false // most: counting takes next to no time
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '[', '{':
			if depth++; depth > maxJSONDepth {
				return true
			}
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}
