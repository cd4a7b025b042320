package form_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/form"
)

type part struct {
	G int
	H *string `form:"h"`
}

// Above is embedded in everything.
type Above struct{ E string }

type everything struct {
	Above
	Text   string `form:"text"`
	Int    int64
	Uint   uint8
	Float  float64
	Bool   bool
	Words  []string `form:"w"`
	Part   part
	Ptr    *part
	Parts  []part         `form:"parts"`
	Counts map[string]int `form:"counts"`
	ByID   map[int]string
	Time   time.Time
	Empty  string `form:"empty,omitempty"`
	Secret string `form:"-"`
}

func sample() *everything {
	h := "h"
	return &everything{
		Above: Above{"e"}, Text: "a b&=é[]", Int: -5, Uint: 255, Float: 0.1, Bool: true, Words: []string{"x", "", "y"},
		Part: part{3, &h}, Ptr: &part{G: 4}, Parts: []part{{G: 1}, {H: &h}}, Counts: map[string]int{"x": 1, "123456": 2},
		ByID: map[int]string{99999: "far"}, Time: time.Unix(1, 0).UTC(),
	}
}

func TestRegistered(t *testing.T) {
	if c, err := codec.GetByName("form"); err != nil || c.Id() != 'f' || !codec.CopiesData(c) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	data, err := form.Codec{}.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(everything)
	if err := (form.Codec{}).Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = '#' // what a user gets does not change with the data
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestMarshal(t *testing.T) {
	type flat struct {
		A string   `form:"a"`
		B int32    `form:"b"`
		C []string `form:"c"`
		D *bool
	}
	var nilFlat *flat
	tests := []struct {
		in   interface{}
		want string
	}{
		{nil, ""},
		{nilFlat, ""},
		{url.Values(nil), ""},
		{struct{}{}, ""},
		{url.Values{"b": {"2"}, "a": {"1", "x y"}}, "a=1&a=x+y&b=2"},
		{&url.Values{"a": {"&"}}, "a=%26"},
		{map[string][]string{"a": {"1"}}, "a=1"},
		{map[string]string{"b": "", "a": "1"}, "a=1&b="},
		{flat{"aaa", 2, []string{"ccc1", "ccc2"}, nil}, "a=aaa&b=2&c=ccc1&c=ccc2"},
	}
	for _, tt := range tests {
		got, err := form.Codec{}.Marshal(tt.in)
		if string(got) != tt.want || got == nil || err != nil {
			t.Errorf("%T: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
		appended, err := codec.MarshalAppend(form.Codec{}, []byte("front"), tt.in)
		if string(appended) != "front"+tt.want || err != nil {
			t.Errorf("%T, appended: got %q, %v", tt.in, appended, err)
		}
	}
	type tree struct{ Left, Right *tree }
	type list []list
	for _, v := range []interface{}{1, "s", []string{"a"}, map[string]int{}, make(chan int), struct{ A [2]int }{}, tree{}, struct{ L list }{}} {
		if got, err := (form.Codec{}).Marshal(v); got != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%T", v)) {
			t.Errorf("%T: got %q, %v, want an error that names the type", v, got, err)
		}
	}
}

type pairs map[string]string

func TestUnmarshal(t *testing.T) {
	data := []byte("a=1&b=x+y&a=2&c=%26")
	values := url.Values{"a": {"1", "2"}, "b": {"x y"}, "c": {"&"}}
	plain := map[string]string{"a": "1", "b": "x y", "c": "&"}
	tests := []struct{ into, want interface{} }{
		{new(url.Values), values},
		{new(map[string][]string), map[string][]string(values)},
		{new(interface{}), values},
		{new(map[string]string), plain},
		{new(pairs), pairs(plain)},
		{new(*url.Values), &values},
		{new(struct {
			A []int `form:"a"`
		}), struct {
			A []int `form:"a"`
		}{[]int{1, 2}}},
		{new(struct{}), struct{}{}},
	}
	for _, tt := range tests {
		if err := (form.Codec{}).Unmarshal(data, tt.into); err != nil {
			t.Errorf("%T: %v", tt.into, err)
		}
		if got := reflect.ValueOf(tt.into).Elem().Interface(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%T: got %v, want %v", tt.into, got, tt.want)
		}
	}
	kept := Above{"kept"}
	for _, data := range []string{"", "other=1"} {
		if err := (form.Codec{}).Unmarshal([]byte(data), &kept); err != nil || kept.E != "kept" {
			t.Errorf("%q: got %v, %v, want no change", data, kept, err)
		}
	}
	if err := (form.Codec{}).Unmarshal([]byte("%%%"), nil); err != nil {
		t.Errorf("into nil: %v", err)
	}
	for _, v := range []interface{}{5, Above{}, (*Above)(nil), new(string), new(int), new([]string), new([2]int), new(struct{ A [2]int }), new(fmt.Stringer)} {
		if err := (form.Codec{}).Unmarshal([]byte("a=1"), v); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%T", v)) {
			t.Errorf("into %T: got %v, want an error that names the type", v, err)
		}
	}
	for _, data := range []string{"%zz=1", "a=%1", "Int=x", "Uint=256", "Time=now", "a;b=1"} {
		if err := (form.Codec{}).Unmarshal([]byte(data), new(everything)); err == nil {
			t.Errorf("%q: got no error", data)
		}
	}
}

// What the library would panic at, print about, or take very much memory or time
// for is refused before.
func TestHostile(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	type c struct{ C []int }
	type b struct{ B []c }
	type a struct{ A []b }
	var deep, wide strings.Builder
	for i := range 9999 {
		fmt.Fprintf(&deep, "A[%d].B[0].C[0]=1&", i)
		fmt.Fprintf(&wide, "A[%d].B[999].C[0]=1&", i%300)
	}
	tests := []struct{ name, data, want string }{
		{"no end", "A[=1", "bracket"},
		{"no beginning", "A]=1", "bracket"},
		{"wrong order", "A]0[=1", "bracket"},
		{"nested", "A[[0]]=1", "bracket"},
		{"far", "A[9999999].B[0].C[0]=1", "leave out"},
		{"too far to count", "A[9223372036854775807].B[0].C[0]=1", "leave out"},
		{"a little far, often", "A[500].B[0].C[0]=1&A[0].B[500].C[0]=1&A[1].B[500].C[0]=1", "leave out"},
		{"many slices", wide.String(), "indices"},
		{"many indices", deep.String(), "indices"},
		{"many indices in a key", strings.Repeat("[0]", 100000) + "=1", "more than 2000 indices"},
		{"many pairs", strings.Repeat("A=1&", 10000), "more than 10000 pairs"},
		{"number of no int", "A[99999999999999999999].B[0].C[0]=1", "index"},
		{"negative", "A[-1].B[0].C[0]=1", "index"},
		{"no index", "A[].B[0].C[0]=1", "index"},
	}
	for _, tt := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := form.Codec{}.Unmarshal([]byte(tt.data), new(a))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%s: %d bytes took %d of memory", tt.name, len(tt.data), n)
		}
	}
	if printed.Len() > 0 {
		t.Errorf("the log has %q", &printed)
	}
	// The numbers of a map are no indices.
	got := new(everything)
	if err := (form.Codec{}).Unmarshal([]byte("ByID[123456789]=x&counts[7777777]=1"), got); err != nil || got.ByID[123456789] != "x" || got.Counts["7777777"] != 1 {
		t.Errorf("a map: got %+v, %v", got, err)
	}
}

func TestConcurrent(t *testing.T) {
	want := sample()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				data, err := form.Codec{}.Marshal(want)
				if err != nil {
					t.Error(err)
				}
				got := new(everything)
				if err := (form.Codec{}).Unmarshal(data, got); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzUnmarshal(f *testing.F) {
	log.SetOutput(io.Discard)
	data, err := form.Codec{}.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, seed := range []string{"", "a=1&a=2", "parts[0].G=1", "counts[a]=1", "parts[", "w[3]=x&w=y", "=", "&&", "%", "Ptr.h=1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []interface{}{new(everything), new(url.Values), new(map[string]string), new(interface{}), new(struct {
			A []struct{ B []struct{ C []int } }
		})} {
			if err := (form.Codec{}).Unmarshal(data, v); err != nil {
				continue
			}
			if _, ok := v.(*interface{}); ok && len(data) == 0 {
				continue
			}
			if _, err := (form.Codec{}).Marshal(v); err != nil {
				t.Fatalf("%q made a %T that cannot be marshaled: %v", data, v, err)
			}
		}
		var values, again url.Values
		if err := (form.Codec{}).Unmarshal(data, &values); err != nil || len(values) == 0 {
			return
		}
		packed, err := form.Codec{}.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if err := (form.Codec{}).Unmarshal(packed, &again); err != nil || !reflect.DeepEqual(again, values) {
			t.Fatalf("%q: got %v, %v, want %v", data, again, err, values)
		}
	})
}
