package socket_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// linePacket returns a packet as lineProto writes it.
func linePacket(t *testing.T, p *socket.Packet) []byte {
	t.Helper()
	s := newScript()
	noError(t, s.conn(socket.Options{}, newLineProto).WritePacket(p))
	return s.output()
}

// A Proto with a buffer of its own gets every packet, however they arrive.
func TestProtoWithOwnBuffer(t *testing.T) {
	one := linePacket(t, socket.NewPacket(socket.WithSeq(1), socket.WithBody("a")))
	two := linePacket(t, socket.NewPacket(socket.WithSeq(2), socket.WithAddMeta("k", "v"), socket.WithBody("b")))
	both := append(append([]byte(nil), one...), two...)
	for i := range len(both) + 1 {
		c := newScript(both[:i], both[i:]).conn(socket.Options{}, newLineProto)
		var body string
		p := socket.NewPacket(socket.WithBody(&body))
		noError(t, c.ReadPacket(p))
		equal(t, "first", body, "a")
		noError(t, c.ReadPacket(p))
		equal(t, "second", body, "b")
		equal(t, "seq", p.Seq(), 2)
		equal(t, "meta", p.Meta().String(), "k=v")
		equal(t, "end", c.ReadPacket(p), io.EOF)
	}
}

// hookProto runs functions of the test.
type hookProto struct {
	rw           io.ReadWriter
	pack, unpack func(*hookProto, *socket.Packet) error
}

func (hookProto) Version() (byte, string)          { return 'h', "hook" }
func (h *hookProto) Pack(p *socket.Packet) error   { return h.pack(h, p) }
func (h *hookProto) Unpack(p *socket.Packet) error { return h.unpack(h, p) }

func hooks(pack, unpack func(*hookProto, *socket.Packet) error) socket.ProtoFunc {
	return func(rw io.ReadWriter) socket.Proto { return &hookProto{rw, pack, unpack} }
}

// What Pack has written when it fails is dropped, and the Conn lives.
func TestProtoPackFails(t *testing.T) {
	errPack := errors.New("no")
	s := newScript()
	c := s.conn(socket.Options{PacketLimit: 10}, hooks(func(h *hookProto, p *socket.Packet) error {
		io.WriteString(h.rw, "half ")
		switch p.Uri() {
		case "/error":
			return errPack
		case "/panic":
			panic("at the disco")
		case "/big": // without asking SetSize
			io.WriteString(h.rw, "is too much")
		}
		io.WriteString(h.rw, "whole")
		return nil
	}, nil))
	write := func(uri string) error { return c.WritePacket(socket.NewPacket(socket.WithUri(uri))) }
	wantError(t, write("/error"), errPack)
	err := write("/panic")
	wantError(t, err, socket.ErrPack)
	if !strings.Contains(err.Error(), "at the disco") {
		t.Errorf("the error does not say what Pack panicked with: %v", err)
	}
	err = write("/big")
	wantError(t, err, socket.ErrPack)
	wantError(t, err, socket.ErrExceedPacketSizeLimit)
	equal(t, "on the wire", string(s.output()), "")
	noError(t, write("/good"))
	equal(t, "on the wire", string(s.output()), "half whole")
}

// FrameAppenders run user code too: that of codecs and filters.
func TestProtoAppendFramePanics(t *testing.T) {
	s := newScript()
	c := s.conn(socket.Options{}, func(rw io.ReadWriter) socket.Proto {
		return panicAppender{socket.NewFastProto(rw)}
	})
	wantError(t, c.WritePacket(socket.NewPacket()), socket.ErrPack)
	equal(t, "on the wire", len(s.output()), 0)
}

type panicAppender struct{ socket.Proto }

func (panicAppender) AppendFrame([]byte, *socket.Packet) ([]byte, error) { panic("append") }

func TestProtoUnpackPanics(t *testing.T) {
	c := newScript([]byte("x")).conn(socket.Options{}, hooks(nil, func(*hookProto, *socket.Packet) error {
		panic("at the disco")
	}))
	for range 2 { // no lock is left behind
		if err := c.ReadPacket(rawPacket()); err == nil || !strings.Contains(err.Error(), "at the disco") {
			t.Fatalf("got %v, want what Unpack panicked with", err)
		}
	}
}

func TestDefaultProtoFunc(t *testing.T) {
	name := func(protoFunc ...socket.ProtoFunc) string {
		_, name := newScript().conn(socket.Options{}, protoFunc...).Proto().Version()
		return name
	}
	defer socket.SetDefaultProtoFunc(nil)
	equal(t, "default", name(), "fast")
	existing := newScript().conn(socket.Options{})
	socket.SetDefaultProtoFunc(newLineProto)
	equal(t, "set", name(), "line")
	equal(t, "nil argument", name(nil), "line")
	equal(t, "own", name(socket.NewFastProto), "fast")
	_, kept := existing.Proto().Version()
	equal(t, "existing", kept, "fast")
	socket.SetDefaultProtoFunc(nil)
	equal(t, "restored", name(), "fast")
}

func TestDefaultBodyCodec(t *testing.T) {
	defer socket.SetDefaultBodyCodec(codec.ID_JSON)
	equal(t, "default", socket.GetDefaultBodyCodec().Name(), codec.NAME_JSON)
	socket.SetDefaultBodyCodec(codec.ID_STRING)
	p := socket.NewPacket(socket.WithBody("text"))
	equal(t, "frame's end", string(pack(t, p)[23:]), "stext")
	equal(t, "codec of the packet", p.BodyCodec(), codec.ID_STRING)

	defer func() {
		if recover() == nil {
			t.Error("an unknown codec was accepted")
		}
		equal(t, "after the refusal", socket.GetDefaultBodyCodec().Name(), codec.NAME_STRING)
	}()
	socket.SetDefaultBodyCodec('?')
}
