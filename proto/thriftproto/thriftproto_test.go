package thriftproto_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/henrylee2cn/teleport/internal/prototest"
	"github.com/henrylee2cn/teleport/proto/thriftproto"
	"github.com/henrylee2cn/teleport/socket"
	_ "github.com/henrylee2cn/teleport/xfer"
)

// The format by each transport.
var (
	headers  = thriftproto.NewProtoFunc(nil)
	framed   = thriftproto.NewProtoFunc(&thriftproto.Config{Transport: thriftproto.Framed})
	unframed = thriftproto.NewProtoFunc(&thriftproto.Config{Transport: thriftproto.Unframed})
)

// asNamed is the format whose URIs are the names of calls.
var asNamed = thriftproto.NewProtoFunc(&thriftproto.Config{Route: func(name string) string { return name }})

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func packet(ptype byte, seq uint64, uri string, codec byte, body interface{}, meta ...string) *socket.Packet {
	p := socket.NewPacket(socket.WithPtype(ptype), socket.WithSeq(seq), socket.WithUri(uri), socket.WithBodyCodec(codec))
	p.SetBody(body)
	for i := 0; i < len(meta); i += 2 {
		p.Meta().Add(meta[i], meta[i+1])
	}
	return p
}

const oops = `{"code":7,"message":"m","detail":"d"}`

// vector is a frame that never changes.
type vector struct {
	name   string
	proto  socket.ProtoFunc
	packet *socket.Packet
	hex    string
}

var vectors = []vector{
	{
		"call, unframed", unframed, packet(1, 258, "add", 't', &addArgs{1, 2}),
		"80010001 00000003616464 00000102" + " 08 0001 00000001 08 0002 00000002 00",
	},
	{
		"call, framed", framed, packet(1, 258, "add", 't', &addArgs{1, 2}),
		"0000001e 80010001 00000003616464 00000102" + " 08 0001 00000001 08 0002 00000002 00",
	},
	{
		"call, header", headers, packet(1, 258, "add", 't', &addArgs{1, 2}),
		"0000002c 0fff0000 00000102 0001 00 00 0000" + " 80010001 00000003616464 00000102" + " 08 0001 00000001 08 0002 00000002 00",
	},
	{
		"oneway, unframed", unframed, packet(3, math.MaxUint32, "note", 't', &textArgs{"x"}),
		"80010004 000000046e6f7465 ffffffff" + " 0b 0001 00000001 78 00",
	},
	{
		"reply of a void method, framed", framed, packet(2, 1, "void", 't', nil),
		"00000011 80010002 00000004766f6964 00000001" + " 00",
	},
	{
		"exception, framed", framed, packet(2, 1, "f", 'j', nil, "X-Reply-Error", oops),
		"00000020 80010003 0000000166 00000001" + " 0b 0001 00000004 6d3a2064 08 0002 00000007 00",
	},
	{
		"pull of JSON with meta data, header", headers, packet(1, 1, "/a?b=c", 'j', 5, "k", "v", "", ""),
		"00000041 0fff0000 00000001 0007" +
			" 00 00 01 03 0a 582d54702d436f646563 03 313036 01 6b 01 76 00 00 000000" +
			" 80010001 000000062f613f623d63 00000001" + " 0b 0001 00000001 35 00",
	},
	{
		"the example of doc/thriftproto.md", headers, packet(1, 1, "/a?b=c", 'j', 5, "k", "v"),
		"0000003d 0fff0000 00000001 0006" +
			" 00 00 01 02 0a 582d54702d436f646563 03 313036 01 6b 01 76 00" +
			" 80010001 000000062f613f623d63 00000001" + " 0b 0001 00000001 35 00",
	},
	{
		"reply with an error and a body, header", headers, packet(2, 1, "f", 's', "x", "X-Reply-Error", oops),
		"0000007a 0fff0000 00000001 0012" +
			" 00 00 01 02 0a 582d54702d436f646563 03 313135" +
			" 0d 582d5265706c792d4572726f72 25 7b22636f6465223a372c226d657373616765223a226d222c2264657461696c223a2264227d 00" +
			" 80010003 0000000166 00000001" + " 0b 0001 00000004 6d3a2064 08 0002 00000007 0b 0003 00000001 78 00",
	},
	{
		"PING with a large number, header", headers, packet(6, 1<<32|5, "", 0, nil),
		"00000052 0fff0000 00000005 000d" +
			" 00 00 01 03 0a 582d54702d436f646563 01 30 09 582d54702d54797065 01 36 08 582d54702d536571 0a 34323934393637333031" + " 000000" +
			" 80010004 00000000 00000005" + " 0b 0001 00000000 00",
	},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		frame := unhex(v.hex)
		got := prototest.Pack(t, v.proto, v.packet)
		if !bytes.Equal(got, frame) {
			t.Errorf("%s: packed\n%x, want\n%x", v.name, got, frame)
			continue
		}
		if again := prototest.Pack(t, v.proto, prototest.Unpack(t, asNamed, frame)); !bytes.Equal(again, frame) && !strings.HasPrefix(v.name, "exception") {
			t.Errorf("%s: packed again\n%x, want\n%x", v.name, again, frame)
		}
	}
}

// The thrift library writes the same bytes, and reads them.
func TestVectorsOfThrift(t *testing.T) {
	ctx := context.Background()
	for i, transport := range transports {
		v := vectors[[]int{2, 1, 0}[i]]
		below := thrift.NewTMemoryBuffer()
		p := transport.make(below)
		for _, err := range []error{
			p.WriteMessageBegin(ctx, "add", thrift.CALL, 258),
			(&addArgs{1, 2}).Write(ctx, p),
			p.WriteMessageEnd(ctx), p.Flush(ctx),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := unhex(v.hex)
		if got := below.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: thrift writes\n%x, we\n%x", v.name, got, want)
		}
		var args addArgs
		name, kind, seq, err := p.ReadMessageBegin(ctx)
		if err == nil {
			err = args.Read(ctx, p)
		}
		if err != nil || name != "add" || kind != thrift.CALL || seq != 258 || args != (addArgs{1, 2}) {
			t.Errorf("%s: thrift reads %s %v %d %v, %v", v.name, name, kind, seq, args, err)
		}
	}
}

func TestSplitsAndTruncations(t *testing.T) {
	gzip := packet(1, 9, "/zip", 's', strings.Repeat("text ", 20))
	if err := gzip.XferPipe().Append('g'); err != nil {
		t.Fatal(err)
	}
	deep := unhex("0d 0001 0b0f 00000001 00000001 61 08 00000002 00000001 00000002" + // map<string, list<i32>>
		" 0e 0002 02 00000002 00 01" + // set<bool>
		" 0f 0003 0c 00000002 0a0001 0102030405060708 00 00" + // list<struct>
		" 10 0004 00112233445566778899aabbccddeeff 04 0005 3ff0000000000000 06 0006 0001 03 0007 ff 00")
	for name, frames := range map[string][]byte{
		"header":   prototest.Pack(t, headers, vectors[2].packet, vectors[6].packet, vectors[8].packet, vectors[9].packet, gzip, packet(2, 1, "", 't', deep)),
		"framed":   prototest.Pack(t, framed, vectors[1].packet, vectors[4].packet, vectors[5].packet, packet(2, 1, "", 't', deep)),
		"unframed": prototest.Pack(t, unframed, vectors[0].packet, vectors[3].packet, packet(2, 1, "", 't', deep)),
	} {
		t.Run(name, func(t *testing.T) {
			got := prototest.Splits(t, headers, frames)
			if len(got) < 3 {
				t.Errorf("%d packets", len(got))
			}
		})
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) { prototest.Truncations(t, headers, unhex(v.hex)) })
	}
	prototest.Truncations(t, headers, prototest.Pack(t, unframed, packet(2, 1, "", 't', deep)))
	prototest.Truncations(t, headers, prototest.Pack(t, headers, gzip))
}

func TestLimits(t *testing.T) {
	for _, v := range vectors {
		if !strings.HasPrefix(v.name, "exception") {
			t.Run(v.name, func(t *testing.T) { prototest.Limits(t, v.proto, v.packet) })
		}
	}
	for name, begin := range map[string]string{
		"a frame":  "3ffffff0 80010001",
		"a name":   "80010001 3ffffff0 61",
		"a string": "80010001 00000001 61 00000001 0b 0001 2ffffff0 61",
		"a list":   "80010001 00000001 61 00000001 0f 0001 08 0ffffff0 61",
		"structs":  "80010001 00000001 61 00000001 0f 0001 0c 7fffffff 00",
	} {
		t.Run(name, func(t *testing.T) { prototest.Claims(t, headers, unhex(begin)) })
	}
}

func TestManyPairs(t *testing.T) {
	const pairs = 100_000 // of 2 bytes: an empty key and an empty value
	fields := binary.AppendUvarint([]byte{0, 0, 1}, pairs)
	fields = append(fields, make([]byte, 2*pairs)...)
	fields = append(fields, make([]byte, -len(fields)&3)...)
	rest := append(unhex("0fff0000 00000001"), byte(len(fields)/4>>8), byte(len(fields)/4))
	rest = append(append(rest, fields...), unhex("80010001 00000001 61 00000001 00")...)
	prototest.ManyPairs(t, headers, append(binary.BigEndian.AppendUint32(nil, uint32(len(rest))), rest...))
}

// What is refused, and the word that says why.
func TestRefused(t *testing.T) {
	nested := strings.Repeat("0c0001", 70)
	for _, c := range []struct {
		name, hex string
		err       error
		text      string
	}{
		{"a frame without a message", "00000003 800100", socket.ErrMalformed, "3 bytes"},
		{"a frame that is too large", "40000000 80010001", socket.ErrMalformed, "frame"},
		{"another version", "80020001 00000001 61 00000001 00", socket.ErrProtoUnmatch, "0x80020001"},
		{"a compact message", "00000008 82210161 00000000", socket.ErrProtoUnmatch, "strict"},
		{"a message that is not strict", "0000000b 00000001 61 01 00000001 00", socket.ErrProtoUnmatch, "strict"},
		{"HTTP", "48545450 2f312e31", socket.ErrMalformed, "frame"},
		{"a bit beside the type", "80010101 00000001 61 00000001 00", socket.ErrMalformed, "0x80010101"},
		{"type 0", "80010000 00000001 61 00000001 00", socket.ErrMalformed, "type 0"},
		{"type 5", "80010005 00000001 61 00000001 00", socket.ErrMalformed, "type 5"},
		{"a name that is longer than the frame", "0000000d 80010001 00000009 61 00000001", socket.ErrMalformed, "missing"},
		{"no struct", "80010001 00000001 61 00000001 01 0001", socket.ErrMalformed, "type 1"},
		{"a negative count", "80010001 00000001 61 00000001 0b 0001 ffffffff 00", socket.ErrMalformed, "count"},
		{"a list of nothing", "80010001 00000001 61 00000001 0f 0001 01 00000001 00", socket.ErrMalformed, "type 1"},
		{"too deep", "80010001 00000001 61 00000001" + nested, socket.ErrMalformed, "deep"},
		{"headers that are longer than the frame", "00000010 0fff0000 00000001 0009 00000000 0000", socket.ErrMalformed, "headers"},
		{"headers without a message", "0000000e 0fff0000 00000001 0001 00000000", socket.ErrMalformed, "version"},
		{"headers before what is none", "00000012 0fff0000 00000001 0001 00000000 82210161", socket.ErrProtoUnmatch, "strict"},
		{"a compact message with headers", "00000012 0fff0000 00000001 0001 02000000 82210161", socket.ErrProtoUnmatch, "protocol 2"},
		{"a transform", "00000012 0fff0000 00000001 0001 00010100 80010001", socket.ErrProtoUnmatch, "transforms"},
		{"pairs that are cut off", "00000012 0fff0000 00000001 0001 00000101 80010001", socket.ErrMalformed, "pairs"},
		{"a value that is longer than the headers", "00000016 0fff0000 00000001 0002 0000010101 6b7f00 80010001", socket.ErrMalformed, "pairs"},
		{"a codec that is no number", header("X-Tp-Codec", "json"), socket.ErrMalformed, "X-Tp-Codec"},
		{"filters without a codec", header("X-Tp-Filters", "67"), socket.ErrMalformed, "X-Tp-Codec"},
		{"filters that are unknown", header("X-Tp-Codec", "106", "X-Tp-Filters", "fe"), socket.ErrMalformed, "254"},
		{"a type on a call", header("X-Tp-Type", "6"), socket.ErrMalformed, "X-Tp-Type"},
		{"another number", header("X-Tp-Seq", "77777777777"), socket.ErrMalformed, "X-Tp-Seq"},
		{"a wrapped body that is no struct", header("X-Tp-Codec", "106") + "ff", socket.ErrMalformed, "after a struct"},
	} {
		frame := unhex(c.hex)
		if strings.HasPrefix(c.name, "a wrapped") {
			frame[3]++
		}
		err := prototest.NewConn(socket.Options{}, headers, frame).ReadPacket(prototest.Packet())
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.err, c.text)
		}
	}
}

// header returns a call that has the pairs as headers.
func header(pairs ...string) string {
	fields := []byte{0, 0, 1, byte(len(pairs) / 2)}
	for _, s := range pairs {
		fields = append(append(fields, byte(len(s))), s...)
	}
	for len(fields)%4 != 0 {
		fields = append(fields, 0)
	}
	const message = "80010001 00000001 61 00000001 0b 0001 00000001 31 00"
	return fmt.Sprintf("%08x 0fff0000 00000001 %04x %x %s", 10+len(fields)+len(unhex(message)), len(fields)/4, fields, message)
}

// A filter that is not allowed is refused before it is undone.
func TestFilterThatIsNotAllowed(t *testing.T) {
	opt := socket.Options{AllowFilter: func(byte) bool { return false }}
	frame := unhex(header("X-Tp-Codec", "106", "X-Tp-Filters", "67"))
	err := prototest.NewConn(opt, headers, frame).ReadPacket(prototest.Packet())
	if !errors.Is(err, socket.ErrFilterNotAllowed) {
		t.Errorf("got %v", err)
	}
}

func TestNotCarried(t *testing.T) {
	zipped := packet(1, 1, "a", 't', &addArgs{})
	if err := zipped.XferPipe().Append('g'); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		proto  socket.ProtoFunc
		packet *socket.Packet
		text   string
	}{
		{"JSON without headers", framed, packet(1, 1, "a", 'j', 1), "codec"},
		{"filters without headers", unframed, zipped, "filters"},
		{"a PING without headers", framed, packet(6, 1, "", 0, nil), "type 6"},
		{"bytes that are no struct", headers, packet(1, 1, "a", 't', []byte{1, 2}), "no struct"},
		{"bytes after a struct", headers, packet(1, 1, "a", 't', []byte{0, 0}), "after it"},
		{"a key of the format", headers, packet(1, 1, "a", 't', nil, "X-Tp-Codec", "1"), "X-Tp-Codec"},
		{"many headers", headers, packet(1, 1, "a", 't', nil, "k", strings.Repeat("v", 1<<18)), "headers"},
	} {
		err := prototest.PackError(t, socket.Options{}, c.proto, c.packet, packet(1, 1, "a", 't', &addArgs{}))
		if !errors.Is(err, thriftproto.ErrNotCarried) || !errors.Is(err, socket.ErrPack) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Of a reply's number 32 bits come back: the rest is that of the last pull.
func TestNumbersOfReplies(t *testing.T) {
	replies := append(unhex("80010002 00000001 61 00000003 00"), unhex("80010002 00000001 61 fffffffe 00")...)
	conn := prototest.NewConn(socket.Options{}, unframed, replies)
	if err := conn.WritePacket(packet(1, 7<<32|3, "a", 't', nil)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{7<<32 | 3, 6<<32 | 0xfffffffe} {
		p := prototest.Packet()
		if err := conn.ReadPacket(p); err != nil || p.Seq() != want {
			t.Errorf("number %x, want %x, %v", p.Seq(), want, err)
		}
	}
}

// What an error is without our headers, and that only an exception is one.
func TestErrors(t *testing.T) {
	for kind, code := range map[byte]int{0: 500, 1: 404, 2: 500, 5: 500, 6: 500, 7: 400, 8: 400, 9: 400, 10: 500, 11: 11} {
		frame := append(unhex("80010003 00000001 61 00000001 0b 0001 00000001 6d 08 0002 000000"), kind, 0)
		p := prototest.Unpack(t, headers, frame)
		if got, want := string(p.Meta().Peek("X-Reply-Error")), fmt.Sprintf(`{"code":%d,"message":"m","detail":""}`, code); got != want {
			t.Errorf("type %d is %s, want %s", kind, got, want)
		}
	}
	reply := unhex(strings.Replace(header("X-Reply-Error", oops), "80010001", "80010002", 1))
	if p := prototest.Unpack(t, headers, reply); p.Ptype() != 2 || p.Meta().Has("X-Reply-Error") {
		t.Errorf("a reply that is no exception has an error: %v", p)
	}
}

// The names of calls are kept until they are answered, and no more than there may be.
func TestNamesAreBounded(t *testing.T) {
	const many = 1<<16 + 1
	var frames []byte
	for i := range uint32(many) {
		frames = append(frames, unhex("80010001 00000001 61")...)
		frames = append(binary.BigEndian.AppendUint32(frames, i), 0)
	}
	for _, answers := range []bool{true, false} {
		conn := prototest.NewConn(socket.Options{}, headers, frames)
		var err error
		n := 0
		for ; n < many && err == nil; n++ {
			p := prototest.Packet()
			err = conn.ReadPacket(p)
			if answers && err == nil {
				err = conn.WritePacket(packet(2, p.Seq(), p.Uri(), 't', nil))
			}
		}
		if answers && err != nil || !answers && (n != many || !errors.Is(err, socket.ErrMalformed)) {
			t.Errorf("answered %v: after %d calls %v", answers, n, err)
		}
	}
}

func TestRoute(t *testing.T) {
	for name, want := range map[string]string{
		"add":               "/add",
		"addAll":            "/add_all",
		"Calculator:addAll": "/calculator/add_all",
		"a:B:cD":            "/a/b/c_d",
		"":                  "/",
	} {
		if got := thriftproto.Route(name); got != want {
			t.Errorf("Route(%q) is %q, want %q", name, got, want)
		}
	}
	own := thriftproto.NewProtoFunc(&thriftproto.Config{Route: func(name string) string { return "/rpc/" + name }})
	for name, want := range map[string]string{"add": "/rpc/add", "/as/it/is": "/as/it/is"} {
		if got := prototest.Unpack(t, own, prototest.Pack(t, framed, packet(1, 1, name, 't', nil))).Uri(); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestConfigPanics(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "Config.Transport is 3") {
			t.Errorf("%q", text)
		}
	}()
	thriftproto.NewProtoFunc(&thriftproto.Config{Transport: 3})
}

func FuzzUnpack(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(v.hex))
	}
	f.Add(unhex(header("X-Tp-Codec", "106", "X-Tp-Filters", "67")))
	f.Add(unhex(header("token", "T", "X-Tp-Seq", "4294967297")))
	f.Fuzz(func(t *testing.T, data []byte) {
		prototest.Fuzz(t, headers, data, func(p *socket.Packet) {
			if p.Ptype() == 1 || p.Ptype() == 3 { // the name of a call is not its URI, and Route may not be undone
				p.SetUri("/" + strings.TrimPrefix(p.Uri(), "/"))
			}
		}, thriftproto.ErrNotCarried, socket.ErrExceedHeaderLimit)
	})
}

func BenchmarkPack(b *testing.B)   { prototest.BenchPack(b, headers) }
func BenchmarkUnpack(b *testing.B) { prototest.BenchUnpack(b, headers) }
