package codec

import (
	"fmt"
	"reflect"
)

const (
	// NAME_STRING is the name of the string codec.
	NAME_STRING = "string"
	// ID_STRING is the id of the string codec.
	ID_STRING = 's'
)

// StringCodec is the codec for strings and bytes, which travel as they are.
// It has no state.
type StringCodec struct{}

var (
	_ Codec  = StringCodec{}
	_ Copier = StringCodec{}
)

// Id returns ID_STRING.
func (StringCodec) Id() byte { return ID_STRING }

// Name returns NAME_STRING.
func (StringCodec) Name() string { return NAME_STRING }

// CopiesData returns true.
func (StringCodec) CopiesData() bool { return true }

// Marshal returns a copy of the bytes of v: a string, a []byte, a type of
// that kind, or a pointer to one. Nil, also a nil pointer, has no bytes.
func (StringCodec) Marshal(v interface{}) ([]byte, error) {
	switch s := v.(type) {
	case nil:
		return []byte{}, nil
	case string:
		return []byte(s), nil
	case []byte:
		return append([]byte{}, s...), nil
	case *string:
		if s != nil {
			return []byte(*s), nil
		}
		return []byte{}, nil
	case *[]byte:
		if s != nil {
			return append([]byte{}, *s...), nil
		}
		return []byte{}, nil
	}
	rv, ok := pointee(reflect.ValueOf(v), false)
	switch {
	case !ok && isText(baseType(rv.Type())):
		return []byte{}, nil
	case !ok || !isText(rv.Type()):
		return nil, fmt.Errorf("codec: string: cannot marshal %T: pass a string or []byte, or choose another codec", v)
	case rv.Kind() == reflect.String:
		return []byte(rv.String()), nil
	default:
		return append([]byte{}, rv.Bytes()...), nil
	}
}

// Unmarshal stores a copy of data in v: a pointer to a string, to a []byte,
// to a type of that kind, or to a pointer to one, which is allocated if it is
// nil. An interface{} that v points to becomes a string. Data of no bytes
// makes an empty string or a nil slice, and v == nil drops data.
func (StringCodec) Unmarshal(data []byte, v interface{}) error {
	switch s := v.(type) {
	case nil:
		return nil
	case *string:
		if s != nil {
			*s = string(data)
			return nil
		}
	case *[]byte:
		if s != nil {
			*s = append([]byte(nil), data...)
			return nil
		}
	case *interface{}:
		if s != nil {
			*s = string(data)
			return nil
		}
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || !isText(baseType(rv.Type())) {
		return fmt.Errorf("codec: string: cannot unmarshal into %T: pass a *string or *[]byte, or choose another codec", v)
	}
	rv, ok := pointee(rv, true)
	switch {
	case !ok:
		return fmt.Errorf("codec: string: cannot unmarshal into a nil %T: pass a pointer to a variable", v)
	case rv.Kind() == reflect.String:
		rv.SetString(string(data))
	default:
		rv.SetBytes(append([]byte(nil), data...))
	}
	return nil
}

// isText reports whether values of type t are strings or bytes.
func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// baseType follows pointer types to what they finally point to.
func baseType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// pointee follows pointers to what they finally point to. At a nil pointer it
// allocates the target, if alloc is true and the pointer can be set; else it
// returns that pointer and false.
func pointee(rv reflect.Value, alloc bool) (reflect.Value, bool) {
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			if !alloc || !rv.CanSet() {
				return rv, false
			}
			rv.Set(reflect.New(rv.Type().Elem()))
		}
		rv = rv.Elem()
	}
	return rv, true
}
