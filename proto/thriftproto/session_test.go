package thriftproto_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/thriftproto"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

// transports are those of thrift, and how its library makes the protocol of one.
var transports = []struct {
	transport thriftproto.Transport
	make      func(below thrift.TTransport) thrift.TProtocol
}{
	{thriftproto.Header, func(below thrift.TTransport) thrift.TProtocol {
		return thrift.NewTHeaderProtocolConf(below, &thrift.TConfiguration{})
	}},
	{thriftproto.Framed, func(below thrift.TTransport) thrift.TProtocol {
		return thrift.NewTBinaryProtocolConf(thrift.NewTFramedTransportConf(below, nil), nil)
	}},
	{thriftproto.Unframed, func(below thrift.TTransport) thrift.TProtocol {
		return thrift.NewTBinaryProtocolConf(thrift.NewTBufferedTransport(below, 4096), nil)
	}},
}

// bound is how long a test waits for what must come.
const bound = 30 * time.Second

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(bound):
		t.Fatalf("nothing came in %v", bound)
		panic("unreachable")
	}
}

// newServer returns a peer with the service, for thrift's clients and for others.
func newServer(noted chan<- string) *tp.Peer {
	server := tp.NewPeer(&tp.PeerConfig{})
	for _, group := range []string{"", "calculator/"} {
		tp.RegPull(server.PullRouter, group+"add", func(_ tp.PullCtx, args *addArgs) (*addResult, *tp.Rerror) {
			sum := args.A + args.B
			return &addResult{&sum}, nil
		})
	}
	tp.RegPull(server.PullRouter, "echo_text", func(ctx tp.PullCtx, args *textArgs) (*textResult, *tp.Rerror) {
		ctx.SetMeta("came", string(ctx.GetMeta("token")))
		return &textResult{args.Text + string(ctx.GetMeta("token"))}, nil
	})
	tp.RegPull(server.PullRouter, "fail", func(_ tp.PullCtx, args *addArgs) (*addResult, *tp.Rerror) {
		return nil, tp.NewRerror(args.A, "no", "because")
	})
	tp.RegPull(server.PullRouter, "void", func(tp.PullCtx, *struct{}) (*addResult, *tp.Rerror) { return nil, nil })
	tp.RegPull(server.PullRouter, "json", func(_ tp.PullCtx, args *map[string]int) (map[string]int, *tp.Rerror) { return *args, nil })
	tp.RegPull(server.PullRouter, "bytes", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPush(server.PushRouter, "note", func(_ tp.PushCtx, args *textArgs) { noted <- args.Text })
	return server
}

func isNote(name string) bool { return name == "note" }

// A thrift client of the thrift library calls our handlers, by each transport, all of
// them on one listener.
func TestThriftClient(t *testing.T) {
	noted := make(chan string, 1)
	addr := tptest.Serve(t, newServer(noted), thriftproto.NewProtoFunc(&thriftproto.Config{Oneway: isNote}))
	for _, transport := range transports {
		t.Run(transport.transport.String(), func(t *testing.T) {
			below := thrift.NewTSocketConf(addr, &thrift.TConfiguration{SocketTimeout: bound})
			if err := below.Open(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = below.Close() }()
			protocol := transport.make(below)
			client := thrift.NewTStandardClient(protocol, protocol)
			ctx := context.Background()
			add := func(client thrift.TClient) {
				t.Helper()
				var sum addResult
				if _, err := client.Call(ctx, "add", &addArgs{40, 2}, &sum); err != nil || sum.Success == nil || *sum.Success != 42 {
					t.Fatalf("add: %v, %v", sum.Success, err)
				}
			}
			add(client)
			multiplexed := thrift.NewTMultiplexedProtocol(protocol, "Calculator")
			add(thrift.NewTStandardClient(protocol, multiplexed))

			long := strings.Repeat("long ", 200_000)
			var text textResult
			headers := thrift.SetWriteHeaderList(thrift.SetHeader(ctx, "token", "T"), []string{"token"})
			meta, err := client.Call(headers, "echoText", &textArgs{long}, &text)
			want := long
			if transport.transport == thriftproto.Header {
				want += "T"
				if meta.Headers["came"] != "T" {
					t.Errorf("headers of the reply: %v", meta.Headers)
				}
			}
			if err != nil || text.Success != want {
				t.Fatalf("echo: %d bytes, %v", len(text.Success), err)
			}

			// A void result has no field.
			var none addResult
			if _, err := client.Call(ctx, "void", &addArgs{}, &none); err == nil {
				t.Error("a handler that takes no struct took one")
			}
			if _, err := client.Call(ctx, "void", new(voidArgs), &none); err != nil || none.Success != nil {
				t.Errorf("void: %v, %v", none.Success, err)
			}

			var exception thrift.TApplicationException
			for _, c := range []struct {
				method string
				code   int32
				kind   int32
				text   string
			}{
				{"nothing", 0, thrift.UNKNOWN_METHOD, "Not Found"},
				{"fail", 1234, 1234, "no: because"},
				{"fail", 500, thrift.INTERNAL_ERROR, "no: because"},
				{"fail", 400, thrift.PROTOCOL_ERROR, "no: because"},
			} {
				_, err := client.Call(ctx, c.method, &addArgs{A: c.code}, new(addResult))
				if !errors.As(err, &exception) || exception.TypeId() != c.kind || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s %d: %v", c.method, c.code, err)
				}
			}
			if _, err := client.Call(ctx, "note", &textArgs{"noted"}, nil); err != nil {
				t.Errorf("oneway: %v", err)
			}
			if text := receive(t, noted); text != "noted" {
				t.Errorf("oneway: %q", text)
			}
			add(client) // the connection is still in step
		})
	}
}

// voidArgs are no arguments.
type voidArgs struct{}

func (*voidArgs) Read(ctx context.Context, p thrift.TProtocol) error  { return readFields(ctx, p, nil) }
func (*voidArgs) Write(ctx context.Context, p thrift.TProtocol) error { return writeFields(ctx, p) }

// Our client calls a thrift server of the thrift library, by each transport.
func TestThriftServer(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport.transport.String(), func(t *testing.T) {
			noted := make(chan string, 1)
			addr := serveThrift(t, &calculator{noted}, transport.make)
			client := tp.NewPeer(&tp.PeerConfig{})
			t.Cleanup(func() { _ = client.Close() })
			sess, rerr := client.Dial(addr, thriftproto.NewProtoFunc(&thriftproto.Config{Transport: transport.transport}))
			if rerr != nil {
				t.Fatal(rerr)
			}
			var callers sync.WaitGroup
			for i := range int32(50) {
				callers.Go(func() {
					sum, rerr := tp.Pull[addResult](sess, "add", &addArgs{i, 1}, tp.WithBodyCodec(thriftproto.CodecID))
					if rerr != nil || sum.Success == nil || *sum.Success != i+1 {
						t.Errorf("add: %v, %v", sum, rerr)
					}
				})
			}
			callers.Wait()
			text, rerr := tp.Pull[textResult](sess, "echo", &textArgs{"x"}, tp.WithBodyCodec(thriftproto.CodecID), tp.WithAddMeta("token", "T"))
			want := "x"
			if transport.transport == thriftproto.Header {
				want = "xT"
			}
			if rerr != nil || text.Success != want {
				t.Errorf("echo: %v, %v, want %q", text, rerr, want)
			}
			_, rerr = tp.Pull[textResult](sess, "nothing", &textArgs{"x"}, tp.WithBodyCodec(thriftproto.CodecID))
			if rerr == nil || rerr.Code != tp.CodeNotFound || rerr.Message != `no method "nothing"` {
				t.Errorf("no method: %v", rerr)
			}
			if rerr := sess.Push("note", &textArgs{"pushed"}, tp.WithBodyCodec(thriftproto.CodecID)); rerr != nil {
				t.Error(rerr)
			}
			if text := receive(t, noted); text != "pushed" {
				t.Errorf("pushed %q", text)
			}
			if transport.transport == thriftproto.Header {
				return
			}
			_, rerr = tp.Pull[string](sess, "echo", "JSON")
			if rerr == nil || !strings.Contains(rerr.Detail, "codec") {
				t.Errorf("a body that cannot be carried: %v", rerr)
			}
			if !sess.Health() {
				t.Error("the session is closed")
			}
		})
	}
}

// serveThrift runs a thrift server until the test's end.
func serveThrift(t *testing.T, processor thrift.TProcessor, protocol func(thrift.TTransport) thrift.TProtocol) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				p := protocol(thrift.NewTSocketFromConnConf(conn, nil))
				ctx := context.Background()
				for {
					if h, ok := p.(*thrift.THeaderProtocol); ok { // as TSimpleServer does
						if err := h.ReadFrame(ctx); err != nil {
							return
						}
						ctx = thrift.AddReadTHeaderToContext(context.Background(), h.GetReadHeaders())
					}
					if ok, err := processor.Process(ctx, p, p); !ok || err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		conns.Wait()
	})
	return lis.Addr().String()
}

// Two peers lose nothing by the format: all bodies, errors, filters, meta data, the other
// direction, cancel and close.
func TestConversation(t *testing.T) {
	noted := make(chan string, 1)
	server, client := newServer(noted), newServer(noted)
	waits, ended := make(chan bool, 1), make(chan error, 1)
	tp.RegPull(server.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		waits <- true
		<-ctx.Context().Done()
		ended <- ctx.Context().Err()
		return nil, nil
	})
	sess, back := tptest.Pair(t, client, server, thriftproto.NewProtoFunc(nil))
	for _, s := range []tp.Session{sess, back} {
		sum, rerr := tp.Pull[addResult](s, "/add", &addArgs{1, 2}, tp.WithBodyCodec('t'))
		if rerr != nil || *sum.Success != 3 {
			t.Errorf("add: %v, %v", sum, rerr)
		}
		object, rerr := tp.Pull[map[string]int](s, "/json", map[string]int{"a": 1})
		if rerr != nil || object["a"] != 1 {
			t.Errorf("json: %v, %v", object, rerr)
		}
		text, rerr := tp.Pull[textResult](s, "/echo_text?q=1", &textArgs{"x"}, tp.WithBodyCodec('t'), tp.WithAddMeta("token", "ä&="))
		if rerr != nil || text.Success != "xä&=" {
			t.Errorf("meta: %v, %v", text, rerr)
		}
		large := bytes.Repeat([]byte("\x00\xffteleport"), 1<<20/10)
		for _, filters := range [][]byte{nil, {'g'}} {
			got, rerr := tp.Pull[[]byte](s, "/bytes", large, tp.WithBodyCodec('s'), tp.WithXferPipe(filters...))
			if rerr != nil || !bytes.Equal(got, large) {
				t.Errorf("1 MiB, filters %q: %d bytes, %v", filters, len(got), rerr)
			}
		}
		for _, code := range []int32{1, 7, 10, 404, 1001, -5} {
			for _, filters := range [][]byte{nil, {'g'}} {
				_, rerr := tp.Pull[addResult](s, "/fail", &addArgs{A: code}, tp.WithBodyCodec('t'), tp.WithXferPipe(filters...))
				if want := tp.NewRerror(code, "no", "because"); rerr == nil || *rerr != *want {
					t.Errorf("error, filters %q: %v, want %v", filters, rerr, want)
				}
			}
		}
		if rerr := s.Push("/note", &textArgs{"hello"}, tp.WithBodyCodec('t')); rerr != nil {
			t.Error(rerr)
		}
		if text := receive(t, noted); text != "hello" {
			t.Errorf("pushed %q", text)
		}
		var callers sync.WaitGroup
		for i := range 1000 {
			callers.Go(func() {
				body := fmt.Sprint(i)
				if got, rerr := tp.Pull[[]byte](s, "/bytes", []byte(body)); rerr != nil || string(got) != body {
					t.Errorf("caller %d: %q, %v", i, got, rerr)
				}
			})
		}
		callers.Wait()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
	receive(t, waits)
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the context of a handler whose caller gave up: %v", err)
	}
	receive(t, done)
}

// One peer has two listeners, for thrift's clients and for its own kind.
func TestBesideFastProto(t *testing.T) {
	noted := make(chan string, 1)
	server := newServer(noted)
	thriftAddr := tptest.Serve(t, server, thriftproto.NewProtoFunc(nil))
	fastAddr := tptest.Serve(t, server)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer func() { _ = client.Close() }()
	for addr, protoFunc := range map[string]socket.ProtoFunc{thriftAddr: thriftproto.NewProtoFunc(nil), fastAddr: nil} {
		sess, rerr := client.Dial(addr, protoFunc)
		if rerr != nil {
			t.Fatal(rerr)
		}
		sum, rerr := tp.Pull[addResult](sess, "/add", &addArgs{1, 2}, tp.WithBodyCodec(thriftproto.CodecID))
		if rerr != nil || *sum.Success != 3 {
			t.Errorf("add: %v, %v", sum, rerr)
		}
	}
	for _, c := range []struct {
		addr      string
		protoFunc socket.ProtoFunc
	}{{fastAddr, thriftproto.NewProtoFunc(nil)}, {thriftAddr, nil}} {
		sess, rerr := client.Dial(c.addr, c.protoFunc)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if rerr := sess.Pull("/add", &addArgs{1, 2}, nil, tp.WithBodyCodec('t')).Rerror(); rerr == nil {
			t.Error("a pull in the wrong format was answered")
		}
	}
}
