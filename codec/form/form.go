// Package form is the codec "form", id 'f': the pairs of an HTML form as browsers
// send them (application/x-www-form-urlencoded). Structs are taken by means of
// github.com/go-playground/form/v4. Importing it registers it:
//
//	import "github.com/henrylee2cn/teleport/codec/form"
//
//	type Search struct {
//		Words []string `form:"q"`
//		Page  int      `form:"page"`
//	}
//
//	query := Search{Words: []string{"a", "b"}, Page: 2} // page=2&q=a&q=b
//	sess.Pull("/search", query, &found, tp.WithBodyCodec(form.ID))
//
// The id, the name and the form of flat structs are those of erpc, which teleport
// became. Of a struct in a field F, which erpc flattens, the field G is "F.G" here.
package form

import (
	"fmt"
	"net/url"
	"reflect"

	"github.com/go-playground/form/v4"

	"github.com/henrylee2cn/teleport/codec"
)

const (
	// Name is the name of the form codec, and of its struct tag.
	Name = "form"
	// ID is the id of the form codec.
	ID = 'f'
)

// Codec is the codec for forms. It has no state.
//
// It takes url.Values, any map of that kind, map[string]string, and structs, or
// pointers to one. The fields of a struct are strings, numbers, booleans,
// time.Time (RFC 3339), structs ("F.G"), slices ("F", repeated; "F[0].G" of structs)
// and maps ("F[key]"), or pointers to one; embedded structs are flattened. A name
// in a tag replaces that of the field, "-" leaves it out, and ",omitempty" does if
// it is zero. A struct that contains an array or itself is refused.
type Codec struct{}

var (
	_ codec.Appender = Codec{}
	_ codec.Copier   = Codec{}
)

func init() { codec.Reg(Codec{}) }

var (
	encoder = form.NewEncoder()
	decoder = form.NewDecoder()
)

// Id returns ID.
func (Codec) Id() byte { return ID }

// Name returns Name.
func (Codec) Name() string { return Name }

// CopiesData returns true.
func (Codec) CopiesData() bool { return true }

// Marshal returns the pairs of v, sorted by key. Nil, also a nil pointer or map,
// has none.
func (c Codec) Marshal(v interface{}) ([]byte, error) {
	data, err := c.MarshalAppend([]byte{}, v)
	if err != nil {
		return nil, err
	}
	return data, nil
}

// MarshalAppend appends what Marshal(v) returns to dst.
func (Codec) MarshalAppend(dst []byte, v interface{}) ([]byte, error) {
	values, err := valuesOf(v)
	if err != nil {
		return dst, err
	}
	return append(dst, values.Encode()...), nil
}

var (
	valuesType = reflect.TypeFor[url.Values]()
	pairsType  = reflect.TypeFor[map[string]string]()
)

func valuesOf(v interface{}) (url.Values, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return nil, nil
	}
	switch t := rv.Type(); {
	case t.ConvertibleTo(valuesType):
		return rv.Convert(valuesType).Interface().(url.Values), nil
	case t.ConvertibleTo(pairsType):
		values := make(url.Values, rv.Len())
		for key, value := range rv.Convert(pairsType).Interface().(map[string]string) {
			values.Set(key, value)
		}
		return values, nil
	case t.Kind() == reflect.Struct:
		if err := shapeOf(t).err; err != nil {
			return nil, fmt.Errorf("form: cannot marshal %T: %w", v, err)
		}
		values, err := encoder.Encode(rv.Interface())
		if err != nil {
			return nil, fmt.Errorf("form: marshal %T: %w", v, err)
		}
		return values, nil
	}
	return nil, fmt.Errorf("form: cannot marshal %T: pass a url.Values, a map[string]string or a struct", v)
}

// Unmarshal stores the pairs of data in v: a pointer to what Marshal takes, or to an
// interface{}, which becomes a url.Values. In a map[string]string each key has the
// first of its values. Pairs that a struct has no field for are skipped, and fields
// that data does not mention keep their value. Data of no bytes changes nothing,
// and v == nil drops data.
//
// A body may have MaxPairs pairs, and for a struct MaxIndices indices, which may
// leave out MaxGap elements in all, so that "a[9999]=" is not a way to make large
// slices of a few bytes. Keys with an unpaired bracket are errors then.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("form: cannot unmarshal into %T: pass a pointer that is not nil", v)
	}
	if err := unmarshal(string(data), rv); err != nil {
		return fmt.Errorf("form: unmarshal into %T: %w", v, err)
	}
	return nil
}

func unmarshal(data string, rv reflect.Value) error {
	values, err := parse(data)
	if err != nil {
		return err
	}
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			rv.Set(reflect.New(rv.Type().Elem()))
		}
		rv = rv.Elem()
	}
	switch t := rv.Type(); {
	case valuesType.ConvertibleTo(t): // the maps of that kind
		rv.Set(reflect.ValueOf(values).Convert(t))
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		rv.Set(reflect.ValueOf(values))
	case pairsType.ConvertibleTo(t):
		pairs := make(map[string]string, len(values))
		for key := range values {
			pairs[key] = values.Get(key)
		}
		rv.Set(reflect.ValueOf(pairs).Convert(t))
	case t.Kind() == reflect.Struct:
		s := shapeOf(t)
		if s.err != nil {
			return s.err
		}
		if err := checkKeys(values, s); err != nil {
			return err
		}
		return decoder.Decode(rv.Addr().Interface(), values)
	default:
		return errTarget
	}
	return nil
}
