package plain_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/plain"
)

type (
	name     string
	celsius  float32
	rawBytes []byte
)

func ptr[T any](v T) *T { return &v }

// The codec is found by both names and by its id.
func TestRegistered(t *testing.T) {
	for _, name := range []string{"string", "plain"} {
		if c, err := codec.GetByName(name); err != nil || c != (plain.Codec{}) {
			t.Errorf("%s: got %T, %v", name, c, err)
		}
	}
	if c, err := codec.Get('s'); err != nil || c != (plain.Codec{}) || !codec.CopiesData(c) {
		t.Errorf("got %T, %v", c, err)
	}
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		in   interface{}
		want string
	}{
		{"a\x00é", "a\x00é"},
		{name("n"), "n"},
		{[]byte("b\xff"), "b\xff"},
		{rawBytes("r"), "r"},
		{true, "true"},
		{false, "false"},
		{0, "0"},
		{int8(-128), "-128"},
		{int64(math.MinInt64), "-9223372036854775808"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{time.Second, "1000000000"},
		{1.5, "1.5"},
		{0.1, "0.1"},
		{float32(0.1), "0.1"},
		{celsius(-273.15), "-273.15"},
		{1e21, "1000000000000000000000"},
		{math.Inf(-1), "-Inf"},
		{ptr(5), "5"},
	}
	for _, tt := range tests {
		data, err := plain.Codec{}.Marshal(tt.in)
		if string(data) != tt.want || err != nil {
			t.Errorf("%T: got %q, %v, want %q", tt.in, data, err, tt.want)
		}
		if appended, err := codec.MarshalAppend(plain.Codec{}, []byte("front"), tt.in); string(appended) != "front"+tt.want || err != nil {
			t.Errorf("%T, appended: got %q, %v", tt.in, appended, err)
		}
		got := reflect.New(reflect.TypeOf(tt.in))
		if err := (plain.Codec{}).Unmarshal(data, got.Interface()); err != nil {
			t.Errorf("%T: %v", tt.in, err)
		}
		for i := range data {
			data[i] = '#'
		}
		if !reflect.DeepEqual(got.Elem().Interface(), tt.in) {
			t.Errorf("%T: got %v, want %v", tt.in, got.Elem(), tt.in)
		}
	}
}

// Strings and bytes are what they are to the codec that this one replaces.
func TestLikeString(t *testing.T) {
	for _, v := range []interface{}{nil, "", "abc", []byte(nil), []byte("abc"), ptr("abc"), ptr([]byte("abc")), (*string)(nil), (*[]byte)(nil), (**string)(nil), ptr(ptr("abc")), name("x"), ptr(name("x"))} {
		got, err := plain.Codec{}.Marshal(v)
		want, wantErr := codec.StringCodec{}.Marshal(v)
		if !reflect.DeepEqual(got, want) || err != nil || wantErr != nil {
			t.Errorf("%T: got %#v, %v, want %#v, %v", v, got, err, want, wantErr)
		}
	}
	for _, data := range []string{"", "abc", "\x00\xff"} {
		for _, v := range []interface{}{new(string), new([]byte), new(name), new(rawBytes), new(interface{}), new(*string), new(*[]byte)} {
			other := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			err, wantErr := plain.Codec{}.Unmarshal([]byte(data), v), codec.StringCodec{}.Unmarshal([]byte(data), other)
			if !reflect.DeepEqual(v, other) || err != nil || wantErr != nil {
				t.Errorf("%q into %T: got %v, %v, want %v, %v", data, v, v, err, other, wantErr)
			}
		}
	}
}

func TestNothing(t *testing.T) {
	for _, v := range []interface{}{(*int)(nil), (*bool)(nil), (**float64)(nil)} {
		if data, err := (plain.Codec{}).Marshal(v); len(data) > 0 || err != nil {
			t.Errorf("%T(nil): got %q, %v", v, data, err)
		}
	}
	n, b := 5, ptr(true)
	if err := (plain.Codec{}).Unmarshal(nil, &n); err != nil || n != 0 {
		t.Errorf("no data: got %d, %v, want 0", n, err)
	}
	if err := (plain.Codec{}).Unmarshal(nil, &b); err != nil || *b {
		t.Errorf("no data: got %v, %v, want false", *b, err)
	}
	if err := (plain.Codec{}).Unmarshal([]byte("x"), nil); err != nil {
		t.Errorf("into nil: %v", err)
	}
	var p **int
	if err := (plain.Codec{}).Unmarshal([]byte("7"), &p); err != nil || **p != 7 {
		t.Errorf("into a nil pointer of pointers: got %v, %v", p, err)
	}
}

func TestErrors(t *testing.T) {
	for _, v := range []interface{}{struct{}{}, []string{"a"}, map[string]string{}, (*struct{})(nil), [3]byte{}, 1i, uintptr(1), make(chan int)} {
		if data, err := (plain.Codec{}).Marshal(v); data != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("cannot marshal %T", v)) {
			t.Errorf("%T: got %q, %v, want an error that names the type", v, data, err)
		}
	}
	tests := []struct {
		data string
		v    interface{}
	}{
		{"x", new(int)},
		{"1.5", new(int)},
		{" 1", new(int)},
		{"128", new(int8)},
		{"-1", new(uint)},
		{"65536", new(uint16)},
		{"yes", new(bool)},
		{"1,5", new(float64)},
		{"1e39", new(float32)},
		{"1", (*int)(nil)},
		{"1", 5},
		{"1", new(struct{})},
		{"1", new([]string)},
		{"1", new(uintptr)},
	}
	for _, tt := range tests {
		if err := (plain.Codec{}).Unmarshal([]byte(tt.data), tt.v); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%T", tt.v)) {
			t.Errorf("%q into %T: got %v, want an error that names the type", tt.data, tt.v, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{"", "0", "-1", "true", "1e400", "NaN", "0x10", "1_000", "18446744073709551616", "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []interface{}{new(string), new([]byte), new(int64), new(uint8), new(bool), new(float32), new(float64)} {
			if err := (plain.Codec{}).Unmarshal(data, v); err != nil {
				continue
			}
			packed, err := plain.Codec{}.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := (plain.Codec{}).Unmarshal(packed, again); err != nil || fmt.Sprint(reflect.ValueOf(again).Elem()) != fmt.Sprint(reflect.ValueOf(v).Elem()) {
				t.Fatalf("%q is %v, then %v, %v", data, v, again, err)
			}
		}
	})
}
