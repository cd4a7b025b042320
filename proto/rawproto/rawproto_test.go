package rawproto_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/prototest"
	"github.com/henrylee2cn/teleport/proto/rawproto"
	"github.com/henrylee2cn/teleport/socket"
)

var raw = rawproto.NewProtoFunc()

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// sized is unhex of a frame whose size is to be filled in.
func sized(s string) []byte {
	b := unhex(s)
	b[3] = byte(len(b))
	return b
}

// capture is a frame that programs of erpc v7.2.2 sent each other, and what is in it.
// The bytes are observed: they never change.
type capture struct {
	name string
	hex  string

	seq   uint64
	ptype byte
	uri   string
	rerr  *protometa.Error
	codec byte
	body  any // nil: the error says all
}

var captures = []capture{
	{
		name: "pull",
		hex: `0000002e 00 0131 01 0a 2f686f6d652f6563686f 0006 636f64653d30 0000
			6a 7b2261223a312c2273223a226869227d`,
		seq: 1, ptype: 1, uri: "/home/echo", codec: 'j', body: []byte(`{"a":1,"s":"hi"}`),
	},
	{
		name: "reply",
		hex:  `00000024 00 0131 02 00 0006 636f64653d30 0000 6a 7b2261223a312c2273223a226869227d`,
		seq:  1, ptype: 2, codec: 'j', body: []byte(`{"a":1,"s":"hi"}`),
	},
	{
		name: "pull that fails",
		hex: `0000002d 00 0131 01 09 2f686f6d652f657272 0006 636f64653d30 0000
			6a 7b2261223a312c2273223a226869227d`,
		seq: 1, ptype: 1, uri: "/home/err", codec: 'j', body: []byte(`{"a":1,"s":"hi"}`),
	},
	{
		name: "error reply",
		hex: `0000004a 00 0131 02 00 003c
			636f64653d31303031266d73673d6d7925323065727 26f722663617573653d64657461696c
			253230253232712532322532302535432532306261636b 0000 00`,
		seq: 1, ptype: 2, rerr: &protometa.Error{Code: 1001, Message: "my error", Detail: `detail "q" \ back`},
	},
}

func (c *capture) packet() *socket.Packet {
	p := socket.NewPacket(socket.WithSeq(c.seq), socket.WithPtype(c.ptype), socket.WithUri(c.uri),
		socket.WithBodyCodec(c.codec), socket.WithBody(c.body))
	if c.rerr != nil {
		c.rerr.SetTo(p.Meta())
	}
	return p
}

func TestCapturesOfErpc(t *testing.T) {
	for _, c := range captures {
		frame := unhex(c.hex)
		if got := prototest.Pack(t, raw, c.packet()); !bytes.Equal(got, frame) {
			t.Errorf("%s: packed\n%x, want\n%x", c.name, got, frame)
		}
		got := prototest.Unpack(t, raw, frame)
		want := c.packet()
		if c.body == nil {
			want.SetBody(&[]byte{})
		} else {
			body := c.body.([]byte)
			want.SetBody(&body)
		}
		if got, want := prototest.Describe(t, got), prototest.Describe(t, want); got != want {
			t.Errorf("%s: unpacked\n%s, want\n%s", c.name, got, want)
		}
	}
}

// samples are packets of all kinds that the format carries as they are.
func samples() []*socket.Packet {
	return []*socket.Packet{
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/a/b?c=d"), socket.WithAddMeta("k v", "ä"), socket.WithAddMeta("k v", "2"), socket.WithBody(map[string]int{"a": 1})),
		socket.NewPacket(socket.WithPtype(2), socket.WithSeq(35), socket.WithBodyCodec('s'), socket.WithBody("text")),
		socket.NewPacket(socket.WithPtype(3), socket.WithSeq(math.MaxInt32), socket.WithUri("/p"), socket.WithBodyCodec('s'), socket.WithBody("")),
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/g"), socket.WithBody(strings.Repeat("z", 300)), socket.WithXferPipe('g')),
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/raw"), socket.WithBodyCodec(200), socket.WithBody([]byte{0, 1, 0xff})),
	}
}

func TestSplits(t *testing.T) {
	frames := prototest.Pack(t, raw, samples()...)
	got := prototest.Splits(t, raw, frames)
	if len(got) != len(samples()) {
		t.Fatalf("%d packets", len(got))
	}
	for i, want := range []string{
		`{"seq":0,"ptype":1,"uri":"/a/b?c=d","meta":"k%20v=%C3%A4&k%20v=2","body_codec":106,"body":{"a":1},"size":0} filters  body {"a":1}`,
		`{"seq":35,"ptype":2,"uri":"","meta":"","body_codec":115,"body":"text","size":0} filters  body text`,
		`{"seq":2147483647,"ptype":3,"uri":"/p","meta":"","body_codec":115,"body":"","size":0} filters  body `,
	} {
		if got[i] != want {
			t.Errorf("packet %d:\n%s, want\n%s", i, got[i], want)
		}
	}
	if !strings.Contains(got[3], "filters g ") || !strings.Contains(got[4], "body \x00\x01\xff") {
		t.Errorf("got %s\n%s", got[3], got[4])
	}
}

func TestTruncations(t *testing.T) {
	for _, p := range samples() {
		prototest.Truncations(t, raw, prototest.Pack(t, raw, p))
	}
}

func TestClaims(t *testing.T) {
	prototest.Claims(t, raw, unhex("20000000 00 0131 01"))
	prototest.Claims(t, raw, unhex("20000000 01 67 0131 01"))
}

func TestManyPairs(t *testing.T) {
	meta := strings.Repeat("a&", 30000)
	frame := append(unhex("00000000 00 0131 01 02 2f61 0006 636f64653d30"), byte(len(meta)>>8), byte(len(meta)&0xff))
	frame = append(append(frame, meta...), 'j')
	binary.BigEndian.PutUint32(frame, uint32(len(frame)))
	prototest.ManyPairs(t, raw, frame)
}

func TestLimits(t *testing.T) {
	for _, p := range samples()[:3] {
		prototest.Limits(t, raw, p)
	}
	p := socket.NewPacket(socket.WithPtype(1), socket.WithUri("/z"), socket.WithXferPipe('g'), socket.WithBody(strings.Repeat("z", 100<<10)))
	frame := prototest.Pack(t, raw, p)
	opt := socket.Options{PacketLimit: 50 << 10}
	if err := prototest.NewConn(opt, raw, frame).ReadPacket(prototest.Packet()); !errors.Is(err, socket.ErrMalformed) {
		t.Errorf("a bomb: %v", err)
	}
}

func TestMalformed(t *testing.T) {
	for name, frame := range map[string]string{
		"too short":         "00000004",
		"no packet":         "00000005 00",
		"filters":           "00000006 ff 00",
		"unknown filter":    "00000006 01 fe",
		"seq too long":      "00000008 00 053131",
		"seq no number":     "00000014 00 012e 01 00 0006 636f64653d30 0000 00",
		"seq of 33 bits":    "0000001a 00 077a7a7a7a7a7a7a 01 00 0006 636f64653d30 0000 00",
		"no type":           "00000007 00 0131",
		"erpc's AUTH_CALL":  "00000014 00 0131 04 00 0006 636f64653d30 0000 00",
		"erpc's AUTH_REPLY": "00000014 00 0131 05 00 0006 636f64653d30 0000 00",
		"type 0":            "00000014 00 0131 00 00 0006 636f64653d30 0000 00",
		"uri":               "00000014 00 0131 01 ff 0006 636f64653d30 0000 00",
		"status":            "00000014 00 0131 01 00 ffff 636f64653d30 0000 00",
		"meta":              "00000014 00 0131 01 00 0006 636f64653d30 0002 00",
		"no codec":          "00000013 00 0131 01 00 0006 636f64653d30 0000",
		"status of no code": "00000014 00 0131 02 00 0006 636f64653d78 0000 00",
	} {
		err := prototest.NewConn(socket.Options{}, raw, unhex(frame)).ReadPacket(prototest.Packet())
		if !errors.Is(err, socket.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatIsNotCarried(t *testing.T) {
	good := socket.NewPacket(socket.WithPtype(1), socket.WithUri("/good"))
	for name, p := range map[string]*socket.Packet{
		"CANCEL":        socket.NewPacket(socket.WithPtype(4)),
		"PONG":          socket.NewPacket(socket.WithPtype(7)),
		"type 0":        socket.NewPacket(),
		"uri":           socket.NewPacket(socket.WithPtype(1), socket.WithUri("/"+strings.Repeat("u", 255))),
		"meta":          socket.NewPacket(socket.WithPtype(1), socket.WithAddMeta("k", strings.Repeat("v", 64<<10))),
		"reply's seq":   socket.NewPacket(socket.WithPtype(2), socket.WithSeq(1<<32)),
		"error's cause": errorReply(protometa.Error{Code: 1, Detail: strings.Repeat("%", 30<<10)}),
	} {
		err := prototest.PackError(t, socket.Options{}, raw, p, good)
		if !errors.Is(err, rawproto.ErrNotCarried) || !errors.Is(err, socket.ErrPack) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// What fits exactly is carried.
	prototest.Pack(t, raw, socket.NewPacket(socket.WithPtype(1), socket.WithUri("/"+strings.Repeat("u", 254))))
	prototest.Pack(t, raw, socket.NewPacket(socket.WithPtype(1), socket.WithAddMeta("k", strings.Repeat("v", 64<<10-1-2))))
}

func errorReply(e protometa.Error) *socket.Packet {
	p := socket.NewPacket(socket.WithPtype(2), socket.WithBody([]byte("null")), socket.WithBodyCodec('j'))
	e.SetTo(p.Meta())
	return p
}

func TestErrors(t *testing.T) {
	for _, e := range []protometa.Error{
		{Code: 404, Message: "Not Found"},
		{Code: -1, Detail: "ä\n&=%+ "},
		{Code: math.MinInt32},
	} {
		got := prototest.Unpack(t, raw, prototest.Pack(t, raw, errorReply(e)))
		if back := protometa.From(got.Meta()); back != e || prototest.Body(got) != "null" {
			t.Errorf("got %+v, want %+v", back, e)
		}
	}
	// Code 0 is no error to erpc.
	got := prototest.Unpack(t, raw, prototest.Pack(t, raw, errorReply(protometa.Error{Code: 0, Message: "m"})))
	if e := protometa.From(got.Meta()); e.Code != -1 || e.Message != "m" {
		t.Errorf("got %+v", e)
	}
	// A status without text, and none at all, are success, whatever the meta data says.
	for _, frame := range []string{
		"00000000 00 0131 02 00 0000 0000 00",
		"00000000 00 0131 02 00 000b 636f64653d30266d73673d 0000 00",
		"00000000 00 0131 02 00 0000 000f 582d5265706c792d4572726f723d31 00",
	} {
		if got := prototest.Unpack(t, raw, sized(frame)); got.HasMeta() {
			t.Errorf("%s: got %v", frame, got)
		}
	}
}

// Of the numbers of its pulls a side sends 31 bits, and knows the rest.
func TestSequenceNumbers(t *testing.T) {
	for _, seq := range []uint64{0, 1, math.MaxInt32, 1 << 31, 1<<31 + 5, 7<<31 - 1, 7 << 31} {
		frame := prototest.Pack(t, raw, socket.NewPacket(socket.WithPtype(1), socket.WithSeq(seq), socket.WithUri("/")))
		there := prototest.Unpack(t, raw, frame)
		if there.Seq() != seq&math.MaxInt32 {
			t.Errorf("%d came as %d", seq, there.Seq())
		}
		reply := prototest.Pack(t, raw, socket.NewPacket(socket.WithPtype(2), socket.WithSeq(there.Seq())))
		for _, last := range []uint64{seq, seq + 1, seq + 1<<30} {
			c := prototest.NewConn(socket.Options{}, raw, reply)
			if err := c.WritePacket(socket.NewPacket(socket.WithPtype(1), socket.WithSeq(last), socket.WithUri("/"))); err != nil {
				t.Fatal(err)
			}
			p := prototest.Packet()
			if err := c.ReadPacket(p); err != nil {
				t.Fatal(err)
			}
			if p.Seq() != seq {
				t.Errorf("the reply to %d, the last being %d, is to %d", seq, last, p.Seq())
			}
		}
	}
	// A number that wrapped around in erpc goes back as it came.
	p := prototest.Unpack(t, raw, unhex("00000017 00 042d7a7a7a 01 00 0006 636f64653d30 0000 00"))
	p.SetPtype(2)
	if got := prototest.Pack(t, raw, p); !bytes.Contains(got, []byte("\x04-zzz\x02")) {
		t.Errorf("got %q", got)
	}
}

// What two peers of this library announce to each other is not for erpc.
func TestCapsStayHere(t *testing.T) {
	p := socket.NewPacket(socket.WithPtype(1), socket.WithUri("/"), socket.WithAddMeta("X-Tp-Caps", "1"), socket.WithAddMeta("k", "v"))
	if frame := prototest.Pack(t, raw, p); bytes.Contains(frame, []byte("Caps")) || !bytes.Contains(frame, []byte("k=v")) {
		t.Errorf("got %q", frame)
	}
	if !p.Meta().Has("X-Tp-Caps") {
		t.Error("the packet's own meta data was changed")
	}
	got := prototest.Unpack(t, raw, sized("00000000 00 0131 01 00 0006 636f64653d30 000b 582d54702d436170733d31 00"))
	if got.HasMeta() {
		t.Errorf("got %v", got)
	}
}

func FuzzRawUnpack(f *testing.F) {
	for _, c := range captures {
		f.Add(unhex(c.hex))
	}
	for _, p := range samples() {
		f.Add(prototest.Pack(f, raw, p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		prototest.Fuzz(t, raw, data, func(p *socket.Packet) {
			if p.Ptype() == 2 {
				p.SetUri("") // is not written
				return
			}
			p.SetSeq(p.Seq() & math.MaxInt32) // a negative one we do not choose
		}, rawproto.ErrNotCarried)
	})
}

func BenchmarkRawPack(b *testing.B)   { prototest.BenchPack(b, raw) }
func BenchmarkRawUnpack(b *testing.B) { prototest.BenchUnpack(b, raw) }
