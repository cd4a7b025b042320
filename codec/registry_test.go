package codec_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
)

func TestGet(t *testing.T) {
	for _, want := range []codec.Codec{codec.JsonCodec{}, codec.ProtoCodec{}, codec.StringCodec{}} {
		if got, err := codec.Get(want.Id()); got != want || err != nil {
			t.Errorf("Get(%q): got %T, %v, want %T", want.Id(), got, err, want)
		}
		if got, err := codec.GetByName(want.Name()); got != want || err != nil {
			t.Errorf("GetByName(%q): got %T, %v, want %T", want.Name(), got, err, want)
		}
	}
	if codec.ID_JSON != 'j' || codec.ID_PROTOBUF != 'p' || codec.ID_STRING != 's' {
		t.Error("an id differs from the wire's")
	}
}

func TestGetMissing(t *testing.T) {
	tests := []struct {
		id   byte
		want string
	}{{codec.NilCodecId, "id 0"}, {'?', "'?' (63)"}, {7, "id 7"}, {200, "id 200"}}
	for _, tt := range tests {
		if c, err := codec.Get(tt.id); c != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Get(%d): got %v, %v, want an error with %q", tt.id, c, err, tt.want)
		}
	}
	for name, want := range map[string]string{codec.NilCodecName: "empty name", "yaml": `"yaml"`, strings.Repeat("x", 9999): "xxx"} {
		if c, err := codec.GetByName(name); c != nil || err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("GetByName(%.20q): got %v, %v, want a short error with %q", name, c, err, want)
		}
	}
}

func TestRegReplaces(t *testing.T) {
	first := xorCodec{id: 'x', name: "xor"}
	codec.Reg(first)
	if got, err := codec.Get('x'); got != first || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, first)
	}
	second := &xorCodec{id: 'x', name: "xor"}
	codec.Reg(second)
	byID, _ := codec.Get('x')
	byName, _ := codec.GetByName("xor")
	if byID != second || byName != second {
		t.Errorf("got %v and %v, want the second codec", byID, byName)
	}
}

func TestRegPanics(t *testing.T) {
	codec.Reg(xorCodec{id: 'y', name: "taken"})
	tests := []struct {
		name string
		c    codec.Codec
		want string
	}{
		{"nil", nil, "nil codec"},
		{"id 0", xorCodec{name: "zero"}, "let Id return another byte"},
		{"empty name", xorCodec{id: 'z'}, "let Name return another one"},
		{"id of json", xorCodec{id: 'j', name: "json2"}, `belongs to codec "json" (codec.JsonCodec): choose another id`},
		{"name of json", xorCodec{id: 'z', name: "json"}, `belongs to the codec with id 'j' (106) (codec.JsonCodec): choose another name`},
		{"id and name of two others", xorCodec{id: 'y', name: "json"}, "choose another id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if got, ok := recover().(string); !ok || !strings.Contains(got, tt.want) {
					t.Errorf("got panic %q, want one with %q", got, tt.want)
				}
			}()
			codec.Reg(tt.c)
		})
	}
	if _, err := codec.GetByName("zero"); err == nil {
		t.Error("a refused codec is registered")
	}
}

// An alias leads to the codec that has the name at the time.
func TestAlias(t *testing.T) {
	first, second := &xorCodec{id: 'q', name: "aliased"}, &xorCodec{id: 'q', name: "aliased"}
	codec.Reg(first)
	codec.Alias("other", "aliased")
	codec.Alias("another", "other")
	codec.Alias("other", "aliased")   // twice is once
	codec.Alias("aliased", "aliased") // and a name is its own
	for _, want := range []codec.Codec{first, second} {
		codec.Reg(want)
		for _, name := range []string{"aliased", "other", "another"} {
			if got, err := codec.GetByName(name); got != want || err != nil {
				t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
			}
		}
	}
	tests := []struct{ alias, name, want string }{
		{"", "json", "the empty name"},
		{"nowhere", "unregistered", "no codec has that name"},
		{"json", "aliased", `belongs to codec "json"`},
		{"other", "json", `belongs to codec "aliased"`},
	}
	for _, tt := range tests {
		func() {
			defer func() {
				if got, ok := recover().(string); !ok || !strings.Contains(got, tt.want) {
					t.Errorf("alias %q of %q: got panic %q, want one with %q", tt.alias, tt.name, got, tt.want)
				}
			}()
			codec.Alias(tt.alias, tt.name)
		}()
	}
	defer func() {
		if recover() == nil {
			t.Error("a codec took the name that is an alias of another")
		}
	}()
	codec.Reg(&xorCodec{id: 'r', name: "other"})
}

func TestRegConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				codec.Reg(&xorCodec{id: 'c', name: "concurrent"})
				if c, err := codec.Get('c'); err != nil || c.Name() != "concurrent" {
					t.Errorf("Get: got %v, %v", c, err)
				}
				if c, err := codec.GetByName("concurrent"); err != nil || c.Id() != 'c' {
					t.Errorf("GetByName: got %v, %v", c, err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkGet finds a codec by its id, as every packet does.
func BenchmarkGet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Get('j'); err != nil {
			b.Fatal(err)
		}
	}
}

// Who misses a codec of this repository is told what to import.
func TestGetNamesTheImport(t *testing.T) {
	if _, err := codec.Get('t'); err == nil || !strings.Contains(err.Error(), `import _ "github.com/henrylee2cn/teleport/proto/thriftproto"`) {
		t.Errorf("got %v", err)
	}
	for name, path := range map[string]string{"form": "codec/form", "msgpack": "codec/msgpack", "xml": "codec/xml", "thrift": "proto/thriftproto"} {
		want := `import _ "github.com/henrylee2cn/teleport/` + path + `"`
		if _, err := codec.GetByName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s in it", name, err, want)
		}
	}
}
