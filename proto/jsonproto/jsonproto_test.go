package jsonproto_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/prototest"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

var lines = jsonproto.NewProtoFunc()

func errorReply(e protometa.Error) *socket.Packet {
	p := socket.NewPacket(socket.WithPtype(2), socket.WithSeq(1), socket.WithAddMeta("k", "v"), socket.WithBodyCodec('j'))
	e.SetTo(p.Meta())
	return p
}

// vectors are packets with their lines, which never change.
var vectors = []struct {
	packet *socket.Packet
	line   string
}{
	{
		socket.NewPacket(socket.WithPtype(1), socket.WithUri("/a?b=c"), socket.WithBody(map[string]int{"a": 1})),
		`{"seq":0,"type":"pull","uri":"/a?b=c","body":{"a":1}}`,
	},
	{
		socket.NewPacket(socket.WithPtype(2), socket.WithSeq(math.MaxUint64), socket.WithBodyCodec('s'), socket.WithBody("say \"hi\"\n\x01\\ ä")),
		`{"seq":18446744073709551615,"type":"reply","codec":"string","body":"say \"hi\"\n\u0001\\ ä"}`,
	},
	{
		socket.NewPacket(socket.WithPtype(3), socket.WithUri("/m"), socket.WithAddMeta("a", "1"), socket.WithAddMeta("b", "x"), socket.WithAddMeta("a", "2"), socket.WithBodyCodec('s'), socket.WithBody("")),
		`{"seq":0,"type":"push","uri":"/m","meta":{"a":["1","2"],"b":"x"},"codec":"string"}`,
	},
	{
		socket.NewPacket(socket.WithPtype(3), socket.WithAddMeta("a", "\xff"), socket.WithBodyCodec(200), socket.WithBody([]byte{0, 0xff})),
		`{"seq":0,"type":"push","meta":"a=%FF","codec":200,"body64":"AP8="}`,
	},
	{
		errorReply(protometa.Error{Code: 404, Message: "Not Found", Detail: "<d>"}),
		`{"seq":1,"type":"reply","error":{"code":404,"message":"Not Found","detail":"<d>"},"meta":{"k":"v"},"body":null}`,
	},
	{
		socket.NewPacket(socket.WithPtype(1), socket.WithBodyCodec('j'), socket.WithBody([]byte("{\n \"a\": \"\\n\"\n}"))),
		`{"seq":0,"type":"pull","body":{"a":"\n"}}`,
	},
	{
		socket.NewPacket(socket.WithPtype(1), socket.WithBodyCodec('j'), socket.WithBody([]byte(`1,"type":"push"`))),
		`{"seq":0,"type":"pull","codec":"json","body64":"MSwidHlwZSI6InB1c2gi"}`,
	},
	{socket.NewPacket(socket.WithPtype(1), socket.WithBodyCodec('j'), socket.WithBody([]byte{})), `{"seq":0,"type":"pull","codec":"json"}`},
	{socket.NewPacket(socket.WithPtype(4), socket.WithSeq(3)), `{"seq":3,"type":"cancel"}`},
	{socket.NewPacket(socket.WithPtype(7)), `{"seq":0,"type":"pong"}`},
	{socket.NewPacket(socket.WithPtype(200)), `{"seq":0,"type":200}`},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		got := prototest.Pack(t, lines, v.packet)
		if string(got) != v.line+"\n" {
			t.Errorf("packed\n%s want\n%s", got, v.line)
		}
		p := prototest.Unpack(t, lines, []byte(v.line+"\n"))
		if again := prototest.Pack(t, lines, p); string(again) != v.line+"\n" {
			t.Errorf("packed again\n%s want\n%s", again, v.line)
		}
		if p.Seq() != v.packet.Seq() || p.Ptype() != v.packet.Ptype() || p.Uri() != v.packet.Uri() || p.BodyCodec() != v.packet.BodyCodec() {
			t.Errorf("got %v, want %v", p, v.packet)
		}
	}
}

// What people and scripts write.
func TestByHand(t *testing.T) {
	for line, want := range map[string]string{
		`{"uri":"/a"}`: `{"seq":0,"ptype":1,"uri":"/a","meta":"","body_codec":0,"body":"","size":0} filters  body `,
		` { "type" : 3 , "body" : null , "x" : [] } ` + "\r":     `{"seq":0,"ptype":3,"uri":"","meta":"","body_codec":106,"body":null,"size":0} filters  body null`,
		`{"body64":"YQ==","codec":"s"}`:                          `{"seq":0,"ptype":1,"uri":"","meta":"","body_codec":0,"body":"a","size":0} filters  body a`,
		`{"body":"a","codec":115}`:                               `{"seq":0,"ptype":1,"uri":"","meta":"","body_codec":115,"body":"a","size":0} filters  body a`,
		`{"meta":{"a":1.50,"b":true,"c":["x",2,false],"a":"2"}}`: `{"seq":0,"ptype":1,"uri":"","meta":"a=1.50&b=true&c=x&c=2&c=false&a=2","body_codec":0,"body":"","size":0} filters  body `,
		`{"meta":"a=1&b=%20","error":null}`:                      `{"seq":0,"ptype":1,"uri":"","meta":"a=1&b=%20","body_codec":0,"body":"","size":0} filters  body `,
		`{"meta":null,"type":"reply","error":{"code":7}}`:        `{"seq":0,"ptype":2,"uri":"","meta":"X-Reply-Error=%7B%22code%22%3A7%2C%22message%22%3A%22%22%2C%22detail%22%3A%22%22%7D","body_codec":0,"body":"","size":0} filters  body `,
	} {
		got := prototest.Describe(t, prototest.Unpack(t, lines, []byte("\n\r\n"+line+"\n")))
		if got != want {
			t.Errorf("%s: got\n%s, want\n%s", line, got, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, line := range []string{
		`null`, `1`, `[]`, `{`, `{}}`, `{} {}`, "\xff", `{"seq":-1}`, `{"seq":"1"}`, `{"seq":18446744073709551616}`,
		`{"type":"pulls"}`, `{"type":256}`, `{"type":-1}`, `{"type":null}`, `{"type":[]}`,
		`{"codec":256}`, `{"codec":null}`, `{"body":1,"codec":"string"}`, `{"body":1,"body64":""}`, `{"body64":"?"}`,
		`{"meta":1}`, `{"meta":[]}`, `{"meta":{"a":null}}`, `{"meta":{"a":{}}}`, `{"meta":{"a":[[]]}}`,
		`{"error":1}`, `{"error":{}}`,
		`{"filters":["gg"],"packet":""}`, `{"filters":[254]}`, `{"filters":["g","g"]}`, `{"filters":["g"],"packet":""}`, `{"filters":[256]}`,
		strings.Repeat(`{"a":`, 20000),
	} {
		err := prototest.NewConn(socket.Options{}, lines, []byte(line+"\n")).ReadPacket(prototest.Packet())
		if !errors.Is(err, socket.ErrMalformed) {
			t.Errorf("%.50s: got %v", line, err)
		}
	}
}

func samples() (packets []*socket.Packet) {
	for _, v := range vectors {
		packets = append(packets, v.packet)
	}
	return append(packets, socket.NewPacket(socket.WithPtype(1), socket.WithUri("/g"), socket.WithAddMeta("k", "v"),
		socket.WithBody(strings.Repeat("z", 300)), socket.WithXferPipe('g')))
}

func TestSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at the end, Unpack waits for answers
		got := prototest.Splits(t, lines, prototest.Pack(t, lines, samples()...))
		if len(got) != len(samples()) {
			t.Fatalf("%d packets", len(got))
		}
		if last := got[len(got)-1]; !strings.HasPrefix(last, `{"seq":0,"ptype":1,"uri":"/g","meta":"k=v"`) || !strings.Contains(last, "filters g ") {
			t.Errorf("got %s", last)
		}
	})
}

func TestTruncations(t *testing.T) {
	for _, p := range samples() {
		prototest.Truncations(t, lines, prototest.Pack(t, lines, p))
	}
}

func TestClaims(t *testing.T) { // a line claims nothing
	prototest.Claims(t, lines, []byte(`{"body64":"`+strings.Repeat("a", 10000)))
}

func TestLimits(t *testing.T) {
	for _, v := range vectors[:5] {
		prototest.Limits(t, lines, v.packet)
	}
	frame := prototest.Pack(t, lines, socket.NewPacket(socket.WithPtype(1), socket.WithXferPipe('g'), socket.WithBody(strings.Repeat("z", 100<<10))))
	if err := prototest.NewConn(socket.Options{PacketLimit: 50 << 10}, lines, frame).ReadPacket(prototest.Packet()); !errors.Is(err, socket.ErrMalformed) {
		t.Errorf("a bomb: %v", err)
	}
	noFilters := socket.Options{AllowFilter: func(byte) bool { return false }}
	if err := prototest.NewConn(noFilters, lines, frame).ReadPacket(prototest.Packet()); !errors.Is(err, socket.ErrFilterNotAllowed) {
		t.Errorf("a filter that is not allowed: %v", err)
	}
	// A line without end is refused as soon as it is too long.
	endless := bytes.Repeat([]byte("x"), 1001)
	err := prototest.NewConn(socket.Options{PacketLimit: 1000}, lines, endless[:600], endless[600:]).ReadPacket(prototest.Packet())
	if !errors.Is(err, socket.ErrExceedPacketSizeLimit) {
		t.Errorf("a line without end: %v", err)
	}
}

// An empty line is no packet that has begun.
func TestSilenceAfterEmptyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		s := socket.NewConn(near, socket.Options{FrameTimeout: time.Second}, lines)
		go func() {
			_, _ = io.WriteString(far, "\n")
			time.Sleep(time.Minute)
			_, _ = io.WriteString(far, `{"uri":"/a"}`+"\n")
		}()
		p := prototest.Packet()
		if err := s.ReadPacket(p); err != nil || p.Uri() != "/a" {
			t.Errorf("read %v, %v", p, err)
		}
	})
}

func TestManyPairs(t *testing.T) {
	const n = 1 << 20
	for name, meta := range map[string]string{
		"list":   `{"":[` + strings.Repeat(`"",`, n) + `""]}`,
		"object": `{` + strings.Repeat(`"":0,`, n) + `"":0}`,
		"text":   `"` + strings.Repeat("a&", n) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			prototest.ManyPairs(t, lines, []byte(`{"uri":"/a","meta":`+meta+"}\n"))
		})
	}
}

func TestManyFilters(t *testing.T) {
	frame := []byte(`{"filters":[` + strings.Repeat("1,", 1<<20) + `1],"packet":""}` + "\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := prototest.NewConn(socket.Options{}, lines, frame).ReadPacket(prototest.Packet())
	runtime.ReadMemStats(&after)
	if !errors.Is(err, xfer.ErrXferPipeTooLong) {
		t.Errorf("got %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16*uint64(len(frame)) {
		t.Errorf("%d bytes took %d bytes of memory", len(frame), took)
	}
}

func TestWhatIsNotCarried(t *testing.T) {
	p := socket.NewPacket(socket.WithPtype(1), socket.WithUri("/\xff"))
	if err := prototest.PackError(t, socket.Options{}, lines, p, vectors[0].packet); !errors.Is(err, jsonproto.ErrNotCarried) {
		t.Errorf("got %v", err)
	}
}

// Each line that we write is one JSON object to others too.
func TestLinesAreJSON(t *testing.T) {
	for _, p := range samples() {
		line := prototest.Pack(t, lines, p)
		if !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("got %s", line)
		}
	}
}

// A script whose input ends gets its answers, if they come in time.
func TestAnswersAfterTheEnd(t *testing.T) {
	for _, answer := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := prototest.NewConn(socket.Options{}, lines, []byte(`{"uri":"/a"}`+"\n"+`{"uri":"/b","type":"push"}`+"\n"))
			for range 2 {
				if err := c.ReadPacket(prototest.Packet()); err != nil {
					t.Fatal(err)
				}
			}
			time.AfterFunc(answer, func() { _ = c.WritePacket(socket.NewPacket(socket.WithPtype(2))) })
			begun := time.Now()
			if err := c.ReadPacket(prototest.Packet()); err != io.EOF {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took != min(answer, 10*time.Second) {
				t.Errorf("the end came after %v", took)
			}
			time.Sleep(answer)
		})
	}
}

func FuzzJsonUnpack(f *testing.F) {
	for _, p := range samples() {
		f.Add(prototest.Pack(f, lines, p))
	}
	f.Add([]byte(`{"meta":{"a":[1,true]},"type":2,"error":{"code":1},"codec":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		prototest.Fuzz(t, lines, data, func(p *socket.Packet) {
			if p.Ptype() == 2 && protometa.Has(p.Meta()) { // written in one form, and at its end
				e := protometa.From(p.Meta())
				p.Meta().Del(protometa.ErrorKey)
				e.SetTo(p.Meta())
			}
			// Those of one key come together.
			grouped := prototest.Unpack(t, lines, prototest.Pack(t, lines, p))
			p.SetMeta(grouped.Meta())
			if p.BodyCodec() == 'j' { // without what need not be there
				p.SetBody(grouped.Body())
			}
		})
	})
}

func BenchmarkJsonPack(b *testing.B)   { prototest.BenchPack(b, lines) }
func BenchmarkJsonUnpack(b *testing.B) { prototest.BenchUnpack(b, lines) }
