package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
)

type (
	name     string
	rawBytes []byte
	octet    byte
)

func ptr[T any](v T) *T { return &v }

func TestStringMarshal(t *testing.T) {
	b := []byte("abc")
	tests := []struct {
		in   interface{}
		want string
	}{
		{nil, ""},
		{"", ""},
		{"abc", "abc"},
		{b, "abc"},
		{[]byte(nil), ""},
		{&b, "abc"},
		{ptr("abc"), "abc"},
		{(*string)(nil), ""},
		{(*[]byte)(nil), ""},
		{(*name)(nil), ""},
		{(**string)(nil), ""},
		{name("abc"), "abc"},
		{ptr(name("abc")), "abc"},
		{rawBytes("abc"), "abc"},
		{ptr(rawBytes("abc")), "abc"},
		{json.RawMessage(`{"a":1}`), `{"a":1}`},
		{[]octet{1, 2}, "\x01\x02"},
		{ptr(ptr("abc")), "abc"},
		{"\x00\xff", "\x00\xff"},
	}
	for _, tt := range tests {
		if got, err := (codec.StringCodec{}).Marshal(tt.in); string(got) != tt.want || got == nil || err != nil {
			t.Errorf("%T: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, v := range []interface{}{1, ptr(1), 1.5, struct{}{}, []string{"a"}, map[string]string{}, (*int)(nil), [3]byte{}, true} {
		want := fmt.Sprintf("cannot marshal %T: pass a string", v)
		if got, err := (codec.StringCodec{}).Marshal(v); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: got %q, %v, want an error with %q", v, got, err, want)
		}
	}
}

func TestStringUnmarshal(t *testing.T) {
	tests := []struct {
		out              interface{}
		want, wantNoData interface{}
	}{
		{ptr("old"), "abc", ""},
		{ptr([]byte("old")), []byte("abc"), []byte(nil)},
		{ptr(interface{}(5)), "abc", ""},
		{ptr(name("old")), name("abc"), name("")},
		{ptr(rawBytes("old")), rawBytes("abc"), rawBytes(nil)},
		{ptr([]octet{9}), []octet("abc"), []octet(nil)},
		{new(*string), ptr("abc"), ptr("")},
		{new(**name), ptr(ptr(name("abc"))), ptr(ptr(name("")))},
	}
	for _, tt := range tests {
		for _, want := range []struct {
			data  string
			value interface{}
		}{{"abc", tt.want}, {"", tt.wantNoData}} {
			if err := (codec.StringCodec{}).Unmarshal([]byte(want.data), tt.out); err != nil {
				t.Errorf("%T: %v", tt.out, err)
			}
			if got := reflect.ValueOf(tt.out).Elem().Interface(); !reflect.DeepEqual(got, want.value) {
				t.Errorf("%T: got %#v, want %#v", tt.out, got, want.value)
			}
		}
	}
	for _, v := range []interface{}{"s", []byte("b"), 1, ptr(1), ptr(struct{}{}), new([]string), new([3]byte), new(fmt.Stringer), person{}} {
		want := fmt.Sprintf("cannot unmarshal into %T: pass a *string", v)
		if err := (codec.StringCodec{}).Unmarshal([]byte("abc"), v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: got %v, want an error with %q", v, err, want)
		}
	}
}

func TestStringKeepsOldBytes(t *testing.T) {
	b := []byte("first")
	kept := b
	if err := (codec.StringCodec{}).Unmarshal([]byte("other"), &b); err != nil || string(kept) != "first" {
		t.Errorf("the slice that was there changed to %q, %v", kept, err)
	}
}

func FuzzStringUnmarshal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("abc\x00\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []interface{}{new(string), new([]byte), new(interface{}), new(name), new(rawBytes), new(*string), new(int)} {
			if err := (codec.StringCodec{}).Unmarshal(data, v); err != nil {
				if _, ok := v.(*int); !ok {
					t.Fatalf("%T: %v", v, err)
				}
				continue
			}
			if i, ok := v.(*interface{}); ok {
				v = *i
			}
			if back, err := (codec.StringCodec{}).Marshal(v); err != nil || !bytes.Equal(back, data) {
				t.Fatalf("%T: got %q, %v, want %q", v, back, err, data)
			}
		}
	})
}

// BenchmarkString encodes and decodes a string of 581 bytes.
func BenchmarkString(b *testing.B) {
	body := strings.Repeat("x", 581)
	data := []byte(body)
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = codec.StringCodec{}.Marshal(&body)
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = codec.StringCodec{}.Unmarshal(data, &body)
		}
	})
}
