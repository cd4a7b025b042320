// Package xml is the codec "xml", id 'x', by means of encoding/xml. Importing it
// registers it:
//
//	import "github.com/henrylee2cn/teleport/codec/xml"
//
//	sess.Pull("/order/get", &query, &order, tp.WithBodyCodec(xml.ID))
//
// Structs, their tags and the element names are those of encoding/xml: a string
// is <string>…</string>, a struct is an element with the name of its type. There
// is no declaration in front. The id and the name are those of erpc, which
// teleport became. Maps, slices and interface{} have no form in XML: each of them
// is an error.
package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/henrylee2cn/teleport/codec"
)

const (
	// Name is the name of the XML codec.
	Name = "xml"
	// ID is the id of the XML codec.
	ID = 'x'
)

// Codec is the codec for XML. It has no state.
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

// Marshal returns the XML element of v, and no bytes for nil, a nil pointer and
// struct{}. A slice or an array is an error, since it would be several elements,
// of which the other side reads one: put it into a struct. So is a map.
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
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		rv = rv.Elem()
	}
	switch {
	case !rv.IsValid(), rv.Type() == reflect.TypeFor[struct{}]():
		return dst, nil
	case rv.Kind() == reflect.Slice, rv.Kind() == reflect.Array:
		return dst, fmt.Errorf("xml: cannot marshal %T: it would not be one element: put it into a struct", v)
	}
	w := bytes.NewBuffer(dst)
	enc := xml.NewEncoder(w)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("xml: marshal %T: %w", v, err)
	}
	if err := enc.Close(); err != nil {
		return dst, fmt.Errorf("xml: marshal %T: %w", v, err)
	}
	return w.Bytes(), nil
}

var errTrailing = errors.New("there is more after the element")

// Unmarshal stores the XML element that data consists of in v, a pointer that is
// not nil. A declaration, comments and white space may stand around it. As in
// encoding/xml, elements that v has no field for are skipped, and fields that data
// does not mention keep their value. Data of no bytes changes nothing, v == nil
// drops data, and *struct{} takes any element.
//
// Entities that a document declares are not known, so that none can grow or read
// a file, and elements that v has a place for may be nested 10,000 deep: the limits of
// encoding/xml.
func (Codec) Unmarshal(data []byte, v interface{}) error {
	if v == nil || len(data) == 0 {
		return nil
	}
	if t := reflect.TypeOf(v); t.Kind() == reflect.Pointer && unfit(t.Elem()) {
		return fmt.Errorf("xml: cannot unmarshal into %T: pass a pointer to a struct", v)
	}
	dec := xml.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(v)
	if err == nil {
		err = atEnd(dec)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // for nobody to take it for the end of a connection
	}
	if err != nil {
		return fmt.Errorf("xml: unmarshal into %T: %w", v, err)
	}
	return nil
}

// unfit reports whether encoding/xml would drop the element, or all but one.
func unfit(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Interface, reflect.Array, reflect.Slice:
		return true
	}
	return false
}

// atEnd reads what comes after the element.
func atEnd(dec *xml.Decoder) error {
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.Comment, xml.ProcInst:
		case xml.CharData:
			if len(bytes.TrimSpace(token)) > 0 {
				return errTrailing
			}
		default:
			return errTrailing
		}
	}
}
