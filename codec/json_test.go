package codec_test

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
)

type person struct {
	Name string   `json:"name"`
	Age  int      `json:"age,omitempty"`
	Tags []string `json:"tags,omitempty"`
}

func TestJSONRoundTrip(t *testing.T) {
	tests := []struct {
		in   interface{}
		want string
		out  interface{}
	}{
		{person{"é<\n", 3, []string{"a"}}, `{"name":"é\u003c\n","age":3,"tags":["a"]}`, new(person)},
		{map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}`, new(map[string]int)},
		{"s", `"s"`, new(string)},
		{[]byte("abc"), `"YWJj"`, new([]byte)},
		{[2]int{1, 2}, `[1,2]`, new([2]int)},
		{json.Number("12.50"), `12.50`, new(json.Number)},
	}
	for _, tt := range tests {
		data, err := codec.JsonCodec{}.Marshal(tt.in)
		if err != nil || string(data) != tt.want {
			t.Errorf("marshal %T: got %s, %v, want %s", tt.in, data, err, tt.want)
		}
		if err := (codec.JsonCodec{}).Unmarshal(data, tt.out); err != nil {
			t.Errorf("unmarshal %s: %v", data, err)
		}
		if got := reflect.ValueOf(tt.out).Elem().Interface(); !reflect.DeepEqual(got, tt.in) {
			t.Errorf("got %#v, want %#v", got, tt.in)
		}
	}
}

func TestJSONNothing(t *testing.T) {
	if data, err := (codec.JsonCodec{}).Marshal(nil); string(data) != "null" || err != nil {
		t.Errorf("marshal nil: got %s, %v, want null", data, err)
	}
	p := person{Name: "kept"}
	for _, data := range [][]byte{nil, {}} {
		if err := (codec.JsonCodec{}).Unmarshal(data, &p); err != nil || p.Name != "kept" {
			t.Errorf("no data: got %v, %v, want no change", p, err)
		}
	}
	var empty struct{}
	if err := (codec.JsonCodec{}).Unmarshal([]byte(`{"a":1}`), &empty); err != nil {
		t.Errorf("into *struct{}: %v", err)
	}
}

// What a large body took is not kept for the next one.
func TestJSONKeepsNoLargeBuffer(t *testing.T) {
	held := func() uint64 {
		runtime.GC() // one does not empty a sync.Pool
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const size = 8 << 20
	for name, marshal := range map[string]func(interface{}) ([]byte, error){
		"Marshal":       codec.JsonCodec{}.Marshal,
		"MarshalAppend": func(v interface{}) ([]byte, error) { return codec.MarshalAppend(codec.JsonCodec{}, nil, v) },
	} {
		text := strings.Repeat("x", size)
		before := held()
		if data, err := marshal(text); err != nil || len(data) != size+2 {
			t.Fatalf("%s: %d bytes, %v", name, len(data), err)
		}
		if after := held(); after > before+size/2 {
			t.Errorf("%s: %d bytes are held after a text of %d", name, after-before, size)
		}
		runtime.KeepAlive(text)
	}
}

// link and family contain themselves, family by way of a slice in a map.
type (
	link   struct{ Next *link }
	family struct {
		Name     string
		Children map[string][]family
	}
)

// The text of an error must not be made again for each level that it comes from: 80 KB
// took 100,000 times their bytes of memory, and seconds.
func TestJSONDeepError(t *testing.T) {
	deep := strings.Repeat(`{"Next":`, 9999) + "x"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := codec.JsonCodec{}.Unmarshal([]byte(deep), new(link))
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "*codec_test.link") {
		t.Errorf("got %.200v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%d bytes took %d of memory", len(deep), took)
	}
}

// What is nested deep is decoded alike on both sides of where jsoniter is not asked any
// more, and what was decoded does not change with the data.
func TestJSONDeep(t *testing.T) {
	for _, n := range []int{1, 30, 33, 34, 35, 99, 101, 3000} {
		data := []byte(strings.Repeat(`{"Name":"a","Children":{"b":[`, n) + `{"Name":"inmost"}` + strings.Repeat("]}}", n))
		f := new(family)
		if err := (codec.JsonCodec{}).Unmarshal(data, f); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		clear(data)
		for range n {
			f = &f.Children["b"][0]
		}
		if f.Name != "inmost" {
			t.Errorf("%d: got %+v", n, f)
		}
	}
	var own []*rawJSON
	data := []byte(`[` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]`)
	if err := (codec.JsonCodec{}).Unmarshal(data, &own); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got := string(own[0].raw); got != strings.Repeat("[", 200)+strings.Repeat("]", 200) {
		t.Errorf("what a method kept became %q", got)
	}
	type keeps struct {
		Own  rawJSON
		Next *keeps // for it to contain itself
	}
	data = []byte(`{"Own":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`)
	v := new(keeps)
	if err := (codec.JsonCodec{}).Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got := string(v.Own.raw); got != strings.Repeat("[", 200)+strings.Repeat("]", 200) {
		t.Errorf("what a method kept became %q", got)
	}
}

func TestJSONErrors(t *testing.T) {
	if _, err := (codec.JsonCodec{}).Marshal(make(chan int)); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("marshal a channel: got %v, want an error that names the type", err)
	}
	for _, data := range []string{"x", " ", `{"name":1}`, `{"name":"a"} x`, `{"name":"a"}{}`, strings.Repeat("[", 100000)} {
		if err := (codec.JsonCodec{}).Unmarshal([]byte(data), new(person)); err == nil || !strings.Contains(err.Error(), "*codec_test.person") {
			t.Errorf("unmarshal %.20q: got %v, want an error that names the type", data, err)
		}
	}
}

func TestJSONTruncated(t *testing.T) {
	whole := `{"name":"x\u00e9y","age":123,"tags":["a","b"],"other":[{"k":null},true,false,1.5e3]}`
	for n := 1; n < len(whole); n++ {
		for _, v := range []interface{}{new(person), new(interface{}), new(json.RawMessage), new(map[string]json.RawMessage)} {
			if err := (codec.JsonCodec{}).Unmarshal([]byte(whole[:n]), v); err == nil {
				t.Errorf("%s into %T: got no error", whole[:n], v)
			}
		}
	}
}

func FuzzJSONUnmarshal(f *testing.F) {
	for _, seed := range []string{"", "null", `{"name":"a","age":1,"tags":["x"]}`, `[1,2.5e3,"\u0041"]`, `{"a":{"b":[{}]}}`, `"`, "[[[["} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []interface{}{new(person), new(interface{}), new(json.RawMessage), new(everything), new([]byte), new(map[string]int)} {
			if err := (codec.JsonCodec{}).Unmarshal(data, v); err != nil {
				continue
			}
			if _, err := (codec.JsonCodec{}).Marshal(v); err != nil && json.Valid(data) {
				t.Logf("%q made a %T that cannot be marshaled: %v", data, v, err)
			}
		}
	})
}

// BenchmarkJSON encodes and decodes a small struct, into one that is used again.
func BenchmarkJSON(b *testing.B) {
	p := person{Name: "name", Age: 30, Tags: []string{"a", "b"}}
	data, err := codec.JsonCodec{}.Marshal(&p)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = codec.JsonCodec{}.Marshal(&p)
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = codec.JsonCodec{}.Unmarshal(data, &p)
		}
	})
}
