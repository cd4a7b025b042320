package stdjson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/gojson"
	"github.com/henrylee2cn/teleport/codec/stdjson"
)

// implementations are the codecs "json" that there are, with the name of each in
// doc/codecs.md.
var implementations = []struct {
	name  string
	codec codec.Codec
}{
	{"jsoniter", codec.JsonCodec{}},
	{"gojson", gojson.Codec{}},
	{"stdjson", stdjson.Codec{}},
}

type embedded struct {
	Above string `json:"above"`
	Both  string `json:"both"`
}

type outer struct {
	embedded
	*Pointed
	Both string `json:"both"`
}

// Pointed is embedded by a pointer.
type Pointed struct {
	Below int `json:"below"`
}

type fields struct {
	Name  string              `json:"name"`
	Age   int                 `json:"age,omitempty"`
	Quote int64               `json:"quote,string"`
	Ptr   *int                `json:"ptr"`
	Map   map[string]int      `json:"map"`
	List  []int               `json:"list"`
	Raw   json.RawMessage     `json:"raw"`
	Bytes []byte              `json:"bytes"`
	When  time.Time           `json:"when"`
	Any   interface{}         `json:"any"`
	Nums  map[int]string      `json:"nums"`
	Num   json.Number         `json:"num"`
	Float float32             `json:"float"`
	Texts map[textKey]bool    `json:"texts"`
	Inner *struct{ A, B int } `json:"inner"`
}

type textKey string

func (k textKey) MarshalText() ([]byte, error) { return []byte("<" + k + ">"), nil }

type upper string

func (u upper) MarshalJSON() ([]byte, error) { return json.Marshal(strings.ToUpper(string(u))) }

type viaPointer struct{ s string }

func (v *viaPointer) MarshalJSON() ([]byte, error) { return json.Marshal("p:" + v.s) }

var seven = 7

// TestMarshalAlike has what all implementations write; "" means an error. Where one
// of them differs, differs says what it does, and doc/codecs.md has a line of it.
func TestMarshalAlike(t *testing.T) {
	tests := []struct {
		name    string
		in      interface{}
		want    string
		differs map[string]string
	}{
		{"nil", nil, `null`, nil},
		{"nil pointer", (*fields)(nil), `null`, nil},
		{"nil slice", []int(nil), `null`, nil},
		{"empty slice", []int{}, `[]`, nil},
		{"nil map", map[string]int(nil), `null`, nil},
		{"empty struct", struct{}{}, `{}`, nil},
		{"html", "<a href=\"x\">&", `"\u003ca href=\"x\"\u003e\u0026"`, nil},
		{"html in a key", map[string]int{"<": 1}, `{"\u003c":1}`, nil},
		{"line separators", "\u2028\u2029", `"\u2028\u2029"`, nil},
		{"control characters", "\x00\t\n\x1f", `"\u0000\t\n\u001f"`, nil},
		{"backspace and form feed", "\b\f", `"\b\f"`, map[string]string{"jsoniter": `"\u0008\u000c"`}},
		{"invalid UTF-8", "a\xffb", `"a\ufffdb"`, nil},
		{"sorted keys", map[string]int{"b": 2, "a": 1, "c": 3}, `{"a":1,"b":2,"c":3}`, nil},
		{"numbers as keys", map[int]string{10: "x", 9: "y"}, `{"10":"x","9":"y"}`, nil},
		{"texts as keys", map[textKey]int{"a": 1}, `{"a":1}`, map[string]string{"jsoniter": `{"\u003ca\u003e":1}`}},
		{"largest integers", []interface{}{int64(math.MinInt64), uint64(math.MaxUint64)}, `[-9223372036854775808,18446744073709551615]`, nil},
		{
			"floats",
			[]float64{0, 1, -0.5, 0.1, 1e20, 1e21, 1e-6, 1e-7, 123456789.125},
			`[0,1,-0.5,0.1,100000000000000000000,1e+21,0.000001,1e-7,123456789.125]`,
			map[string]string{"jsoniter": `[0,1,-0.5,0.1,100000000000000000000,1e+21,0.000001,1e-07,123456789.125]`},
		},
		{"float32", []float32{0.1, 16777216, 3.4e38}, `[0.1,16777216,3.4e+38]`, nil},
		{"negative zero", math.Copysign(0, -1), `-0`, nil},
		{"NaN", math.NaN(), "", nil},
		{"infinity", math.Inf(1), "", nil},
		{"json.Number", json.Number("12.50"), `12.50`, nil},
		{"empty json.Number", json.Number(""), `0`, nil},
		{"no json.Number", json.Number("x"), "", map[string]string{"jsoniter": `x`}},
		{"bytes", []byte("abc\xff"), `"YWJj/w=="`, nil},
		{"array of bytes", [3]byte{1, 2, 3}, `[1,2,3]`, nil},
		{"raw message", json.RawMessage(`{"b": 1 , "a":[ ]}`), `{"b":1,"a":[]}`, map[string]string{"jsoniter": `{"b": 1 , "a":[ ]}`}},
		{"html in a raw message", json.RawMessage(`"<"`), `"\u003c"`, map[string]string{"jsoniter": `"<"`}},
		{"raw message that is none", json.RawMessage(`{"a"`), "", map[string]string{"jsoniter": `null`}},
		{"time", time.Date(2017, 12, 1, 2, 3, 4, 5, time.UTC), `"2017-12-01T02:03:04.000000005Z"`, nil},
		{"embedded", outer{embedded{"a", "hidden"}, &Pointed{1}, "b"}, `{"above":"a","below":1,"both":"b"}`, nil},
		{"embedded nil", outer{embedded: embedded{Above: "a"}}, `{"above":"a","both":""}`, nil},
		{"method of a value", []upper{"a"}, `["A"]`, nil},
		{"method of a pointer, addressed", []*viaPointer{{"a"}}, `["p:a"]`, nil},
		{"method of a pointer, in a slice", []viaPointer{{"a"}}, `["p:a"]`, nil},
		{"method of a pointer, of a value", struct{ V viaPointer }{viaPointer{"a"}}, `{"V":{}}`, map[string]string{"jsoniter": `{"V":"p:a"}`}},
		{"error of a method", struct{ V json.Marshaler }{failing{}}, "", nil},
		{"all fields, zero", fields{}, `{"name":"","quote":"0","ptr":null,"map":null,"list":null,"raw":null,"bytes":null,"when":"0001-01-01T00:00:00Z","any":null,"nums":null,"num":0,"float":0,"texts":null,"inner":null}`, nil},
		{
			"all fields",
			fields{Name: "n", Age: 1, Quote: -5, Ptr: &seven, Map: map[string]int{"x": 1}, List: []int{1}, Raw: json.RawMessage(`1`), Any: []interface{}{"s", 1.5, nil, true}, Num: "3"},
			`{"name":"n","age":1,"quote":"-5","ptr":7,"map":{"x":1},"list":[1],"raw":1,"bytes":null,"when":"0001-01-01T00:00:00Z","any":["s",1.5,null,true],"nums":null,"num":3,"float":0,"texts":null,"inner":null}`, nil,
		},
		{"omitzero", struct {
			T time.Time `json:"t,omitzero"`
		}{}, `{}`, map[string]string{"jsoniter": `{"t":"0001-01-01T00:00:00Z"}`}},
		{"channel", make(chan int), "", nil},
		{"function", func() {}, "", nil},
		{"complex", 1i, "", nil},
	}
	for _, tt := range tests {
		for _, impl := range implementations {
			want := tt.want
			if other, ok := tt.differs[impl.name]; ok {
				want = other
			}
			got, err := impl.codec.Marshal(tt.in)
			if string(got) != want || (err != nil) != (want == "") {
				t.Errorf("%s: %s: got %s, %v, want %s", tt.name, impl.name, got, err, want)
			}
			appended, err := codec.MarshalAppend(impl.codec, []byte("front"), tt.in)
			if (err != nil) != (want == "") || err == nil && string(appended) != "front"+want {
				t.Errorf("%s: %s, appended: got %s, %v, want %s", tt.name, impl.name, appended, err, want)
			}
		}
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("no") }

// Types that contain themselves.
type (
	lists []lists
	maps  map[string]maps
	chain struct{ Next *chain }
)

func listsOf(depth int) lists {
	all := lists{}
	for range depth - 1 {
		all = lists{all}
	}
	return all
}

// TestUnmarshalAlike has what all implementations read; a nil want means an error.
func TestUnmarshalAlike(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name    string
		data    string
		into    func() interface{}
		want    interface{}
		differs map[string]interface{}
	}{
		{"no bytes", "", func() interface{} { return &embedded{Above: "kept"} }, embedded{Above: "kept"}, nil},
		{"null", "null", func() interface{} { return &embedded{Above: "kept"} }, embedded{Above: "kept"}, nil},
		{"null into a pointer", "null", func() interface{} { p := &seven; return &p }, (*int)(nil), nil},
		{"null into a slice", "null", func() interface{} { return &[]int{1} }, []int(nil), nil},
		{"unknown fields", `{"above":"a","x":{"y":[1,{"z":null}]}}`, func() interface{} { return new(embedded) }, embedded{Above: "a"}, nil},
		{"other case", `{"ABOVE":"a"}`, func() interface{} { return new(embedded) }, embedded{Above: "a"}, nil},
		{"a field twice", `{"above":"a","above":"b"}`, func() interface{} { return new(embedded) }, embedded{Above: "b"}, nil},
		{"fields that stay", `{"both":"b"}`, func() interface{} { return &embedded{Above: "kept"} }, embedded{"kept", "b"}, nil},
		{"keys that stay", `{"b":2}`, func() interface{} { return &map[string]int{"a": 1} }, map[string]int{"a": 1, "b": 2}, nil},
		{"a slice that is used again", `[3]`, func() interface{} { return &[]int{1, 2} }, []int{3}, nil},
		{"array, too few", `[1]`, func() interface{} { return &[2]int{5, 5} }, [2]int{1, 0}, map[string]interface{}{"jsoniter": [2]int{1, 5}}},
		{"array, too many", `[1,2,3]`, func() interface{} { return new([2]int) }, [2]int{1, 2}, nil},
		{"integer in an interface", `5`, func() interface{} { return new(interface{}) }, 5.0, nil},
		{"large integer in an interface", `9007199254740993`, func() interface{} { return new(interface{}) }, 9007199254740992.0, nil},
		{"large integer", `9223372036854775807`, func() interface{} { return new(int64) }, int64(math.MaxInt64), nil},
		{"integer that does not fit", `9223372036854775808`, func() interface{} { return new(int64) }, nil, nil},
		{"byte that does not fit", `256`, func() interface{} { return new(uint8) }, nil, nil},
		{"negative unsigned", `-1`, func() interface{} { return new(uint) }, nil, nil},
		{"fraction as an integer", `1.5`, func() interface{} { return new(int) }, nil, nil},
		{"exponent as an integer", `1e2`, func() interface{} { return new(int) }, nil, nil},
		{"float that does not fit", `1e999`, func() interface{} { return new(float64) }, nil, nil},
		{"leading zero", `01`, func() interface{} { return new(int) }, nil, nil},
		{"plus", `+1`, func() interface{} { return new(int) }, nil, nil},
		{"json.Number", `12345678901234567890.50`, func() interface{} { return new(json.Number) }, json.Number("12345678901234567890.50"), nil},
		{"string as a number", `"5"`, func() interface{} { return new(int) }, nil, nil},
		{"number as a string", `5`, func() interface{} { return new(string) }, nil, nil},
		{"quoted", `{"quote":"-7"}`, func() interface{} { return new(fields) }, fields{Quote: -7}, nil},
		{"escapes", `"\u00e9\n\/\ud83d\ude00"`, func() interface{} { return new(string) }, "é\n/😀", nil},
		{"half a surrogate", `"\ud83d"`, func() interface{} { return new(string) }, "\ufffd", nil},
		{"invalid UTF-8", "\"a\xffb\"", func() interface{} { return new(string) }, "a\ufffdb", map[string]interface{}{"jsoniter": "a\xffb"}},
		{"newline in a string", "\"a\nb\"", func() interface{} { return new(string) }, nil, nil},
		{"wrong escape", `"\x"`, func() interface{} { return new(string) }, nil, nil},
		{"bytes", `"YWJj"`, func() interface{} { return new([]byte) }, []byte("abc"), nil},
		{"bytes that are none", `"?"`, func() interface{} { return new([]byte) }, nil, nil},
		{"embedded", `{"above":"a","below":2,"both":"b"}`, func() interface{} { return &outer{Pointed: &Pointed{}} }, outer{embedded{Above: "a"}, &Pointed{2}, "b"}, nil},
		{"numbers as keys", `{"nums":{"5":"x"}}`, func() interface{} { return new(fields) }, fields{Nums: map[int]string{5: "x"}}, nil},
		{"white space", " \t\r\n{ } ", func() interface{} { return new(embedded) }, embedded{}, nil},
		{"only white space", " ", func() interface{} { return new(embedded) }, nil, nil},
		{"more after the value", `{} x`, func() interface{} { return new(embedded) }, nil, nil},
		{"a second value", `{}{}`, func() interface{} { return new(embedded) }, nil, nil},
		{"comma at the end", `{"above":"a",}`, func() interface{} { return new(embedded) }, nil, nil},
		{"comment", `{/**/}`, func() interface{} { return new(embedded) }, nil, nil},
		{"single quotes", `{'above':'a'}`, func() interface{} { return new(embedded) }, nil, nil},
		{"array into a struct", `[]`, func() interface{} { return new(embedded) }, nil, nil},
		{"object into a slice", `{}`, func() interface{} { return new([]int) }, nil, nil},
		{"deep", deep(10000), func() interface{} { return new(json.RawMessage) }, json.RawMessage(deep(10000)), nil},
		{"too deep", deep(10001), func() interface{} { return new(interface{}) }, nil, nil},
		{"very deep", strings.Repeat("[", 10<<20), func() interface{} { return new(interface{}) }, nil, nil},
		{"very deep objects", strings.Repeat(`{"a":`, 5<<20), func() interface{} { return new(interface{}) }, nil, nil},
		{"deep slices of slices", deep(10000), func() interface{} { return new(lists) }, listsOf(10000), nil},
		{"deep, but for brackets in strings", `["` + strings.Repeat(`[{\"`, 20000) + `"]`, func() interface{} { return new([]string) }, []string{strings.Repeat(`[{"`, 20000)}, nil},
		{"many, side by side", "[" + strings.Repeat("[],", 20000) + "[]]", func() interface{} { return new(lists) }, slices.Repeat(lists{{}}, 20001), nil},
		{"too deep slices of slices", deep(10001), func() interface{} { return new(lists) }, nil, nil},
		{"very deep slices of slices", strings.Repeat("[", 10<<20), func() interface{} { return new(lists) }, nil, nil},
		{"very deep structs", strings.Repeat(`{"Next":`, 1<<20), func() interface{} { return new(chain) }, nil, nil},
		{"very deep maps", strings.Repeat(`{"a":`, 1<<20), func() interface{} { return new(maps) }, nil, nil},
		{"very deep, skipped", `{"x":` + strings.Repeat("[", 10<<20), func() interface{} { return new(embedded) }, nil, nil},
	}
	for _, tt := range tests {
		for _, impl := range implementations {
			want := tt.want
			if other, ok := tt.differs[impl.name]; ok {
				want = other
			}
			into := tt.into()
			err := impl.codec.Unmarshal([]byte(tt.data), into)
			got := reflect.ValueOf(into).Elem().Interface()
			if (err != nil) != (want == nil) || err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s: got %.100s, %.200v, want %.100s", tt.name, impl.name, fmt.Sprint(got), err, fmt.Sprint(want))
			}
		}
	}
}

// A text that is cut off anywhere is an error to each, whatever it is read into.
func TestTruncatedAlike(t *testing.T) {
	whole := `{"name":"x\u00e9y","age":123,"map":{"a":1,"b":2},"raw":[{"k":null},true,false,1.5e3],"list":[1,2],"other":["\\"]}`
	for _, impl := range implementations {
		for n := 1; n < len(whole); n++ {
			for _, v := range []interface{}{new(fields), new(interface{}), new(json.RawMessage), new(map[string]json.RawMessage), new(struct{})} {
				if err := impl.codec.Unmarshal([]byte(whole[:n]), v); err == nil {
					t.Errorf("%s: %s into %T: got no error", impl.name, whole[:n], v)
				}
			}
		}
	}
}

type keeping struct{ raw []byte }

func (k *keeping) UnmarshalJSON(b []byte) error { k.raw = b; return nil } // keeps b on purpose

// Those that promise to copy do, also for a method that keeps what it is given. The
// one that does not promise breaks it only there.
func TestCopiesAlike(t *testing.T) {
	data := []byte(`{"name":"a string","map":{"key":1},"raw":{"a":"b"},"bytes":"Ynl0ZXM=","any":{"x":["y"]},"num":12}`)
	for _, impl := range implementations {
		for _, make := range []func() interface{}{func() interface{} { return new(fields) }, func() interface{} { return new(interface{}) }, func() interface{} { return new(keeping) }} {
			got, want := make(), make()
			mine := bytes.Clone(data)
			if err := impl.codec.Unmarshal(mine, got); err != nil {
				t.Fatal(err)
			}
			if err := impl.codec.Unmarshal(bytes.Clone(data), want); err != nil {
				t.Fatal(err)
			}
			for i := range mine {
				mine[i] = '#'
			}
			_, keeps := got.(*keeping)
			if same := reflect.DeepEqual(got, want); same != (codec.CopiesData(impl.codec) || !keeps) {
				t.Errorf("%s into %T: same %v although CopiesData %v", impl.name, got, same, codec.CopiesData(impl.codec))
			}
		}
	}
}

func TestIdsAlike(t *testing.T) {
	for _, impl := range implementations {
		if impl.codec.Id() != codec.ID_JSON || impl.codec.Name() != codec.NAME_JSON {
			t.Errorf("%s: got %q, %q", impl.name, impl.codec.Id(), impl.codec.Name())
		}
		if err := impl.codec.Unmarshal([]byte("x"), nil); err != nil {
			t.Errorf("%s: into nil: %v", impl.name, err)
		}
		for _, v := range []interface{}{5, "s", fields{}, (*fields)(nil)} {
			if err := impl.codec.Unmarshal([]byte("{}"), v); err == nil {
				t.Errorf("%s: into %T: got no error", impl.name, v)
			}
		}
	}
}

// None panics, and what gojson reads from valid JSON is what the standard library
// reads.
func FuzzAlike(f *testing.F) {
	for _, seed := range []string{"", "null", `{"name":"a","age":1,"list":[1,2]}`, `[1,2.5e3,"\u0041"]`, `{"a":{"b":[{}]}}`, `"`, "[[[[", `"\ud800"`, `{"A":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, make := range []func() interface{}{
			func() interface{} { return new(fields) },
			func() interface{} { return new(interface{}) },
			func() interface{} { return new(json.RawMessage) },
			func() interface{} { return new([]byte) },
			func() interface{} { return new(map[string]int) },
		} {
			want := make()
			wantErr := stdjson.Codec{}.Unmarshal(data, want)
			for _, impl := range implementations {
				got := make()
				err := impl.codec.Unmarshal(data, got)
				if impl.name != "gojson" || !json.Valid(data) {
					continue
				}
				if (err != nil) != (wantErr != nil) || err == nil && !reflect.DeepEqual(got, want) {
					t.Errorf("%q into %T: got %v, %v, want %v, %v", data, got, got, err, want, wantErr)
				}
			}
		}
	})
}
