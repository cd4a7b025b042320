package tp_test

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// secretJSON panics when it is encoded or decoded.
type secretJSON struct{}

func (secretJSON) MarshalJSON() ([]byte, error)  { panic("hush") }
func (*secretJSON) UnmarshalJSON(b []byte) error { panic("hush") }

// secretProto panics when it packs a reply with a body.
type secretProto struct{ socket.Proto }

func (p secretProto) Pack(packet *socket.Packet) error {
	if packet.Ptype() == tp.TypeReply && packet.Body() != nil {
		panic("hush")
	}
	return p.Proto.Pack(packet)
}

// secretFilter panics when the server packs.
type secretFilter struct{ armed *atomic.Bool }

func (secretFilter) Id() byte                            { return 0xf5 }
func (secretFilter) OnUnpack(src []byte) ([]byte, error) { return src, nil }
func (f secretFilter) OnPack(src []byte) ([]byte, error) {
	if f.armed.Load() {
		panic("hush")
	}
	return src, nil
}

// What a panic says, and where it was, is for the log and not for the caller.
func TestTextOfAPanicStaysHere(t *testing.T) {
	armed := new(atomic.Bool)
	xfer.Replace(secretFilter{armed})
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log})
	tp.RegPull(srv.PullRouter, "reply", func(tp.PullCtx, *int) (secretJSON, *tp.Rerror) { return secretJSON{}, nil })
	tp.RegPull(srv.PullRouter, "args", func(tp.PullCtx, *secretJSON) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(srv.PullRouter, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { armed.Store(true); return 1, nil })
	proto := func(rw io.ReadWriter) socket.Proto { return secretProto{socket.NewFastProto(rw)} }
	plain, packed := serve(t, srv), serve(t, srv, proto)
	cli := newPeer(t, tp.PeerConfig{})
	for _, c := range []struct {
		name, addr, uri string
		setting         []socket.PacketSetting
		code            int32
	}{
		{"reply", plain, "/reply", nil, tp.CodeInternalServerError},
		{"args", plain, "/args", nil, tp.CodeBadPacket},
		{"proto", packed, "/fine", nil, tp.CodeInternalServerError},
		{"filter", plain, "/fine", []socket.PacketSetting{tp.WithXferPipe(0xf5)}, tp.CodeInternalServerError},
	} {
		armed.Store(false)
		logged := strings.Count(log.String(), `a body of "`)
		rerr := dial(t, cli, c.addr).Pull(c.uri, 1, nil, c.setting...).Rerror()
		wantCode(t, rerr, c.code, "it panicked")
		if strings.Contains(rerr.String(), "hush") || strings.Contains(rerr.String(), ".go") {
			t.Errorf("%s: the caller is told %v", c.name, rerr)
		}
		if n := strings.Count(log.String(), `a body of "`); n != logged+1 {
			t.Errorf("%s: the log has %d more lines of the panic, want 1", c.name, n-logged)
		}
	}
	if !strings.Contains(log.String(), "panic_text_test.go") {
		t.Error("the log has no stack")
	}
}
