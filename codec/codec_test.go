package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/henrylee2cn/teleport/codec"
)

// xorCodec is a codec of a test, which keeps data.
type xorCodec struct {
	codec.StringCodec
	id   byte
	name string
}

func (c xorCodec) Id() byte       { return c.id }
func (c xorCodec) Name() string   { return c.name }
func (xorCodec) CopiesData() bool { return false }

// plainCodec implements nothing but Codec.
type plainCodec struct{ codec.Codec }

func TestCopiesData(t *testing.T) {
	tests := []struct {
		c    codec.Codec
		want bool
	}{
		{codec.JsonCodec{}, true},
		{codec.ProtoCodec{}, true},
		{codec.StringCodec{}, true},
		{xorCodec{}, false},
		{plainCodec{codec.JsonCodec{}}, false},
		{nil, false},
	}
	for _, tt := range tests {
		if got := codec.CopiesData(tt.c); got != tt.want {
			t.Errorf("CopiesData(%T): got %v, want %v", tt.c, got, tt.want)
		}
	}
}

type textKey string

func (k *textKey) UnmarshalText(b []byte) error { *k = textKey(b); return nil }

type rawJSON struct{ raw []byte }

func (r *rawJSON) UnmarshalJSON(b []byte) error { r.raw = b; return nil } // keeps b on purpose

type everything struct {
	Raw    json.RawMessage
	Bytes  []byte
	String string
	Escape string
	Map    map[string]string
	Keys   map[textKey][]byte
	Any    interface{}
	Number json.Number
	Text   textKey
	Own    rawJSON
	List   []string
	Ptr    *string
	Array  [2]string
}

// TestUnmarshalCopies overwrites the data after each Unmarshal, and wants the
// result to stay: the promise of CopiesData.
func TestUnmarshalCopies(t *testing.T) {
	object := []byte(`{"Raw":{"a":[1,"two"]},"Bytes":"Ynl0ZXM=","String":"string","Escape":"\u00e9\n","Map":{"key":"value"},` +
		`"Keys":{"text":"AQI="},"Any":{"x":["y",1.5,{"z":"w"}]},"Number":12345678901234567890,"Text":"text","Own":{"own":"x"},` +
		`"List":["one","two"],"Ptr":"ptr","Array":["a","b"]}`)
	structMessage, err := structpb.NewStruct(map[string]interface{}{"name": "value", "list": []interface{}{"x", "y"}})
	if err != nil {
		t.Fatal(err)
	}
	wire := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	unknown := append(wire(wrapperspb.String("known")), 0x7a, 3, 'a', 'b', 'c') // field 15, which nobody knows
	tests := []struct {
		name string
		c    codec.Codec
		data []byte
		make func() interface{}
	}{
		{"json struct", codec.JsonCodec{}, object, func() interface{} { return new(everything) }},
		{"json interface", codec.JsonCodec{}, object, func() interface{} { return new(interface{}) }},
		{"json map", codec.JsonCodec{}, object, func() interface{} { return new(map[string]interface{}) }},
		{"json map of raw", codec.JsonCodec{}, object, func() interface{} { return new(map[string]json.RawMessage) }},
		{"json raw", codec.JsonCodec{}, object, func() interface{} { return new(json.RawMessage) }},
		{"json own", codec.JsonCodec{}, object, func() interface{} { return new(rawJSON) }},
		{"json string", codec.JsonCodec{}, []byte(`"plain"`), func() interface{} { return new(string) }},
		{"json bytes", codec.JsonCodec{}, []byte(`"Ynl0ZXM="`), func() interface{} { return new([]byte) }},
		{"json number", codec.JsonCodec{}, []byte(`1234.5`), func() interface{} { return new(json.Number) }},
		{"json strings", codec.JsonCodec{}, []byte(`["a","b"]`), func() interface{} { return new([]string) }},
		{"proto bytes", codec.ProtoCodec{}, wire(wrapperspb.Bytes([]byte("some bytes"))), func() interface{} { return new(wrapperspb.BytesValue) }},
		{"proto string", codec.ProtoCodec{}, wire(wrapperspb.String("some string")), func() interface{} { return new(wrapperspb.StringValue) }},
		{"proto struct", codec.ProtoCodec{}, wire(structMessage), func() interface{} { return new(structpb.Struct) }},
		{"proto unknown field", codec.ProtoCodec{}, unknown, func() interface{} { return new(wrapperspb.StringValue) }},
		{"proto v1", codec.ProtoCodec{}, wire(wrapperspb.String("some string")), func() interface{} { return new(oldMessage) }},
		{"proto vt", codec.ProtoCodec{}, []byte("some bytes"), func() interface{} { return new(vtMessage) }},
		{"string", codec.StringCodec{}, []byte("some string"), func() interface{} { return new(string) }},
		{"string bytes", codec.StringCodec{}, []byte("some string"), func() interface{} { return new([]byte) }},
		{"string interface", codec.StringCodec{}, []byte("some string"), func() interface{} { return new(interface{}) }},
		{"string named", codec.StringCodec{}, []byte("some string"), func() interface{} { return new(textKey) }},
		{"string raw", codec.StringCodec{}, []byte("some string"), func() interface{} { return new(json.RawMessage) }},
		{"string pointer", codec.StringCodec{}, []byte("some string"), func() interface{} { return new(*[]byte) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !codec.CopiesData(tt.c) {
				t.Fatal("the codec promises nothing")
			}
			data, got, want := bytes.Clone(tt.data), tt.make(), tt.make()
			if err := tt.c.Unmarshal(bytes.Clone(tt.data), want); err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(got, want) {
				t.Fatal("the data holds nothing")
			}
			if err := tt.c.Unmarshal(data, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, tt.data) {
				t.Errorf("Unmarshal wrote to data")
			}
			for i := range data {
				data[i] = '#'
			}
			equal := reflect.DeepEqual(got, want)
			if m, ok := got.(proto.Message); ok {
				equal = proto.Equal(m, want.(proto.Message))
			}
			if !equal {
				t.Errorf("changed with the data: got %+v, want %+v", got, want)
			}
		})
	}
}

// TestMarshalCopies wants that changing a value does not change its bytes.
func TestMarshalCopies(t *testing.T) {
	b := []byte("some bytes")
	for _, v := range []interface{}{b, &b, json.RawMessage(b)} {
		data, err := codec.StringCodec{}.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b[0] = 'S'
		if string(data) != "some bytes" {
			t.Errorf("%T: got %q, want some bytes", v, data)
		}
		b[0] = 's'
	}
}

// TestNil checks what all codecs have in common.
func TestNil(t *testing.T) {
	for _, c := range []codec.Codec{codec.JsonCodec{}, codec.ProtoCodec{}, codec.StringCodec{}} {
		if _, err := c.Marshal(nil); err != nil {
			t.Errorf("%s: marshal nil: %v", c.Name(), err)
		}
		if err := c.Unmarshal([]byte("anything"), nil); err != nil {
			t.Errorf("%s: unmarshal into nil: %v", c.Name(), err)
		}
		for _, v := range []interface{}{(*string)(nil), (*[]byte)(nil), (*interface{})(nil), (*textKey)(nil), (**string)(nil), (*wrapperspb.StringValue)(nil), (*vtMessage)(nil), 5, "s"} {
			if err := c.Unmarshal([]byte(`"x"`), v); err == nil {
				t.Errorf("%s: unmarshal into %T(%v): got no error", c.Name(), v, v)
			}
		}
	}
}

func ExampleGet() {
	c, err := codec.Get('j')
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := c.Marshal(map[string]int{"a": 1})
	fmt.Printf("%s %s %v\n", c.Name(), data, err)
	_, err = codec.Get('?')
	fmt.Println(err)
	// Output:
	// json {"a":1} <nil>
	// codec: no codec has id '?' (63): register it with codec.Reg
}

func ExampleGetByName() {
	c, err := codec.GetByName("string")
	if err != nil {
		fmt.Println(err)
		return
	}
	var s string
	err = c.Unmarshal([]byte("as it is"), &s)
	fmt.Printf("%c %s %v\n", c.Id(), s, err)
	// Output:
	// s as it is <nil>
}
