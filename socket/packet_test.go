package socket_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

func TestPacketAccessors(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, 1)
	meta := new(utils.Args)
	p := socket.GetPacket(nil) // a nil setting is none
	equal(t, "meta of an empty packet", p.HasMeta(), false)
	equal(t, "context of an empty packet", p.Context(), context.Background())
	equal(t, "has a context", p.HasContext(), false)
	p.SetSeq(1)
	p.SetPtype(2)
	p.SetUri("/u")
	p.SetMeta(meta)
	p.SetBodyCodec('s')
	p.SetBody("b")
	p.SetContext(ctx)
	noError(t, p.SetSize(9))
	equal(t, "seq", p.Seq(), 1)
	equal(t, "ptype", p.Ptype(), 2)
	equal(t, "uri", p.Uri(), "/u")
	equal(t, "meta", p.Meta(), meta)
	equal(t, "has meta, an empty one", p.HasMeta(), false)
	p.Meta().Add("k", "v")
	equal(t, "has meta", p.HasMeta(), true)
	equal(t, "codec", p.BodyCodec(), 's')
	equal(t, "body", p.Body(), any("b"))
	equal(t, "context", p.Context(), ctx)
	equal(t, "has a context", p.HasContext(), true)
	equal(t, "size", p.Size(), 9)
	equal(t, "limit", p.SizeLimit(), socket.PacketSizeLimit())

	p.Reset(socket.WithSeq(5))
	equal(t, "reset", p.String(), socket.NewPacket(socket.WithSeq(5)).String())
	equal(t, "has a context", p.HasContext(), false)
	p.SetUri("/again")
	socket.PutPacket(p)
	equal(t, "put", p.String(), new(socket.Packet).String())
	socket.PutPacket(nil)
}

func TestPacketXferPipe(t *testing.T) {
	a := socket.NewPacket(socket.WithXferPipe('g'))
	b := socket.NewPacket(socket.WithXferPipe('R', 'g'))
	a.AppendXferPipeFrom(b)
	equal(t, "filters", string(a.XferPipe().Ids()), "gR")
	a.AppendXferPipeFrom(nil)
	a.AppendXferPipeFrom(new(socket.Packet))
	equal(t, "filters", string(a.XferPipe().Ids()), "gR")
}

func TestPacketString(t *testing.T) {
	held := func(body string) *socket.Packet {
		p := socket.NewPacket()
		p.HoldBody()
		noError(t, p.UnmarshalBody([]byte(body)))
		return p
	}
	tests := []struct {
		name   string
		packet *socket.Packet
		body   string
	}{
		{"none", socket.NewPacket(), `""`},
		{"json", socket.NewPacket(socket.WithBody([]int{1})), `[1]`},
		{"nil json", socket.NewPacket(socket.WithBodyCodec('j')), `null`},
		{"text", socket.NewPacket(socket.WithBody("a\n\"b\""), socket.WithBodyCodec('s')), `"a\n\"b\""`},
		{"unknown codec", socket.NewPacket(socket.WithBody(1), socket.WithBodyCodec(1)), `"codec: `},
		{"not encodable", socket.NewPacket(socket.WithBody(func() {})), `"socket: encode a body of type func()`},
		{"held", held(`{"a":1}`), `{"a":1}`},
		{"held text", held(`hi`), `"hi"`},
		// A peer chooses these bytes: they must not begin a line of their own.
		{"held lines", held("{\n\"a\":\r\n1}\n"), `{"a":1}`},
		{"lines", socket.NewPacket(socket.WithBody([]byte("[1,\n2]"))), `[1,2]`},
	}
	for _, test := range tests {
		p := test.packet
		p.SetSeq(1<<64 - 1)
		p.SetUri("/a\n\"b\"")
		p.Meta().Add("k", "\n")
		before := p.BodyCodec()
		got := p.String()
		if !json.Valid([]byte(got)) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("%s: not a line of JSON: %q", test.name, got)
		}
		want := `{"seq":18446744073709551615,"ptype":0,"uri":"/a\n\"b\"","meta":"k=%0A",`
		if !strings.HasPrefix(got, want) || !strings.Contains(got, `"body":`+test.body) {
			t.Errorf("%s: got %s, want %s and the body %s", test.name, got, want, test.body)
		}
		equal(t, test.name+": codec afterwards", p.BodyCodec(), before)
	}
}

func TestPacketSettings(t *testing.T) {
	ctx := context.TODO()
	p := socket.NewPacket(
		socket.WithSeq(1), socket.WithPtype(2), socket.WithUri("/u"), socket.WithAddMeta("k", "v"),
		socket.WithBodyCodec(codec.ID_JSON), socket.WithBody(3), socket.WithContext(ctx), socket.WithXferPipe('g'),
	)
	equal(t, "packet", p.String(), `{"seq":1,"ptype":2,"uri":"/u","meta":"k=v","body_codec":106,"body":3,"size":0}`)
	equal(t, "context", p.Context(), ctx)
	equal(t, "filters", string(p.XferPipe().Ids()), "g")
}

// The user may send the same Args many times: nothing is added to it.
func TestPacketAddMetaLeavesTheUsers(t *testing.T) {
	mine := new(utils.Args)
	mine.Add("a", "1")
	p := socket.NewPacket(socket.WithMeta(mine), socket.WithAddMeta("b", "2"), socket.WithAddMeta("a", "3"))
	equal(t, "packet's", p.Meta().String(), "a=1&b=2&a=3")
	equal(t, "user's", mine.String(), "a=1")
	equal(t, "without AddMeta", socket.NewPacket(socket.WithMeta(mine)).Meta(), mine)
}
