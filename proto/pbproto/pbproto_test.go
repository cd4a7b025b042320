package pbproto_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os/exec"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/internal/counterpart"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/prototest"
	"github.com/henrylee2cn/teleport/proto/pbproto"
	"github.com/henrylee2cn/teleport/socket"
	"google.golang.org/protobuf/encoding/protowire"
)

var pb = pbproto.NewProtoFunc()

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func errorReply(seq uint64, e protometa.Error) *socket.Packet {
	p := socket.NewPacket(socket.WithPtype(2), socket.WithSeq(seq), socket.WithAddMeta("k", "v"))
	p.SetBodyCodec('j')
	e.SetTo(p.Meta())
	return p
}

// vector is a frame that never changes, and the same as protoc reads it.
type vector struct {
	name   string
	packet *socket.Packet
	hex    string // length, then tag and content of each field
	text   string // of protoc
}

var vectors = []vector{
	{
		"pull",
		socket.NewPacket(socket.WithPtype(1), socket.WithSeq(300), socket.WithUri("/a?b=c"), socket.WithAddMeta("k", "v"), socket.WithAddMeta("", ""), socket.WithBody(map[string]int{"a": 1})),
		"22 08ac02 1001 1a062f613f623d63 22060a016b120176 2200 32077b2261223a317d 286a",
		`seq: 300 type: PULL uri: "/a?b=c" meta { key: "k" value: "v" } meta { } codec: 106 body: "{\"a\":1}"`,
	},
	{
		"reply without body",
		socket.NewPacket(socket.WithPtype(2), socket.WithBodyCodec('s'), socket.WithBody("")),
		"04 1002 2873",
		`type: REPLY codec: 115`,
	},
	{
		"error reply",
		errorReply(1, protometa.Error{Code: -1, Message: "m", Detail: "d"}),
		"27 0801 1002 3a11 08ffffffffffffffffff01 12016d 1a0164 22060a016b120176 32046e756c6c 286a",
		`seq: 1 type: REPLY meta { key: "k" value: "v" } codec: 106 body: "null" error { code: -1 message: "m" detail: "d" }`,
	},
	{
		"push of bytes",
		socket.NewPacket(socket.WithPtype(3), socket.WithSeq(math.MaxUint64), socket.WithUri("/p"), socket.WithBodyCodec(200), socket.WithBody([]byte{0, 0xff})),
		"18 08ffffffffffffffffff01 1003 1a022f70 320200ff 28c801",
		`seq: 18446744073709551615 type: PUSH uri: "/p" codec: 200 body: "\000\377"`,
	},
	{
		"PING",
		socket.NewPacket(socket.WithPtype(6), socket.WithSeq(7)),
		"04 0807 1006", `seq: 7 type: PING`,
	},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		frame := unhex(v.hex)
		if got := prototest.Pack(t, pb, v.packet); !bytes.Equal(got, frame) {
			t.Errorf("%s: packed\n%x, want\n%x", v.name, got, frame)
		}
		got := prototest.Unpack(t, pb, frame)
		if again := prototest.Pack(t, pb, got); !bytes.Equal(again, frame) {
			t.Errorf("%s: packed again\n%x, want\n%x", v.name, again, frame)
		}
		if got.Seq() != v.packet.Seq() || got.Ptype() != v.packet.Ptype() || got.Uri() != v.packet.Uri() ||
			got.Meta().String() != v.packet.Meta().String() && v.name != "error reply" || got.BodyCodec() != v.packet.BodyCodec() {
			t.Errorf("%s: got %v, want %v", v.name, got, v.packet)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, e := range []protometa.Error{{Code: 404, Message: "Not Found"}, {Code: math.MinInt32, Detail: "ä\n"}, {}} {
		got := prototest.Unpack(t, pb, prototest.Pack(t, pb, errorReply(0, e)))
		if back := protometa.From(got.Meta()); !protometa.Has(got.Meta()) || back != e {
			t.Errorf("got %+v, want %+v", back, e)
		}
	}
}

// What protoc makes of our frames, and we of its messages.
func TestProtoc(t *testing.T) {
	counterpart.Find(t, "protobuf-compiler", "protoc")
	protoc := func(flag string, in []byte) []byte {
		t.Helper()
		cmd := exec.Command("protoc", flag, "teleport.proto")
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
		}
		return out
	}
	for _, v := range vectors {
		frame := prototest.Pack(t, pb, v.packet)
		_, n := protowire.ConsumeVarint(frame)
		text := string(protoc("--decode=teleport.Packet", frame[n:]))
		if got := strings.Join(strings.Fields(text), " "); got != v.text {
			t.Errorf("%s: protoc reads\n%s, want\n%s", v.name, got, v.text)
		}
		message := protoc("--encode=teleport.Packet", []byte(v.text))
		theirs := append(protowire.AppendVarint(nil, uint64(len(message))), message...)
		got, want := prototest.Unpack(t, pb, theirs), prototest.Unpack(t, pb, frame)
		if got, want := prototest.Describe(t, got), prototest.Describe(t, want); got != want {
			t.Errorf("%s: of protoc's we read\n%s, want\n%s", v.name, got, want)
		}
	}
}

func samples() (packets []*socket.Packet) {
	for _, v := range vectors {
		packets = append(packets, v.packet)
	}
	for ptype := range byte(7) {
		packets = append(packets, socket.NewPacket(socket.WithPtype(ptype+1), socket.WithSeq(1<<40)))
	}
	return append(packets, socket.NewPacket(socket.WithPtype(1), socket.WithUri("/g"), socket.WithAddMeta("k", "\xff"),
		socket.WithBody(strings.Repeat("z", 300)), socket.WithXferPipe('g')))
}

func TestSplits(t *testing.T) {
	got := prototest.Splits(t, pb, prototest.Pack(t, pb, samples()...))
	if len(got) != len(samples()) {
		t.Fatalf("%d packets", len(got))
	}
	if last := got[len(got)-1]; !strings.HasPrefix(last, `{"seq":0,"ptype":1,"uri":"/g","meta":"k=%FF"`) || !strings.Contains(last, "filters g ") {
		t.Errorf("got %s", last)
	}
}

func TestTruncations(t *testing.T) {
	for _, p := range samples() {
		prototest.Truncations(t, pb, prototest.Pack(t, pb, p))
	}
}

func TestClaims(t *testing.T) {
	prototest.Claims(t, pb, unhex("80808080 02 0801"))
}

func TestLimits(t *testing.T) {
	for _, v := range vectors[:4] {
		prototest.Limits(t, pb, v.packet)
	}
	frame := prototest.Pack(t, pb, socket.NewPacket(socket.WithPtype(1), socket.WithXferPipe('g'), socket.WithBody(strings.Repeat("z", 100<<10))))
	if err := prototest.NewConn(socket.Options{PacketLimit: 50 << 10}, pb, frame).ReadPacket(prototest.Packet()); !errors.Is(err, socket.ErrMalformed) {
		t.Errorf("a bomb: %v", err)
	}
	noFilters := socket.Options{AllowFilter: func(byte) bool { return false }}
	if err := prototest.NewConn(noFilters, pb, frame).ReadPacket(prototest.Packet()); !errors.Is(err, socket.ErrFilterNotAllowed) {
		t.Errorf("a filter that is not allowed: %v", err)
	}
	for _, claim := range []string{"ffffffff 0f", "ffffffff 7f"} {
		err := prototest.NewConn(socket.Options{}, pb, unhex(claim)).ReadPacket(prototest.Packet())
		if !errors.Is(err, socket.ErrExceedPacketSizeLimit) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

func TestManyPairs(t *testing.T) {
	const metaField = 4<<3 | 2
	pairs := bytes.Repeat([]byte{metaField, 0}, 1<<20)
	prototest.ManyPairs(t, pb, append(protowire.AppendVarint(nil, uint64(len(pairs))), pairs...))
}

func TestMalformed(t *testing.T) {
	for name, frame := range map[string]string{
		"long length":          "ffffffffff 01",
		"cut tag":              "01 80",
		"cut number":           "02 0880",
		"cut bytes":            "03 1a05 2f",
		"field 0":              "02 0001",
		"type 256":             "03 108002",
		"codec 256":            "03 288002",
		"uri no UTF-8":         "03 1a01ff",
		"key no UTF-8":         "05 22030a01ff",
		"pair":                 "04 22020a05",
		"error":                "03 3a0108",
		"unknown filter":       "05 4201fe 4a00",
		"filters twice":        "06 42026767 4a00",
		"nothing for gzip":     "05 420167 4a00",
		"end of a group alone": "01 0c",
	} {
		err := prototest.NewConn(socket.Options{}, pb, unhex(frame)).ReadPacket(prototest.Packet())
		if !errors.Is(err, socket.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// As protocol buffers ask: unknown fields and other kinds are skipped, the order is free,
// of two the last counts, and what stands beside filters counts nothing.
func TestLeniency(t *testing.T) {
	for frame, want := range map[string]string{
		"00":                                `{"seq":0,"ptype":0,"uri":"","meta":"","body_codec":0,"body":"","size":0} filters  body `,
		"0a 320161 0801 0802 1001":          `{"seq":2,"ptype":1,"uri":"","meta":"","body_codec":0,"body":"a","size":0} filters  body a`,
		"0c 0a0161 1001 fa01 03616263 0801": `{"seq":1,"ptype":1,"uri":"","meta":"","body_codec":0,"body":"","size":0} filters  body `,
	} {
		b := unhex(frame)
		b[0] = byte(len(b) - 1)
		if got := prototest.Describe(t, prototest.Unpack(t, pb, b)); got != want {
			t.Errorf("%s: got\n%s, want\n%s", frame, got, want)
		}
	}
	p := socket.NewPacket(socket.WithPtype(1), socket.WithXferPipe('g'), socket.WithUri("/inside"))
	frame := append(prototest.Pack(t, pb, p), unhex("0805 1a022f78 22060a016b120176")...)
	frame[0] += 14
	if got := prototest.Unpack(t, pb, frame); got.Seq() != 0 || got.Uri() != "/inside" || got.HasMeta() {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsNotCarried(t *testing.T) {
	good := socket.NewPacket(socket.WithPtype(1))
	for _, p := range []*socket.Packet{
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/\xff")),
		socket.NewPacket(socket.WithPtype(1), socket.WithAddMeta("\xff", "v")),
	} {
		if err := prototest.PackError(t, socket.Options{}, pb, p, good); !errors.Is(err, pbproto.ErrNotCarried) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzPbUnpack(f *testing.F) {
	for _, p := range samples() {
		f.Add(prototest.Pack(f, pb, p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		prototest.Fuzz(t, pb, data, func(p *socket.Packet) {
			if p.Ptype() == 2 && protometa.Has(p.Meta()) { // written in one form, and at its end
				e := protometa.From(p.Meta())
				p.Meta().Del(protometa.ErrorKey)
				e.SetTo(p.Meta())
			}
		})
	})
}

func BenchmarkPbPack(b *testing.B)   { prototest.BenchPack(b, pb) }
func BenchmarkPbUnpack(b *testing.B) { prototest.BenchUnpack(b, pb) }
