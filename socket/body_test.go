package socket_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// aliasCodec decodes into a []byte that is a part of what it was given, as a
// codec of a user may.
type aliasCodec struct{}

type aliased struct{ bytes []byte }

func (aliasCodec) Id() byte     { return 'A' }
func (aliasCodec) Name() string { return "alias" }

func (aliasCodec) Marshal(v any) ([]byte, error) { return v.(*aliased).bytes, nil }
func (aliasCodec) Unmarshal(b []byte, v any) error {
	v.(*aliased).bytes = b // panics for anything else
	return nil
}

func init() { codec.Reg(aliasCodec{}) }

// copyingProto gives out the bytes of a buffer that it then overwrites.
func copyingProto(body string, unmarshal func(*socket.Packet, []byte) error) socket.ProtoFunc {
	return hooks(nil, func(_ *hookProto, p *socket.Packet) error {
		p.SetSeq(7)
		p.SetPtype(3)
		p.SetUri("/u")
		p.SetBodyCodec('A')
		buf := []byte(body)
		err := unmarshal(p, buf)
		clear(buf)
		return err
	})
}

// What a codec decodes is the user's, even where the codec does not copy: the
// next packets must not change it.
func TestBodyIsStable(t *testing.T) {
	own := socket.NewPacket(socket.WithBodyCodec('A'), socket.WithBody([]byte("keep")))
	other := socket.NewPacket(socket.WithBodyCodec('A'), socket.WithBody([]byte("XXXXXXXX")))
	protos := map[string]struct {
		protoFunc socket.ProtoFunc
		settings  []socket.PacketSetting
	}{
		"fast":          {nil, nil},
		"fast filtered": {nil, []socket.PacketSetting{socket.WithXferPipe('g', 'R')}},
		"Unmarshal":     {copyingProto("keep", (*socket.Packet).UnmarshalBody), nil},
		"UnmarshalNew":  {copyingProto("keep", (*socket.Packet).UnmarshalNewBody), nil},
	}
	modes := map[string]func(*testing.T, *socket.Conn) []byte{
		"decoded": func(t *testing.T, c *socket.Conn) []byte {
			body := new(aliased)
			noError(t, c.ReadPacket(socket.NewPacket(socket.WithNewBody(func(uint64, byte, string) any { return body }))))
			return body.bytes
		},
		"bytes": func(t *testing.T, c *socket.Conn) []byte {
			body := new([]byte)
			noError(t, c.ReadPacket(socket.NewPacket(socket.WithNewBody(func(uint64, byte, string) any { return body }))))
			return *body
		},
		"held, decoded": func(t *testing.T, c *socket.Conn) []byte {
			body := new(aliased)
			p := socket.NewPacket(socket.WithBody(body))
			p.HoldBody()
			noError(t, c.ReadPacket(p))
			if p.Body() == nil { // UnmarshalNewBody
				p.SetBody(body)
			}
			noError(t, p.DecodeBody())
			return body.bytes
		},
		"held, taken": func(t *testing.T, c *socket.Conn) []byte {
			p := socket.NewPacket()
			p.HoldBody()
			noError(t, c.ReadPacket(p))
			body := p.TakeBody()
			p.ReleaseBody()
			return body
		},
	}
	for protoName, proto := range protos {
		for modeName, read := range modes {
			t.Run(protoName+", "+modeName, func(t *testing.T) {
				own.Reset(append(proto.settings, socket.WithBodyCodec('A'), socket.WithBody([]byte("keep")))...)
				stream := pack(t, own)
				for range 20 {
					stream = append(stream, pack(t, other)...)
				}
				c := newScript(stream).conn(socket.Options{}, proto.protoFunc)
				body := read(t, c)
				equal(t, "body", string(body), "keep")
				for range 20 { // which use the buffers that there are
					noError(t, c.ReadPacket(rawPacket()))
				}
				equal(t, "body, later", string(body), "keep")
			})
		}
	}
}

func TestBodyHeld(t *testing.T) {
	for _, body := range []string{"", `"hi"`} {
		sent := socket.NewPacket(socket.WithSeq(7), socket.WithBodyCodec('j'), socket.WithBody([]byte(body)))
		var got string
		p := socket.NewPacket(socket.WithBody(&got))
		p.HoldBody()
		noError(t, unpack(pack(t, sent), p))
		equal(t, "undecoded", got, "")
		equal(t, "held", string(p.HeldBody()), body)
		noError(t, p.DecodeBody())
		equal(t, "decoded", got, strings.Trim(body, `"`))
		equal(t, "held afterwards", len(p.HeldBody()), 0)
		if b := p.TakeBody(); b == nil || len(b) != 0 {
			t.Errorf("nothing taken: got %v, want an empty slice", b)
		}

		noError(t, p.UnmarshalBody([]byte(body))) // holds, again
		equal(t, "held", string(p.HeldBody()), body)
		p.ReleaseBody()
		equal(t, "released", len(p.HeldBody()), 0)

		noError(t, p.UnmarshalNewBody([]byte(body)))
		p.Reset()
		equal(t, "reset", len(p.HeldBody()), 0)
		noError(t, p.UnmarshalBody([]byte(body))) // holds no more
		equal(t, "not held", len(p.HeldBody()), 0)
	}
}

func TestBodyMarshal(t *testing.T) {
	raw := []byte("raw")
	tests := []struct {
		name      string
		codec     byte
		body      any
		want      string
		wantCodec byte
	}{
		{"nothing", 0, nil, "", 0},
		{"nil in JSON", 'j', nil, "null", 'j'},
		{"nil string", 's', nil, "", 's'},
		{"default codec", 0, 1, "1", 'j'},
		{"string", 's', "a", "a", 's'},
		{"bytes without a codec", 0, raw, "raw", 0},
		{"bytes, any codec", 'j', raw, "raw", 'j'},
		{"bytes, unknown codec", '?', raw, "raw", '?'},
		{"pointer to bytes", 'j', &raw, "raw", 'j'},
		{"nil pointer to bytes", 'j', (*[]byte)(nil), "", 'j'},
	}
	for _, test := range tests {
		p := socket.NewPacket(socket.WithBodyCodec(test.codec), socket.WithBody(test.body))
		b, err := p.MarshalBody()
		noError(t, err)
		equal(t, test.name, string(b), test.want)
		equal(t, test.name+": codec", p.BodyCodec(), test.wantCodec)
	}
}

type panicking struct{}

var errMarshal = errors.New("no")

func (panicking) MarshalJSON() ([]byte, error) { panic(errMarshal) }
func (*panicking) UnmarshalJSON([]byte) error  { panic(errMarshal) }

func TestBodyErrors(t *testing.T) {
	marshal := func(c byte, body any) error {
		_, err := socket.NewPacket(socket.WithBodyCodec(c), socket.WithBody(body)).MarshalBody()
		return err
	}
	unmarshal := func(c byte, body any) error {
		return socket.NewPacket(socket.WithBodyCodec(c), socket.WithBody(body)).UnmarshalBody([]byte("x "))
	}
	_, unknown := codec.Get('?')
	tests := []struct {
		name string
		err  error
		text string
	}{
		{"unknown codec", marshal('?', 1), unknown.Error()},
		{"unknown codec, read", unmarshal('?', new(int)), unknown.Error()},
		{"no codec, read", unmarshal(0, new(int)), "0"},
		{"not encodable", marshal('j', func() {}), `type func() with codec "json"`},
		{"not decodable", unmarshal('j', new(int)), `2 bytes with codec "json" into *int`},
		{"panic", marshal('A', 1), "panic: "},
		{"panic, read", unmarshal('A', new(int)), "panic: "},
		{"panic of the value", marshal('j', panicking{}), "panic: no"},
	}
	for _, test := range tests {
		if test.err == nil || !strings.Contains(test.err.Error(), test.text) {
			t.Errorf("%s: got %v, want %q", test.name, test.err, test.text)
		}
	}
}

func TestBodyUnmarshal(t *testing.T) {
	seen := ""
	newBody := func(body any) socket.NewBodyFunc {
		return func(seq uint64, ptype byte, uri string) any {
			seen = fmt.Sprintf("%d %d %s", seq, ptype, uri)
			return body
		}
	}
	read := func(body string, settings ...socket.PacketSetting) *socket.Packet {
		t.Helper()
		seen = ""
		p := socket.NewPacket(settings...)
		noError(t, unpack(pack(t, socket.NewPacket(
			socket.WithSeq(7), socket.WithPtype(3), socket.WithUri("/u"),
			socket.WithBodyCodec('j'), socket.WithBody([]byte(body)))), p))
		return p
	}
	var n, other int
	read("1", socket.WithBody(&n))
	equal(t, "into the body", n, 1)
	read("2", socket.WithNewBody(newBody(&n)))
	equal(t, "into a new body", n, 2)
	equal(t, "what NewBodyFunc got", seen, "7 3 /u")
	read("3", socket.WithBody(&n), socket.WithNewBody(newBody(&other)))
	equal(t, "the body comes first", n+10*other, 3)
	equal(t, "NewBodyFunc", seen, "")
	equal(t, "not wanted", read("4").Body(), nil)
	equal(t, "not wanted by NewBodyFunc", read("4", socket.WithNewBody(newBody(nil))).Body(), nil)
	equal(t, "what NewBodyFunc got", seen, "7 3 /u")
	read("", socket.WithBody(&n))
	equal(t, "empty body", n, 3)
	read("null", socket.WithBody(&n))
	equal(t, "null", n, 3)
	read("5", socket.WithBody((*[]byte)(nil)))

	// UnmarshalNewBody does not want the body that is there.
	p := socket.NewPacket(socket.WithBody(&n), socket.WithBodyCodec('j'), socket.WithNewBody(newBody(&other)))
	noError(t, p.UnmarshalNewBody([]byte("6")))
	equal(t, "new body", n*10+other, 36)
	p.SetNewBody(nil)
	noError(t, p.UnmarshalNewBody([]byte("7")))
	equal(t, "dropped", p.Body(), nil)

	// Bytes are copied, and never into what the user has.
	mine := []byte("mine")
	body := mine
	src := []byte("src")
	noError(t, socket.NewPacket(socket.WithBody(&body)).UnmarshalBody(src))
	clear(src)
	equal(t, "bytes", string(body)+" "+string(mine), "src mine")
}
