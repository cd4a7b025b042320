package thriftproto_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/proto/thriftproto"
	"github.com/henrylee2cn/teleport/socket"
)

func TestCodec(t *testing.T) {
	c, err := codec.GetByName("thrift")
	if err != nil || c.Id() != thriftproto.CodecID || !codec.CopiesData(c) {
		t.Fatalf("the codec %v, %v", c, err)
	}
	data, err := c.Marshal(&addArgs{1, -2})
	want := unhex("08 0001 00000001 08 0002 fffffffe 00")
	if err != nil || !bytes.Equal(data, want) {
		t.Errorf("Marshal: %x, %v, want %x", data, err, want)
	}
	appended, err := codec.MarshalAppend(c, []byte("before"), &addArgs{1, -2})
	if err != nil || string(appended) != "before"+string(want) {
		t.Errorf("MarshalAppend: %x, %v", appended, err)
	}
	var got addArgs
	if err := c.Unmarshal(data, &got); err != nil || got != (addArgs{1, -2}) {
		t.Errorf("Unmarshal: %v, %v", got, err)
	}
	for n := 1; n < len(data); n++ {
		if err := c.Unmarshal(data[:n], new(addArgs)); err == nil {
			t.Errorf("the first %d of %d bytes are no error", n, len(data))
		}
	}
	if err := c.Unmarshal(append(data, 0), &got); err == nil || !strings.Contains(err.Error(), "1 bytes come after it") {
		t.Errorf("a byte too many: %v", err)
	}
	for _, none := range []interface{}{nil, (*addArgs)(nil)} {
		if data, err := c.Marshal(none); err != nil || len(data) > 0 {
			t.Errorf("Marshal of %#v: %x, %v", none, data, err)
		}
	}
	if err := errors.Join(c.Unmarshal(nil, &got), c.Unmarshal(data, nil)); err != nil || got != (addArgs{1, -2}) {
		t.Errorf("Unmarshal of nothing, and into nil: %v, %v", got, err)
	}
	if _, err := c.Marshal("text"); err == nil {
		t.Error("Marshal of a string")
	}
	for _, v := range []interface{}{new(string), (*addArgs)(nil)} {
		if err := c.Unmarshal(data, v); err == nil {
			t.Errorf("Unmarshal into %#v", v)
		}
	}
}

// tree is a struct that may have one of its kind inside.
type tree struct{ Inside *tree }

func (x *tree) Read(ctx context.Context, p thrift.TProtocol) error {
	return readFields(ctx, p, map[int16]func() error{1: func() error {
		x.Inside = new(tree)
		return x.Inside.Read(ctx, p)
	}})
}

func (x *tree) Write(context.Context, thrift.TProtocol) error { return nil }

// What the compiler makes calls itself: what is nested without end would end the
// program.
func TestCodecDepth(t *testing.T) {
	for _, n := range []int{63, 64, 4 << 20} {
		data := append(bytes.Repeat([]byte{12, 0, 1}, n), make([]byte, n+1)...)
		err := thriftproto.Codec{}.Unmarshal(data, new(tree))
		if refused := err != nil && strings.Contains(err.Error(), "deep"); refused != (n > 63) {
			t.Errorf("%d structs in each other: %v", n, err)
		}
		if errors.Is(err, socket.ErrMalformed) {
			t.Errorf("%d structs in each other: a body that is wrong is called a wrong packet: %v", n, err)
		}
	}
}

// What was decoded does not change with the bytes that it was decoded from.
func TestCodecCopies(t *testing.T) {
	data, err := thriftproto.Codec{}.Marshal(&textArgs{strings.Repeat("long ", 100)})
	if err != nil {
		t.Fatal(err)
	}
	var got textArgs
	if err := (thriftproto.Codec{}).Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got.Text != strings.Repeat("long ", 100) {
		t.Errorf("got %q", got.Text)
	}
}

func FuzzCodec(f *testing.F) {
	for _, s := range []thrift.TStruct{&addArgs{1, 2}, &textArgs{"x"}, &textResult{"y"}} {
		data, err := thriftproto.Codec{}.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, again textArgs
		if (thriftproto.Codec{}).Unmarshal(data, &got) != nil {
			return
		}
		data, err := thriftproto.Codec{}.Marshal(&got)
		if err == nil {
			err = thriftproto.Codec{}.Unmarshal(data, &again)
		}
		if err != nil || again != got {
			t.Errorf("%v is %v again, %v", got, again, err)
		}
	})
}
