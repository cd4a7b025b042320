package socket

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"

	"github.com/henrylee2cn/teleport/xfer"
	"github.com/valyala/bytebufferpool"
)

// Stream is what a Conn gives its ProtoFunc as an io.ReadWriter, for a Proto that
// needs more than to read and write. A Proto must do without when it was given
// something else.
type Stream interface {
	io.ReadWriter
	// LookAhead returns what has arrived and is unread. If that is nothing, it
	// waits for some. It is valid until the next Read or LookAhead, and must not
	// be changed. Unpack may call it.
	LookAhead() ([]byte, error)
	// Discard takes the first n bytes of what LookAhead has returned as read.
	Discard(n int)
	// Answer has a packet packed and queued while Unpack runs, for protocols in
	// which one that was read is answered by the Proto itself. It never waits, and
	// fails with ErrQueueFull when the other side does not read. The frame leaves
	// at the latest when Unpack next waits for bytes. Unpack must hold nothing that
	// Pack needs.
	Answer(*Packet) error
	// NextPacket says that what Unpack has read so far was a packet which is none
	// for the user, and that another one begins: FrameTimeout is for one of them. An
	// error, which Unpack must return, says that there were too many.
	NextPacket() error
	// RemoteAddr returns the address of the other side.
	RemoteAddr() net.Addr
}

var _ Stream = protoStream{}

// LookAhead is for Unpack, which runs with in.mu held.
func (s protoStream) LookAhead() ([]byte, error) { return s.c.lookAhead() }

func (s protoStream) Discard(n int) { s.c.in.take(n) }

func (s protoStream) Answer(p *Packet) error { return s.c.QueuePacketNoWait(p) }

// NextPacket is for Unpack too.
func (s protoStream) NextPacket() error {
	s.c.in.begun, s.c.in.frameTimed = false, false
	if f := s.c.foreign; f != nil && f.onSkip != nil {
		return f.onSkip()
	}
	return nil
}

func (s protoStream) RemoteAddr() net.Addr { return s.c.conn.RemoteAddr() }

// FrameWatcher is a Proto that is told when the frame of a packet is queued: what waits
// for that in Unpack, to return an error that ends the session, would otherwise see the
// packet packed, and have the frame lost.
type FrameWatcher interface {
	Proto
	// FrameQueued is called after each Pack or AppendFrame whose frame is queued, by
	// the goroutine that writes; after a Pack before the next one begins. It must not wait.
	FrameQueued(p *Packet)
}

// SetFilters gives a packet that is being unpacked the transfer filters with the
// ids, in the order in which they stand on the wire. A Proto calls it before it reads
// the rest of the frame: ids that are too many, unknown, twice there or not allowed
// are refused before anything is undone.
func (p *Packet) SetFilters(ids []byte) error {
	if len(ids) == 0 {
		return nil
	}
	if n := len(ids); n > xfer.MaxFilters {
		return fmt.Errorf("%w: %w: the packet lists %d", ErrMalformed, xfer.ErrXferPipeTooLong, n)
	}
	if err := p.XferPipe().AppendWire(ids); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return p.checkFilters()
}

// Filters returns the ids of the packet's transfer filters, in the order in which
// they stand on the wire, without making room for any as XferPipe does.
func (p *Packet) Filters() []byte { return p.filters().Ids() }

// AppendFiltered appends to dst what the packet's transfer filters make of what
// appendPacket appends, or just that if there are none. It refuses filters that are
// not allowed, and more than SizeLimit bytes before the filters. After an error what
// it returns is of no use.
func (p *Packet) AppendFiltered(dst []byte, appendPacket func(dst []byte, p *Packet) ([]byte, error)) ([]byte, error) {
	if p.filters().Len() == 0 {
		return appendPacket(dst, p)
	}
	if err := p.checkFilters(); err != nil {
		return dst, err
	}
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	plain, err := appendPacket(buf.B, p)
	if err != nil {
		return dst, err
	}
	buf.B = plain
	if limit := p.SizeLimit(); uint64(len(plain)) > uint64(limit) {
		return dst, exceedError(uint64(len(plain)), limit)
	}
	packed, err := p.filters().OnPack(plain)
	if err != nil {
		return dst, err
	}
	return append(dst, packed...), nil
}

// ReadFrame reads the rest of a frame, n bytes, from r, which is what the ProtoFunc
// was given, undoes the packet's transfer filters, and has parse fill in the packet
// but for its body, which it returns. The body is then given to the packet as by
// UnmarshalBody, but most often without a copy.
//
// A Proto calls it after SetSize and SetFilters. The memory that it takes grows with
// what arrives. What parse gets is valid only until it returns, but for the body.
func (p *Packet) ReadFrame(r io.Reader, n int, parse func(p *Packet, b []byte) (body []byte, err error)) error {
	if s, ok := r.(protoStream); ok {
		if b := s.c.in.unread(); len(b) >= n && n > 0 { // it has arrived as a whole
			body, err := p.parseFrame(b[:n], parse)
			s.c.in.take(n)
			if err != nil || p.isRefused() {
				return err
			}
			return p.UnmarshalBody(body)
		}
	}
	frame, err := readFrame(r, n)
	if err != nil {
		return err
	}
	total := len(frame.B)
	body, err := p.parseFrame(frame.B, parse)
	if err != nil || p.isRefused() {
		putBuffer(frame)
		return err
	}
	// A filter may give back a part of what it was given, so the frame goes along
	// with the body.
	return p.adoptBody(body, frame, max(total, len(body), cap(frame.B)))
}

// parseFrame undoes the filters and parses what was below them.
func (p *Packet) parseFrame(b []byte, parse func(p *Packet, b []byte) (body []byte, err error)) ([]byte, error) {
	if p.filters().Len() == 0 {
		return parse(p, b)
	}
	plain, err := p.Unfilter(b)
	if err != nil {
		return nil, err
	}
	return parse(p, plain)
}

// Unfilter undoes the packet's transfer filters, for a Proto to which ReadFrame does
// not suit. The result is at most SizeLimit bytes, and may be a part of b.
func (p *Packet) Unfilter(b []byte) ([]byte, error) {
	plain, err := p.filters().OnUnpackLimit(b, int(min(p.SizeLimit(), math.MaxInt32)))
	switch {
	case errors.Is(err, xfer.ErrExceedLimit):
		err = fmt.Errorf("%w: %w (raise it with SetReadLimit or PeerConfig.PacketSizeLimit)", ErrMalformed, err)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return plain, err
}
