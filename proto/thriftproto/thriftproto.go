// Package thriftproto is the packet format of Apache Thrift in its binary protocol, so
// that a thrift client in any language calls the handlers of a peer, and a peer calls a
// thrift server:
//
//	type Args struct{ A, B int32 } // Read and Write as the thrift compiler makes them
//
//	server := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{":9090"}})
//	tp.RegPull(server.PullRouter, "calculator/add",
//		func(_ tp.PullCtx, args *gen.CalculatorAddArgs) (*gen.CalculatorAddResult, *tp.Rerror) {
//			sum := args.A + args.B
//			return &gen.CalculatorAddResult{Success: &sum}, nil
//		})
//	go server.Listen(thriftproto.NewProtoFunc(nil))
//
// A call of the method add of the service Calculator (through a multiplexed protocol) is
// a pull of /calculator/add, one of a service that has its port for itself a pull of
// /add; oneway is a push, and an error of the library a TApplicationException. The body
// is the struct of the arguments, or of the result, by the codec "thrift", which this
// package registers.
//
// It reads what is framed, unframed or has headers (THeader), and answers alike. Only
// with headers does it carry all that a packet of this library may be: Transport says
// what is left out otherwise. So peers that talk to each other should keep to
// those, which is the default. The bytes are in doc/thriftproto.md.
package thriftproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

// ErrNotCarried says that a packet is nothing that the format can carry. The errors of
// Pack that are returned wrap it: use errors.Is.
var ErrNotCarried = errors.New("thriftproto: the format cannot carry the packet")

// proto packs and unpacks. Its AppendFrame may be called by many goroutines at once,
// Unpack by one.
type proto struct {
	rw     io.ReadWriter
	config Config
	head   [8]byte
	parses func(p *socket.Packet, b []byte) (body []byte, err error) // as a method value it would be an allocation for each packet

	// transport is that of the message that came last: the other side understands it.
	transport atomic.Int32
	// lastPull is the greatest sequence number of a pull that was packed: of a reply,
	// 32 bits come back.
	lastPull atomic.Uint64

	mu    sync.Mutex        // protects following
	names map[uint64]string // of calls that are not answered, if the URI is not the name
}

var _ socket.FrameAppender = new(proto)

// NewProtoFunc returns the ProtoFunc of the format. A nil config is all defaults. It
// panics if a setting has no meaning, and names it.
func NewProtoFunc(config *Config) socket.ProtoFunc {
	full := config.complete()
	return func(rw io.ReadWriter) socket.Proto {
		t := &proto{rw: rw, config: full}
		t.transport.Store(int32(full.Transport))
		t.parses = t.parseFrame
		return t
	}
}

// Version returns 't' and "thrift". The id is not on the wire.
func (t *proto) Version() (byte, string) { return 't', "thrift" }

// Pack writes the packet's message with one Write.
func (t *proto) Pack(p *socket.Packet) error {
	frame, err := t.AppendFrame(nil, p)
	if err != nil {
		return err
	}
	_, err = t.rw.Write(frame)
	return err
}

// AppendFrame appends the packet's message to dst.
func (t *proto) AppendFrame(dst []byte, p *socket.Packet) ([]byte, error) {
	transport := Transport(t.transport.Load())
	b := dst
	if transport != Unframed {
		b = append(b, 0, 0, 0, 0)
	}
	b, err := t.appendMessage(b, p, transport)
	if err != nil {
		return dst, err
	}
	size := len(b) - len(dst)
	if err := p.SetSize(uint32(min(size, math.MaxUint32))); err != nil {
		return dst, err
	}
	if transport != Unframed {
		if size-4 > maxFrame {
			return dst, fmt.Errorf("%w: a frame of %d bytes, of which there may be %d", ErrNotCarried, size-4, maxFrame)
		}
		binary.BigEndian.PutUint32(b[len(dst):], uint32(size-4))
	}
	t.forgetName(p)
	return b, nil
}

// Unpack reads one message.
func (t *proto) Unpack(p *socket.Packet) error {
	if _, err := io.ReadFull(t.rw, t.head[:4]); err != nil {
		return err
	}
	first := binary.BigEndian.Uint32(t.head[:])
	if first>>31 == 1 { // no frame is that large
		t.transport.Store(int32(Unframed))
		return t.unpackUnframed(p, first)
	}
	if first > maxFrame || first < 4 {
		return fmt.Errorf("%w: a frame of %d bytes", socket.ErrMalformed, first)
	}
	if _, err := io.ReadFull(t.rw, t.head[4:]); err != nil {
		return unexpectedEOF(err)
	}
	switch word := binary.BigEndian.Uint32(t.head[4:]); word & versionMask {
	case headerMagic:
		t.transport.Store(int32(Header))
	case version1:
		t.transport.Store(int32(Framed))
	default:
		return fmt.Errorf("%w: a frame that begins with %#08x: it is neither of thrift's binary protocol in its strict form nor has it headers", socket.ErrProtoUnmatch, word)
	}
	if err := p.SetSize(4 + first); err != nil {
		return err
	}
	return p.ReadFrame(t.rw, int(first-4), t.parses)
}

// parseFrame fills the packet but for its body, which it returns. b is the frame
// without the four bytes that are in head.
func (t *proto) parseFrame(p *socket.Packet, b []byte) (body []byte, err error) {
	word := binary.BigEndian.Uint32(t.head[4:])
	var h header
	if Transport(t.transport.Load()) == Header {
		if h, b, err = parseHeader(p, b); err != nil {
			return nil, err
		}
		if len(b) < 4 {
			return nil, noRoomFor("version", len(b))
		}
		word, b = binary.BigEndian.Uint32(b), b[4:]
		if word&versionMask != version1 {
			return nil, fmt.Errorf("%w: a message that begins with %#08x: it is not of thrift's binary protocol in its strict form", socket.ErrProtoUnmatch, word)
		}
	}
	from := &cursor{b: b}
	m, err := readMessage(from, word)
	if err != nil {
		return nil, err
	}
	return t.fill(p, m, &h, from.b)
}

// unpackUnframed is Unpack of a message that nothing but its own contents bounds.
func (t *proto) unpackUnframed(p *socket.Packet, word uint32) error {
	if word&versionMask != version1 {
		return fmt.Errorf("%w: a message that begins with %#08x", socket.ErrProtoUnmatch, word)
	}
	if err := p.SetSize(4); err != nil {
		return err
	}
	from := &streamed{r: t.rw, p: p}
	m, err := readMessage(from, word)
	if err != nil {
		return unexpectedEOF(err)
	}
	begin := from.buf.Len()
	if err := skip(from, typeStruct, 0); err != nil {
		return unexpectedEOF(err)
	}
	body, err := t.fill(p, m, new(header), from.buf.Bytes()[begin:])
	if err != nil {
		return err
	}
	return p.UnmarshalBody(body)
}

// fill fills the packet but for its body, which it returns. content is the struct after
// the message's beginning.
func (t *proto) fill(p *socket.Packet, m message, h *header, content []byte) (body []byte, err error) {
	p.SetSeq(uint64(uint32(m.seq)))
	p.SetUri(m.name)
	switch m.kind {
	case kindCall, kindOneway:
		p.SetPtype(protometa.Pull)
		if m.kind == kindOneway || t.config.Oneway(m.name) {
			p.SetPtype(protometa.Push)
		}
		p.SetUri(t.uri(m.name))
	case kindReply, kindException:
		p.SetPtype(protometa.Reply)
		p.SetSeq(t.fullSeq(uint64(uint32(m.seq))))
	default:
		return nil, fmt.Errorf("%w: a message of type %d", socket.ErrMalformed, m.kind)
	}
	if err := h.setFields(p, m); err != nil {
		return nil, err
	}
	if m.kind != kindException {
		if p.Ptype() == protometa.Reply && p.HasMeta() { // what says so is the type
			p.Meta().Del(protometa.ErrorKey)
		}
		body, err = parseBody(p, h, content, bodyField(m.kind))
	} else {
		body, err = parseException(p, h, content)
	}
	if err == nil && p.Ptype() == protometa.Pull {
		err = t.keepName(p, m.name)
	}
	return body, err
}

func noRoomFor(what string, total int) error {
	return fmt.Errorf("%w: no room for the %s in %d bytes", socket.ErrMalformed, what, total)
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
