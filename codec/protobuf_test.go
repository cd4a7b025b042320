package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/henrylee2cn/teleport/codec"
)

// oldMessage is a message as the generator of 2017 made them. On the wire it
// is a wrapperspb.StringValue.
type oldMessage struct {
	Value string `protobuf:"bytes,1,opt,name=value,proto3"`
}

func (m *oldMessage) Reset()         { *m = oldMessage{} }
func (m *oldMessage) String() string { return m.Value }
func (m *oldMessage) ProtoMessage()  {}

var _ protoadapt.MessageV1 = (*oldMessage)(nil)

// vtMessage has what vtprotobuf generates; its wire format is its text.
type vtMessage struct {
	Text   string
	resets int
}

var errVT = errors.New("vt refuses")

func (m *vtMessage) Reset() { *m = vtMessage{resets: m.resets + 1} }
func (m *vtMessage) MarshalVT() ([]byte, error) {
	if m.Text == "bad" {
		return nil, errVT
	}
	return []byte(m.Text), nil
}

func (m *vtMessage) UnmarshalVT(data []byte) error {
	if string(data) == "bad" {
		return errVT
	}
	m.Text += string(data)
	return nil
}

// vtReflect is a message of today with UnmarshalVT but without Reset.
type vtReflect struct{ inner }

type inner struct{ proto.Message }

func (m vtReflect) UnmarshalVT(data []byte) error {
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(data, m.Message)
}

// vtWriter can only be written, vtReader only read.
type vtWriter struct{}

func (*vtWriter) MarshalVT() ([]byte, error) { return []byte("w"), nil }

type vtReader struct{ text string }

func (r *vtReader) UnmarshalVT(b []byte) error { r.text += string(b); return nil }

func TestProtoMarshal(t *testing.T) {
	message := wrapperspb.String("abc")
	const wire = "\n\x03abc"
	tests := []struct {
		in   interface{}
		want string
	}{
		{nil, ""},
		{struct{}{}, ""},
		{&struct{}{}, ""},
		{(*struct{})(nil), ""},
		{ptr(&struct{}{}), ""},
		{codec.Empty, ""},
		{message, wire},
		{&message, wire},
		{ptr(&message), wire},
		{(*wrapperspb.StringValue)(nil), ""},
		{ptr((*wrapperspb.StringValue)(nil)), ""},
		{&oldMessage{"abc"}, wire},
		{&oldMessage{}, ""},
		{(*oldMessage)(nil), ""},
		{ptr(&oldMessage{"abc"}), wire},
		{&vtMessage{Text: "vt"}, "vt"},
		{(*vtMessage)(nil), ""},
		{&vtWriter{}, "w"},
	}
	for _, tt := range tests {
		if got, err := codec.ProtoMarshal(tt.in); string(got) != tt.want || got == nil || err != nil {
			t.Errorf("%T: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, v := range []interface{}{1, "s", ptr("s"), []byte("b"), map[string]int{}, (**wrapperspb.StringValue)(nil), ptr(ptr(1)), &vtReader{}} {
		want := fmt.Sprintf("cannot marshal %T: pass a protobuf message", v)
		if got, err := codec.ProtoMarshal(v); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: got %q, %v, want an error with %q", v, got, err, want)
		}
	}
	if _, err := codec.ProtoMarshal(vtMessage{}); err == nil || !strings.Contains(err.Error(), "pass a pointer to it, *codec_test.vtMessage") {
		t.Errorf("a message by value: got %v", err)
	}
	if _, err := codec.ProtoMarshal(&vtMessage{Text: "bad"}); !errors.Is(err, errVT) {
		t.Errorf("got %v, want %v", err, errVT)
	}
	if _, err := codec.ProtoMarshal(wrapperspb.String("\xff")); err == nil || !strings.Contains(err.Error(), "*wrapperspb.StringValue") {
		t.Errorf("invalid UTF-8: got %v, want an error that names the type", err)
	}
}

func TestProtoUnmarshal(t *testing.T) {
	const wire = "\n\x03abc"
	for _, data := range []string{wire, ""} {
		want := strings.TrimPrefix(data, "\n\x03")
		message, old, pointer := wrapperspb.String("old"), &oldMessage{"old"}, (*wrapperspb.StringValue)(nil)
		for _, v := range []interface{}{message, old, &pointer} {
			if err := (codec.ProtoCodec{}).Unmarshal([]byte(data), v); err != nil {
				t.Errorf("%T: %v", v, err)
			}
		}
		if message.Value != want || old.Value != want || pointer == nil || pointer.Value != want {
			t.Errorf("got %v, %v, %v, want %q", message, old, pointer, want)
		}
	}
	pointer := ptr(ptr(wrapperspb.String("old")))
	if err := codec.ProtoUnmarshal([]byte(wire), pointer); err != nil || (**pointer).Value != "abc" {
		t.Errorf("pointer to a pointer: got %v, %v", **pointer, err)
	}
}

func TestProtoUnmarshalVT(t *testing.T) {
	m := &vtMessage{Text: "old"}
	if err := codec.ProtoUnmarshal([]byte("text"), m); err != nil || m.Text != "text" || m.resets != 1 {
		t.Errorf("got %+v, %v, want text after one reset", m, err)
	}
	if err := codec.ProtoUnmarshal(nil, m); err != nil || m.Text != "" || m.resets != 2 {
		t.Errorf("no data: got %+v, %v, want nothing after two resets", m, err)
	}
	if err := codec.ProtoUnmarshal([]byte("bad"), m); !errors.Is(err, errVT) {
		t.Errorf("got %v, want %v", err, errVT)
	}
	r := vtReflect{inner{wrapperspb.Bytes([]byte("old"))}}
	if err := codec.ProtoUnmarshal(nil, r); err != nil || len(r.Message.(*wrapperspb.BytesValue).Value) != 0 {
		t.Errorf("a message without Reset: got %v, %v, want it empty", r.Message, err)
	}
	reader := &vtReader{"a"}
	if err := codec.ProtoUnmarshal([]byte("b"), reader); err != nil || reader.text != "ab" {
		t.Errorf("neither Reset nor reflection: got %q, %v, want ab", reader.text, err)
	}
}

func TestProtoUnmarshalDrops(t *testing.T) {
	for _, v := range []interface{}{nil, struct{}{}, &struct{}{}, (*struct{})(nil), new(*struct{}), codec.Empty} {
		for _, data := range []string{"", "\n\x03abc", "garbage"} {
			if err := codec.ProtoUnmarshal([]byte(data), v); err != nil {
				t.Errorf("%q into %T: %v", data, v, err)
			}
		}
	}
	if proto.Size(codec.Empty) != 0 {
		t.Error("Empty has content")
	}
	if err := codec.ProtoUnmarshal([]byte("\xff"), new(emptypb.Empty)); err == nil {
		t.Error("garbage into a message without fields: got no error")
	}
}

func TestProtoUnmarshalErrors(t *testing.T) {
	for _, v := range []interface{}{1, ptr(1), new(string), new(interface{}), new([]byte), new(*string), (**wrapperspb.StringValue)(nil), &vtWriter{}} {
		want := fmt.Sprintf("cannot unmarshal into %T: pass a protobuf message", v)
		if err := codec.ProtoUnmarshal(nil, v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: got %v, want an error with %q", v, err, want)
		}
	}
	if err := codec.ProtoUnmarshal(nil, vtMessage{}); err == nil || !strings.Contains(err.Error(), "pass a pointer to it") {
		t.Errorf("a message by value: got %v", err)
	}
	const wire = "\n\x03abc"
	for n := 1; n < len(wire); n++ {
		for _, v := range []interface{}{new(wrapperspb.StringValue), new(oldMessage), new(*wrapperspb.StringValue)} {
			if err := codec.ProtoUnmarshal([]byte(wire[:n]), v); err == nil || !strings.Contains(err.Error(), "codec: protobuf: unmarshal into ") {
				t.Errorf("%q into %T: got %v, want an error", wire[:n], v, err)
			}
		}
	}
}

func ExampleProtoMarshal() {
	data, err := codec.ProtoMarshal(wrapperspb.String("abc"))
	fmt.Printf("%q %v\n", data, err)
	var message *wrapperspb.StringValue
	err = codec.ProtoUnmarshal(data, &message)
	fmt.Println(message.GetValue(), err)
	// Output:
	// "\n\x03abc" <nil>
	// abc <nil>
}

func FuzzProtoUnmarshal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\n\x03abc"))
	s, _ := structpb.NewStruct(map[string]interface{}{"a": []interface{}{1.5, "x", nil, true}})
	data, _ := proto.Marshal(s)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []interface{}{new(structpb.Struct), new(wrapperspb.BytesValue), new(oldMessage), new(*wrapperspb.StringValue), new(emptypb.Empty), new(vtMessage), new(int)} {
			if err := codec.ProtoUnmarshal(data, v); err != nil {
				continue
			}
			if _, err := codec.ProtoMarshal(v); err != nil {
				t.Fatalf("%T from %q cannot be marshaled: %v", v, data, err)
			}
		}
	})
}

// BenchmarkProto encodes and decodes a message with 581 bytes, into one that is used again.
func BenchmarkProto(b *testing.B) {
	body := wrapperspb.Bytes([]byte(strings.Repeat("x", 581)))
	data, _ := codec.ProtoMarshal(body)
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = codec.ProtoMarshal(body)
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = codec.ProtoUnmarshal(data, body)
		}
	})
}
