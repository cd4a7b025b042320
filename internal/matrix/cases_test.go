package matrix

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/codec/form"
	"github.com/henrylee2cn/teleport/codec/msgpack"
	_ "github.com/henrylee2cn/teleport/codec/plain"
	"github.com/henrylee2cn/teleport/codec/xml"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/proto/pbproto"
	"github.com/henrylee2cn/teleport/proto/rawproto"
	"github.com/henrylee2cn/teleport/proto/thriftproto"
	"github.com/henrylee2cn/teleport/socket"
	_ "github.com/henrylee2cn/teleport/transport/quic"
	_ "github.com/henrylee2cn/teleport/transport/websocket"
	"github.com/henrylee2cn/teleport/xfer"
	"github.com/henrylee2cn/teleport/xfer/aesgcm"
	_ "github.com/henrylee2cn/teleport/xfer/crc32c"
	"github.com/henrylee2cn/teleport/xfer/ifsmaller"
	_ "github.com/henrylee2cn/teleport/xfer/md5"
	_ "github.com/henrylee2cn/teleport/xfer/s2"
	"github.com/henrylee2cn/teleport/xfer/zstd"
)

// transportCase is a way to connect.
type transportCase struct {
	name   string
	listen func(t testing.TB) string                // the address to listen on
	dial   func(listens string, at net.Addr) string // the one to dial then
	secure bool
}

func fixed(addr string) func(testing.TB) string { return func(testing.TB) string { return addr } }

// withPort puts the port that was found into the address that was listened on.
func withPort(listens string, at net.Addr) string {
	_, port, _ := net.SplitHostPort(at.String())
	return strings.Replace(listens, ":0", ":"+port, 1)
}

func same(listens string, _ net.Addr) string { return listens }

var transports = []transportCase{
	{"tcp", fixed("127.0.0.1:0"), withPort, false},
	{"tls", fixed("tls://127.0.0.1:0"), withPort, true},
	{"unix", func(t testing.TB) string { return "unix://" + filepath.Join(t.TempDir(), "sock") }, same, false},
	{"mem", func(t testing.TB) string { return "mem://" + strings.ReplaceAll(t.Name(), "/", "-") }, same, false},
	{"ws", fixed("ws://127.0.0.1:0/tp"), withPort, false},
	{"wss", fixed("wss://127.0.0.1:0/tp"), withPort, true},
	{"quic", fixed("quic://127.0.0.1:0"), withPort, true},
}

// protoCase is a packet format.
type protoCase struct {
	name       string
	protoFuncs []socket.ProtoFunc
	without    map[string]string // steps that it has no room for, and why
	filters    string            // ids of the filters that it carries; "" is all
	codecs     string            // of the codecs; "" is all
}

var protos = []protoCase{
	{name: "fast"},
	{name: "raw", protoFuncs: []socket.ProtoFunc{rawproto.NewProtoFunc()}, without: map[string]string{stepCancel: "erpc has no packet for it"}},
	{name: "json", protoFuncs: []socket.ProtoFunc{jsonproto.NewProtoFunc()}},
	{name: "pb", protoFuncs: []socket.ProtoFunc{pbproto.NewProtoFunc()}},
	{name: "thrift", protoFuncs: []socket.ProtoFunc{thriftproto.NewProtoFunc(nil)}},
	{name: "http", protoFuncs: []socket.ProtoFunc{httproto.NewProtoFunc()}, filters: "g", without: map[string]string{
		stepBack: "requests go one way", stepCancel: "HTTP/1.1 has none",
	}},
}

// codecCase is a codec with values of its kind.
type codecCase struct {
	name     string
	id       byte
	register func(c *conversation)
	value    func(text string) interface{}
	empty    func() interface{}
	text     func(v interface{}) string
}

// valuesOf returns the case of a codec whose values are of type T.
func valuesOf[T any](name string, id byte, set func(v *T, text string), get func(v *T) string) codecCase {
	value := func(text string) *T {
		v := new(T)
		set(v, text)
		return v
	}
	return codecCase{
		name: name, id: id,
		value: func(text string) interface{} { return value(text) },
		empty: func() interface{} { return new(T) },
		text:  func(v interface{}) string { return get(v.(*T)) },
		register: func(c *conversation) {
			echo := func(_ tp.PullCtx, args *T) (*T, *tp.Rerror) { return args, nil }
			tp.RegPull(c.srv.PullRouter, "echo", echo)
			tp.RegPull(c.cli.PullRouter, "echo", echo)
			tp.RegPush(c.srv.PushRouter, "note", func(_ tp.PushCtx, args *T) { c.pushed <- get(args) })
			tp.RegPush(c.cli.PushRouter, "note", func(_ tp.PushCtx, args *T) { c.back <- get(args) })
			tp.RegPull(c.srv.PullRouter, "fail", func(tp.PullCtx, *T) (*T, *tp.Rerror) {
				return nil, tp.NewRerror(1234, "it fails", "as it should")
			})
			tp.RegPull(c.srv.PullRouter, "wait", func(ctx tp.PullCtx, args *T) (*T, *tp.Rerror) {
				c.waiting <- struct{}{}
				<-ctx.Context().Done()
				c.ended <- ctx.Context().Err()
				return args, nil
			})
			tp.RegPull(c.srv.PullRouter, "hold", func(_ tp.PullCtx, args *T) (*T, *tp.Rerror) {
				c.waiting <- struct{}{}
				<-c.release
				return args, nil
			})
			tp.RegPull(c.srv.PullRouter, "back", func(ctx tp.PullCtx, args *T) (*T, *tp.Rerror) {
				if rerr := ctx.Session().Push("/note", args, c.as()...); rerr != nil {
					return nil, rerr
				}
				reply := new(T)
				rerr := ctx.Session().Pull("/echo", args, reply, c.as()...).Rerror()
				return value(get(reply) + " and back"), rerr
			})
		},
	}
}

// note is what the codecs for structs are given.
type note struct {
	Text string `json:"text" form:"text" xml:"text" msgpack:"text"`
}

func noteOf(name string, id byte) codecCase {
	return valuesOf(name, id, func(v *note, text string) { v.Text = text }, func(v *note) string { return v.Text })
}

var codecs = []codecCase{
	noteOf("json", codec.ID_JSON),
	valuesOf("protobuf", codec.ID_PROTOBUF, func(v *wrapperspb.StringValue, text string) { v.Value = text }, (*wrapperspb.StringValue).GetValue),
	valuesOf("string", codec.ID_STRING, func(v *string, text string) { *v = text }, func(v *string) string { return *v }),
	noteOf("form", form.ID),
	noteOf("xml", xml.ID),
	noteOf("msgpack", msgpack.ID),
	valuesOf("thrift", thriftproto.CodecID, func(v *text, s string) { v.value = s }, func(v *text) string { return v.value }),
}

// filterCase is a transfer filter.
type filterCase struct {
	name string
	id   byte
}

var filters = []filterCase{
	{"none", 0}, {"gzip", 'g'}, {"zstd", zstd.ID}, {"s2", 's'}, {"zstd if smaller", 'Z'}, {"crc32c", 'c'}, {"md5", 'm'}, {"aesgcm", aesgcm.ID},
}

func init() {
	secret, err := aesgcm.New(&aesgcm.Config{Keys: map[uint32][]byte{1: make([]byte, 32)}, Current: 1})
	if err != nil {
		panic(err)
	}
	xfer.Reg(secret)
	smaller, err := ifsmaller.New(&ifsmaller.Config{Id: 'Z', Filter: zstd.ID})
	if err != nil {
		panic(err)
	}
	xfer.Reg(smaller)
}
