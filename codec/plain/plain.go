// Package plain makes the codec "string", id 's', take numbers and booleans too,
// as plain text, and lets users choose it by the name "plain". Importing it does
// that:
//
//	import _ "github.com/henrylee2cn/teleport/codec/plain"
//
//	peer := tp.NewPeer(&tp.PeerConfig{DefaultBodyCodec: "plain"})
//
// The codec with the id 's' was "string" in teleport of 2017 and became "plain"
// in erpc, where it also writes numbers and booleans. What it writes for strings
// and bytes is the same in both, so that one codec serves the peers of either.
package plain

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/henrylee2cn/teleport/codec"
)

const (
	// Name is another name of the codec "string".
	Name = "plain"
	// ID is the id of the codec, that of codec.StringCodec.
	ID = codec.ID_STRING
)

// Codec is the codec for strings, bytes, numbers and booleans. It has no state.
type Codec struct{}

var (
	_ codec.Appender = Codec{}
	_ codec.Copier   = Codec{}
)

func init() {
	codec.Reg(Codec{})
	codec.Alias(Name, codec.NAME_STRING)
}

// Id returns ID.
func (Codec) Id() byte { return ID }

// Name returns codec.NAME_STRING, the name that the codec has had since 2017.
func (Codec) Name() string { return codec.NAME_STRING }

// CopiesData returns true.
func (Codec) CopiesData() bool { return true }

// Marshal returns the text of v: a string or []byte as it is, an integer in
// decimal digits, a float in as many as it takes to read the same number again,
// without exponent, a boolean as "true" or "false"; or a pointer to one, and any
// type of that kind. Nil, also a nil pointer, has no bytes.
func (c Codec) Marshal(v interface{}) ([]byte, error) {
	data, err := c.MarshalAppend([]byte{}, v)
	if err != nil {
		return nil, err
	}
	return data, nil
}

// MarshalAppend appends what Marshal(v) returns to dst.
func (Codec) MarshalAppend(dst []byte, v interface{}) ([]byte, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	switch kind := rv.Kind(); {
	case kind == reflect.Pointer && isNumber(rv.Type()):
		return dst, nil
	case kind == reflect.Bool:
		return strconv.AppendBool(dst, rv.Bool()), nil
	case rv.CanInt():
		return strconv.AppendInt(dst, rv.Int(), 10), nil
	case rv.CanUint() && kind != reflect.Uintptr:
		return strconv.AppendUint(dst, rv.Uint(), 10), nil
	case rv.CanFloat():
		return strconv.AppendFloat(dst, rv.Float(), 'f', -1, rv.Type().Bits()), nil
	}
	b, err := codec.MarshalAppend(codec.StringCodec{}, dst, v)
	if err != nil {
		return dst, fmt.Errorf("plain: cannot marshal %T: pass a string, []byte, number or bool, or choose another codec", v)
	}
	return b, nil
}

// Unmarshal stores the text data in v: a pointer to what Marshal takes, or to a
// pointer to it, which is allocated if it is nil. A number that does not fit is an
// error. An interface{} that v points to becomes a string. Data of no bytes is
// the zero value, and v == nil drops data.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil {
		return nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || !isNumber(rv.Type()) {
		// A string, bytes or interface{}; or an error.
		return codec.StringCodec{}.Unmarshal(data, v)
	}
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			if !rv.CanSet() {
				return fmt.Errorf("plain: cannot unmarshal into a nil %T: pass a pointer to a variable", v)
			}
			rv.Set(reflect.New(rv.Type().Elem()))
		}
		rv = rv.Elem()
	}
	if len(data) == 0 {
		rv.SetZero()
		return nil
	}
	if err := parse(string(data), rv); err != nil {
		return fmt.Errorf("plain: unmarshal into %T: %w", v, err)
	}
	return nil
}

// isNumber reports whether t is, behind its pointers, a number or a boolean.
func isNumber(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := t.Kind()
	return kind >= reflect.Bool && kind <= reflect.Float64 && kind != reflect.Uintptr
}

// parse sets rv, a number or a boolean, to what the text says.
func parse(text string, rv reflect.Value) error {
	switch {
	case rv.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return err
		}
		rv.SetBool(b)
	case rv.CanInt():
		n, err := strconv.ParseInt(text, 10, rv.Type().Bits())
		if err != nil {
			return err
		}
		rv.SetInt(n)
	case rv.CanUint():
		n, err := strconv.ParseUint(text, 10, rv.Type().Bits())
		if err != nil {
			return err
		}
		rv.SetUint(n)
	default:
		f, err := strconv.ParseFloat(text, rv.Type().Bits())
		if err != nil {
			return err
		}
		rv.SetFloat(f)
	}
	return nil
}
