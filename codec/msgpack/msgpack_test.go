package msgpack_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/vmihailenco/msgpack/v5"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/msgpack"
)

type inner struct {
	Name string `json:"name"`
	Size int    `msgpack:"s" json:"size"`
}

// Embedded is a struct in object that has no name of its own there.
type Embedded struct {
	Above string `json:"above"`
}

// object has a field of each kind.
type object struct {
	Embedded
	ID     uint64
	Min    int64          `json:"min"`
	Ratio  float64        `json:"ratio"`
	On     bool           `json:"on"`
	Bytes  []byte         `json:"bytes"`
	Text   string         `json:"text"`
	Tags   []string       `json:"tags"`
	Counts map[string]int `json:"counts"`
	Inner  *inner         `json:"inner"`
	List   []inner        `json:"list"`
	Any    interface{}    `json:"any"`
	Time   time.Time      `json:"time"`
	Skip   string         `json:"-"`
	Empty  string         `json:"empty,omitempty"`
	Raw    library.RawMessage
}

func sample() *object {
	return &object{
		Embedded: Embedded{"embedded"}, ID: math.MaxUint64, Min: math.MinInt64, Ratio: 0.1, On: true, Bytes: []byte{0, 1, 255},
		Text: "é<\n", Tags: []string{"a", strings.Repeat("b", 300)}, Counts: map[string]int{"x": 1}, Inner: &inner{"p", 2},
		List: []inner{{"l", 3}, {}}, Any: map[string]interface{}{"n": int64(7), "f": 1.5, "l": []interface{}{"a", true, nil}},
		Time: time.Unix(1700000000, 5).UTC(), Raw: library.RawMessage{0x93, 1, 2, 3},
	}
}

func marshal(t testing.TB, v interface{}) []byte {
	t.Helper()
	data, err := msgpack.Codec{}.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRegistered(t *testing.T) {
	if c, err := codec.GetByName("msgpack"); err != nil || c.Id() != 'm' || !codec.CopiesData(c) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	data := marshal(t, want)
	got := new(object)
	if err := (msgpack.Codec{}).Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	got.Time = got.Time.UTC()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// Appending makes the same bytes, and leaves what is there.
	appended, err := codec.MarshalAppend(msgpack.Codec{}, []byte("front"), want)
	if err != nil || string(appended[:5]) != "front" || !bytes.Equal(appended[5:], data) {
		t.Errorf("appended: got %q, %v", appended, err)
	}
	// What a user gets does not change with the data.
	for i := range data {
		data[i] = '#'
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changed with the data: got %+v\nwant %+v", got, want)
	}
}

// The bytes are those of the specification.
func TestGolden(t *testing.T) {
	tests := []struct {
		in   interface{}
		want string
	}{
		{nil, "\xc0"},
		{true, "\xc3"},
		{int8(1), "\x01"},
		{uint16(300), "\xcd\x01\x2c"},
		{"abc", "\xa3abc"},
		{[]byte("abc"), "\xc4\x03abc"},
		{[]string{"a", "b"}, "\x92\xa1a\xa1b"},
		{1.5, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"},
		{map[string]interface{}{"b": nil, "a": true}, "\x82\xa1a\xc3\xa1b\xc0"},
		{struct {
			A string `json:"a"`
			B bool   `msgpack:"x" json:"b"`
		}{"n", true}, "\x82\xa1a\xa1n\xa1x\xc3"},
	}
	for _, tt := range tests {
		if got := marshal(t, tt.in); string(got) != tt.want {
			t.Errorf("%#v: got %x, want %x", tt.in, got, tt.want)
		}
	}
}

func TestNothing(t *testing.T) {
	in := inner{Name: "kept"}
	if err := (msgpack.Codec{}).Unmarshal(nil, &in); err != nil || in.Name != "kept" {
		t.Errorf("no data: got %v, %v, want no change", in, err)
	}
	if err := (msgpack.Codec{}).Unmarshal([]byte("\xc1\xc1"), nil); err != nil {
		t.Errorf("into nil: %v", err)
	}
	if err := (msgpack.Codec{}).Unmarshal(marshal(t, sample()), &struct{}{}); err != nil {
		t.Errorf("into *struct{}: %v", err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := (msgpack.Codec{}).Marshal(make(chan int)); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("marshal a channel: got %v, want an error that names the type", err)
	}
	for _, v := range []interface{}{5, "s", inner{}, (*inner)(nil)} {
		if err := (msgpack.Codec{}).Unmarshal([]byte("\x01"), v); err == nil {
			t.Errorf("into %T: got no error", v)
		}
	}
	for _, data := range []string{"\xc1", "\x01\x01", "\xa5abcd", "\x01", "\x81\xa4name\x01", "\x92\x01", "\xd9"} {
		if err := (msgpack.Codec{}).Unmarshal([]byte(data), new(inner)); err == nil || !strings.Contains(err.Error(), "*msgpack_test.inner") {
			t.Errorf("%x: got %v, want an error that names the type", data, err)
		}
	}
}

// A value that is cut off anywhere is an error, for each kind of target.
func TestTruncated(t *testing.T) {
	data := marshal(t, sample())
	for n := 1; n < len(data); n++ {
		for _, v := range []interface{}{new(object), new(interface{}), new(library.RawMessage), new(struct{})} {
			if err := (msgpack.Codec{}).Unmarshal(data[:n], v); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("cut to %d of %d bytes, into %T: got %v", n, len(data), v, err)
			}
		}
	}
}

// Values of all widths: what is checked before is what the library reads.
func TestWidths(t *testing.T) {
	var values []interface{}
	for _, n := range []int{0, 15, 16, 31, 32, 255, 256, 70000} {
		m := make(map[string]interface{}, n)
		for i := range n {
			m[fmt.Sprint(i)] = nil
		}
		values = append(values, strings.Repeat("s", n), make([]interface{}, n), bytes.Repeat([]byte("b"), n), m)
	}
	for _, n := range []uint64{0, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		values = append(values, n)
	}
	for _, n := range []int64{-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64} {
		values = append(values, n, int8(n), int16(n), int32(n))
	}
	values = append(values, float32(1.5), time.Unix(1, 0), time.Unix(1<<34, 5), time.Unix(1<<35, 0))
	for i, v := range values {
		data := marshal(t, v)
		var got interface{}
		if err := (msgpack.Codec{}).Unmarshal(data, &got); err != nil {
			t.Errorf("value %d, a %T: %v", i, v, err)
		}
		if len(data) > 1 {
			if err := (msgpack.Codec{}).Unmarshal(data[:len(data)-1], &got); err == nil {
				t.Errorf("value %d, a %T, without its last byte: got no error", i, v)
			}
		}
	}
	for size := range 18 { // extensions of a type that nobody knows
		ext := append([]byte{0xc7, byte(size), 99}, make([]byte, size)...)
		if fix := map[int]byte{1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}[size]; fix != 0 {
			ext = append([]byte{fix}, ext[2:]...)
		}
		var raw library.RawMessage
		if err := (msgpack.Codec{}).Unmarshal(ext, &raw); err != nil || !bytes.Equal(raw, ext) {
			t.Errorf("extension of %d bytes: got %x, %v", size, raw, err)
		}
		if err := (msgpack.Codec{}).Unmarshal(ext, new(interface{})); err == nil {
			t.Errorf("extension of %d bytes into an interface{}: got no error", size)
		}
	}
}

// Five bytes that claim 2^32-1 elements are refused before memory is taken for
// them, whatever they are decoded into.
func TestClaims(t *testing.T) {
	for _, head := range []string{"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff\x01", "\xdc\xff\xff", "\xde\xff\xff"} {
		for _, v := range []interface{}{new([]object), new([]string), new([]interface{}), new(map[string]string), new(map[int]object), new([]byte), new(interface{})} {
			for _, data := range []string{head + "\x01\x01", "\x92\xc0" + head + "\x01\x01"} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := msgpack.Codec{}.Unmarshal([]byte(data), v)
				runtime.ReadMemStats(&after)
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%x into %T: got %v, want %v", data, v, err, io.ErrUnexpectedEOF)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
					t.Errorf("%x into %T: took %d bytes", data, v, n)
				}
			}
		}
	}
}

// The decoder calls itself: what is nested without end would end the program.
func TestDepth(t *testing.T) {
	for _, n := range []int{msgpack.MaxDepth, msgpack.MaxDepth + 1, 10 << 20} {
		for _, element := range []string{"\x91", "\x81\xa1a"} {
			data := append(bytes.Repeat([]byte(element), n), 0xc0)
			for _, v := range []interface{}{new(interface{}), new(struct{ A int }), new(library.RawMessage)} {
				err := msgpack.Codec{}.Unmarshal(data, v)
				if refused := err != nil && strings.Contains(err.Error(), "nested"); refused != (n > msgpack.MaxDepth) {
					t.Errorf("%d times %x into %T: got %v", n, element, v, err)
				}
			}
		}
	}
}

// What a large body took is not kept for the next one.
func TestKeepsNoLargeBuffer(t *testing.T) {
	held := func() uint64 {
		runtime.GC() // one does not empty a sync.Pool
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const size = 8 << 20
	data := marshal(t, strings.Repeat("x", size))
	before := held()
	if err := (msgpack.Codec{}).Unmarshal(data, new(string)); err != nil {
		t.Fatal(err)
	}
	if after := held(); after > before+size/2 {
		t.Errorf("%d bytes are held after a text of %d", after-before, size)
	}
	runtime.KeepAlive(data)
}

func TestConcurrent(t *testing.T) {
	want := sample()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				data, err := msgpack.Codec{}.Marshal(want)
				if err != nil {
					t.Error(err)
				}
				got := new(object)
				if err := (msgpack.Codec{}).Unmarshal(data, got); err != nil || got.ID != want.ID || !reflect.DeepEqual(got.List, want.List) {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(marshal(f, sample()))
	for _, seed := range []string{"", "\xc0", "\x93\x01\xa1a\xc0", "\xdd\xff\xff\xff\xff", "\x81\xa4name\xa1n", "\xd6\xff\x00\x00\x00\x00", "\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		for _, v := range []interface{}{new(object), new(interface{}), new([]inner), new(map[string]int), new([]byte), new(time.Time), new(library.RawMessage)} {
			err := msgpack.Codec{}.Unmarshal(data, v)
			if !bytes.Equal(data, before) {
				t.Fatal("it wrote to data")
			}
			if errors.Is(err, io.EOF) {
				t.Fatal("got io.EOF")
			}
			if raw, ok := v.(*library.RawMessage); ok && err == nil && string(data) != "\xc0" && !bytes.Equal(*raw, data) {
				t.Fatalf("%x is taken for the value %x", data, *raw)
			}
			if err == nil && len(data) > 0 {
				if _, err := (msgpack.Codec{}).Marshal(v); err != nil {
					t.Fatalf("%x made a %T that cannot be marshaled: %v", data, v, err)
				}
			}
		}
	})
}
