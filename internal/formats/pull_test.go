package formats_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/form"
	"github.com/henrylee2cn/teleport/codec/gojson"
	"github.com/henrylee2cn/teleport/codec/msgpack"
	"github.com/henrylee2cn/teleport/codec/plain"
	"github.com/henrylee2cn/teleport/codec/stdjson"
	"github.com/henrylee2cn/teleport/codec/xml"
	"github.com/henrylee2cn/teleport/internal/filtertest"
	"github.com/henrylee2cn/teleport/internal/formats"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/aesgcm"
	"github.com/henrylee2cn/teleport/xfer/crc32c"
	"github.com/henrylee2cn/teleport/xfer/ifsmaller"
	"github.com/henrylee2cn/teleport/xfer/kgzip"
	"github.com/henrylee2cn/teleport/xfer/md5"
	"github.com/henrylee2cn/teleport/xfer/s2"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

// codecs are all that there are; those of JSON take each other's place.
var codecs = []struct {
	name  string
	codec codec.Codec
}{
	{"json", codec.JsonCodec{}},
	{"json: gojson", gojson.Codec{}},
	{"json: stdjson", stdjson.Codec{}},
	{"protobuf", codec.ProtoCodec{}},
	{"msgpack", msgpack.Codec{}},
	{"xml", xml.Codec{}},
	{"form", form.Codec{}},
	{"string", codec.StringCodec{}},
	{"plain", plain.Codec{}},
}

// pipes are the filters, alone and together, outermost first.
var pipes = []struct{ name, ids string }{
	{"none", ""},
	{"gzip", "g"},
	{"gzip: kgzip", "g"},
	{"zstd", "z"},
	{"s2", "s"},
	{"ifsmaller around zstd", "Z"},
	{"crc32c", "c"},
	{"md5", "m"},
	{"aesgcm", "a"},
	{"aesgcm over zstd", "az"},
	{"crc32c over s2", "cs"},
	{"four", "cazm"},
}

var stdGzip xfer.XferFilter // the one that kgzip replaced

func init() {
	f, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: bytes.Repeat([]byte("k"), 32)}, Current: 1})
	if err != nil {
		panic(err)
	}
	xfer.Reg(f)
	z, err := ifsmaller.New(&ifsmaller.Config{Id: 'Z', Filter: zstd.ID})
	if err != nil {
		panic(err)
	}
	xfer.Reg(z)
	if stdGzip, err = xfer.NewGzip(1); err != nil {
		panic(err)
	}
	for _, id := range []byte{zstd.ID, s2.ID, crc32c.ID, md5.ID} {
		if _, err := xfer.Get(id); err != nil {
			panic(err)
		}
	}
}

// choose makes the codec or the filter that has the name the one of its id.
func choose(t testing.TB, name string) {
	t.Helper()
	switch name {
	case "gzip", "gzip: kgzip":
		f := stdGzip
		if name != "gzip" {
			k, err := kgzip.New(1)
			if err != nil {
				t.Fatal(err)
			}
			f = k
		}
		xfer.Replace(f)
	default:
		for _, c := range codecs {
			if c.name == name {
				codec.Reg(c.codec)
			}
		}
	}
}

// handlers answer with what they were given.
func handlers(server *tp.Peer) {
	tp.RegPull(server.PullRouter, "order", func(_ tp.PullCtx, o *order) (*order, *tp.Rerror) { return o, nil })
	tp.RegPull(server.PullRouter, "proto", func(_ tp.PullCtx, o *formats.Order) (*formats.Order, *tp.Rerror) { return o, nil })
	tp.RegPull(server.PullRouter, "text", func(_ tp.PullCtx, s *string) (string, *tp.Rerror) { return *s, nil })
	tp.RegPull(server.PullRouter, "double", func(_ tp.PullCtx, n *int) (int, *tp.Rerror) { return 2 * *n, nil })
}

// echo pulls what suits the codec, and compares what comes back.
func echo(t *testing.T, sess tp.Session, c codec.Codec, settings ...socket.PacketSetting) {
	t.Helper()
	settings = append(settings, tp.WithBodyCodec(c.Id()))
	var got, want interface{}
	uri := "/order"
	switch c.Id() {
	case codec.ID_PROTOBUF:
		uri, got, want = "/proto", new(formats.Order), sampleProto()
	case codec.ID_STRING:
		text := strings.Repeat("plain text & more, ", 100)
		uri, got, want = "/text", new(string), &text
	default:
		got, want = new(order), sample()
	}
	cmd := sess.Pull(uri, want, got, settings...)
	if rerr := cmd.Rerror(); rerr != nil {
		t.Fatalf("%s: %v", uri, rerr)
	}
	if cmd.InputBodyCodec() != c.Id() {
		t.Errorf("the reply is in codec %q", cmd.InputBodyCodec())
	}
	same := reflect.DeepEqual(got, want)
	if m, ok := want.(proto.Message); ok {
		same = proto.Equal(got.(proto.Message), m)
	}
	if !same {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// Each codec through each filter, over TCP.
func TestPullWithEach(t *testing.T) {
	server, client := tp.NewPeer(&tp.PeerConfig{}), tp.NewPeer(&tp.PeerConfig{})
	handlers(server)
	sess, _ := tptest.Pair(t, client, server)
	for _, c := range codecs {
		choose(t, c.name)
		for _, p := range pipes {
			choose(t, p.name)
			t.Run(c.name+" "+p.name, func(t *testing.T) {
				echo(t, sess, c.codec, tp.WithXferPipe([]byte(p.ids)...))
			})
		}
	}
}

// Nothing at all goes both ways in each codec, and a number in the one that took it.
func TestPullOfNothing(t *testing.T) {
	server, client := tp.NewPeer(&tp.PeerConfig{}), tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "nothing", func(_ tp.PullCtx, _ *struct{}) (interface{}, *tp.Rerror) { return nil, nil })
	handlers(server)
	sess, _ := tptest.Pair(t, client, server)
	for _, c := range codecs {
		choose(t, c.name)
		if rerr := sess.Pull("/nothing", nil, nil, tp.WithBodyCodec(c.codec.Id())).Rerror(); rerr != nil {
			t.Errorf("%s: %v", c.name, rerr)
		}
	}
	var n int
	choose(t, "plain")
	if rerr := sess.Pull("/double", 21, &n, tp.WithBodyCodec(plain.ID)).Rerror(); rerr != nil || n != 42 {
		t.Errorf("plain: got %d, %v", n, rerr)
	}
}

// A body that a codec refuses is answered with 400, and the session lives on.
func TestHostileBodies(t *testing.T) {
	server, client := tp.NewPeer(&tp.PeerConfig{}), tp.NewPeer(&tp.PeerConfig{})
	handlers(server)
	sess, _ := tptest.Pair(t, client, server)
	for id, body := range map[byte]string{
		msgpack.ID:    "\xdd\xff\xff\xff\xff",
		form.ID:       "items[999999999].sku=x",
		xml.ID:        "<a><b></a>",
		codec.ID_JSON: strings.Repeat("[", 1<<20),
	} {
		// A []byte is a body that is encoded already.
		rerr := sess.Pull("/order", []byte(body), nil, tp.WithBodyCodec(id)).Rerror()
		if rerr == nil || rerr.Code != tp.CodeBadPacket {
			t.Errorf("%q: got %v, want code %d", id, rerr, tp.CodeBadPacket)
		}
	}
	echo(t, sess, msgpack.Codec{})
}

// Bombs, damage and other keys end the session before they cost anything.
func TestHostilePackets(t *testing.T) {
	foreign, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: bytes.Repeat([]byte("x"), 32)}, Current: 1})
	if err != nil {
		t.Fatal(err)
	}
	z, err := xfer.Get(zstd.ID)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 32<<20)
	tests := []struct {
		name   string
		id     byte
		packed []byte
	}{
		{"zstd bomb", zstd.ID, filtertest.Pack(t, z, content)},
		{"s2 bomb", s2.ID, filtertest.Pack(t, s2.Filter{}, content)},
		{"bomb inside", 'Z', append([]byte{1}, filtertest.Pack(t, z, content)...)},
		{"other key", aesgcm.ID, filtertest.Pack(t, foreign, []byte("x"))},
		{"wrong checksum", crc32c.ID, make([]byte, 30)},
		{"wrong md5", md5.ID, make([]byte, 30)},
	}
	quiet, _ := tp.NewLogger(nil, "OFF")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
			handlers(server)
			client := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
			sess, atServer := tptest.Pair(t, client, server)
			real, err := xfer.Get(tt.id)
			if err != nil {
				t.Fatal(err)
			}
			xfer.Replace(sending{real.(filtertest.Filter), tt.packed})
			defer xfer.Replace(real)
			rerr := sess.Pull("/text", "hello", nil, tp.WithXferPipe(tt.id)).Rerror()
			if rerr == nil || rerr.Code != tp.CodeConnClosed {
				t.Errorf("got %v, want code %d", rerr, tp.CodeConnClosed)
			}
			<-atServer.CloseNotify()
		})
	}
}

// sending is a filter that sends what it has instead of a packet.
type sending struct {
	filtertest.Filter
	packed []byte
}

func (s sending) OnPack([]byte) ([]byte, error) { return s.packed, nil }
