package socket

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/henrylee2cn/teleport/xfer"
	"github.com/valyala/bytebufferpool"
)

// FastProto is the default protocol, byte for byte that of teleport v3 of
// December 2017, so that its programs and ours can talk. All integers are
// big-endian:
//
//	uint32  size          whole frame, including these 4 bytes
//	byte    'f'           protocol id
//	byte    n             number of transfer filters
//	n bytes filter ids    outermost first
//	--- the rest is what the filters made; undone in order, it is: ---
//	uint64  seq
//	byte    ptype
//	uint32  length, then the uri
//	uint32  length, then the meta, urlencoded k=v&k=v
//	byte    body codec
//	rest    body
//
// Its AppendFrame may be called by many goroutines at once, Unpack by one.
type FastProto struct {
	rw   io.ReadWriter
	conn *Conn   // whose stream rw is, or nil
	head [6]byte // of the frame being unpacked: size, id, number of filters
}

const (
	fastID = 'f'
	// fastPrefix is what stands before the filter ids: size, id, count.
	fastPrefix = 4 + 1 + 1
	// fastFixed is what a packet has without uri, meta and body:
	// seq, ptype, two lengths, codec.
	fastFixed = 8 + 1 + 4 + 4 + 1
)

var _ FrameAppender = new(FastProto)

// NewFastProto is the ProtoFunc of FastProto.
func NewFastProto(rw io.ReadWriter) Proto {
	stream, _ := rw.(protoStream)
	return &FastProto{rw: rw, conn: stream.c}
}

// Version returns 'f' and "fast".
func (f *FastProto) Version() (byte, string) { return fastID, "fast" }

// Pack writes the packet's frame with one Write.
func (f *FastProto) Pack(p *Packet) error {
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	frame, err := f.AppendFrame(buf.B, p)
	if err != nil {
		return err
	}
	buf.B = frame
	_, err = f.rw.Write(frame)
	return err
}

// AppendFrame appends the packet's frame to dst.
func (f *FastProto) AppendFrame(dst []byte, p *Packet) ([]byte, error) { return appendFrame(dst, p) }

func appendFrame(dst []byte, p *Packet) ([]byte, error) {
	if p.filters().Len() > 0 {
		return appendFiltered(dst, p)
	}
	b, err := appendFastPacket(append(dst, 0, 0, 0, 0, fastID, 0), p)
	if err != nil {
		return dst, err
	}
	return finishFastFrame(dst, b, len(dst), 0, p)
}

// appendFrameHeader appends the packet's frame without its body, which is
// encoded already, has n bytes, and is to follow.
func appendFrameHeader(dst []byte, p *Packet, n int) ([]byte, error) {
	b, err := appendFastHeader(append(dst, 0, 0, 0, 0, fastID, 0), p)
	if err != nil {
		return dst, err
	}
	return finishFastFrame(dst, b, len(dst), n, p)
}

// appendFiltered is AppendFrame of a packet with filters.
func appendFiltered(dst []byte, p *Packet) ([]byte, error) {
	ids := p.Filters()
	b := append(dst, 0, 0, 0, 0, fastID, byte(len(ids)))
	b, err := p.AppendFiltered(append(b, ids...), appendFastPacket)
	if err != nil {
		return dst, err
	}
	return finishFastFrame(dst, b, len(dst), 0, p)
}

func appendFastPacket(b []byte, p *Packet) ([]byte, error) {
	b, err := appendFastHeader(b, p)
	if err != nil {
		return nil, err
	}
	at := len(b) - 1
	if b, err = p.AppendBody(b); err != nil {
		return nil, err
	}
	b[at] = p.bodyCodec // AppendBody may have chosen it
	return b, nil
}

// appendFastHeader appends what comes before the body.
func appendFastHeader(b []byte, p *Packet) ([]byte, error) {
	b = binary.BigEndian.AppendUint64(b, p.seq)
	b = append(b, p.ptype)
	if uint64(len(p.uri)) > math.MaxUint32 {
		return nil, exceedError(uint64(len(p.uri)), p.SizeLimit())
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.uri)))
	b = append(b, p.uri...)
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	if p.meta != nil {
		b = p.meta.AppendBytes(b)
	}
	metaLen := len(b) - at - 4
	if uint64(metaLen) > math.MaxUint32 {
		return nil, exceedError(uint64(metaLen), p.SizeLimit())
	}
	if !p.headerFits(len(p.uri), metaLen) {
		return nil, p.headerError(len(p.uri), metaLen)
	}
	binary.BigEndian.PutUint32(b[at:], uint32(metaLen))
	return append(b, p.bodyCodec), nil
}

// finishFastFrame checks and writes the size of the frame b[start:], of which
// the last n bytes are not there.
func finishFastFrame(dst, b []byte, start, n int, p *Packet) ([]byte, error) {
	size := uint64(len(b) - start + n)
	if limit := p.SizeLimit(); size > uint64(limit) {
		return dst, exceedError(size, limit)
	}
	p.size = uint32(size)
	binary.BigEndian.PutUint32(b[start:], uint32(size))
	return b, nil
}

// Unpack reads one frame.
func (f *FastProto) Unpack(p *Packet) error {
	if f.conn != nil {
		b, err := f.conn.lookAhead()
		if err != nil {
			return err
		}
		if done, err := f.unpackAhead(p, b); done {
			return err
		}
	}
	return f.unpackStream(p)
}

// unpackStream unpacks a frame as it arrives.
func (f *FastProto) unpackStream(p *Packet) error {
	// The size first: a frame that is too short must not make us wait.
	if _, err := io.ReadFull(f.rw, f.head[:4]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(f.head[:4])
	if size < fastPrefix {
		return fmt.Errorf("%w: a frame of %d bytes, the shortest has %d", ErrMalformed, size, fastPrefix)
	}
	if _, err := io.ReadFull(f.rw, f.head[4:]); err != nil {
		return unexpectedEOF(err)
	}
	if id := f.head[4]; id != fastID {
		return fmt.Errorf("%w: they begin with %q, where the fifth of ours is %#02x", ErrProtoUnmatch, f.head[:fastPrefix], fastID)
	}
	if err := p.SetSize(size); err != nil {
		return err
	}
	rest := int(size) - fastPrefix
	filters := int(f.head[5])
	if filters > rest || filters == 0 && rest < fastFixed {
		return fmt.Errorf("%w: %d filter ids and a packet in %d bytes", ErrMalformed, filters, rest)
	}
	if err := f.readFilters(p, filters); err != nil {
		return err
	}
	return p.ReadFrame(f.rw, rest-filters, parseFastPacket)
}

// readFilters reads the ids of n filters, of which those that are refused take no
// memory for the rest of the frame.
func (f *FastProto) readFilters(p *Packet, n int) error {
	if n == 0 {
		return nil
	}
	if n > xfer.MaxFilters {
		return fmt.Errorf("%w: %w: the packet lists %d", ErrMalformed, xfer.ErrXferPipeTooLong, n)
	}
	ids := f.head[:n] // what was in it is known by now
	if _, err := io.ReadFull(f.rw, ids); err != nil {
		return unexpectedEOF(err)
	}
	return p.SetFilters(ids)
}

// unpackAhead unpacks a frame that has arrived as a whole and has no filters,
// as most have, where it lies.
func (f *FastProto) unpackAhead(p *Packet, b []byte) (done bool, err error) {
	if len(b) < fastPrefix {
		return false, nil
	}
	size := binary.BigEndian.Uint32(b)
	if size < fastPrefix+fastFixed || uint64(size) > uint64(len(b)) || b[4] != fastID || b[5] != 0 {
		return false, nil
	}
	if err := p.SetSize(size); err != nil {
		return true, err
	}
	body, err := parseFastPacket(p, b[fastPrefix:size])
	if err != nil {
		return true, err
	}
	f.conn.in.take(int(size))
	if p.hold { // as UnmarshalBody does; without its frame the reader's stack stays small
		p.keepBody(body)
		return true, nil
	}
	if p.isRefused() {
		return true, nil
	}
	return true, p.UnmarshalBody(body)
}

// parseFastPacket fills the packet but for its body, which it returns.
func parseFastPacket(p *Packet, b []byte) (body []byte, err error) {
	total := len(b)
	if total < fastFixed {
		return nil, noRoomFor("header", total)
	}
	p.seq = binary.BigEndian.Uint64(b)
	p.ptype = b[8]
	b = b[9:]
	uri, b, ok := cutField(b)
	if !ok {
		return nil, noRoomFor("uri", total)
	}
	meta, b, ok := cutField(b)
	if !ok || len(b) == 0 {
		return nil, noRoomFor("meta", total)
	}
	if !p.headerFits(len(uri), len(meta)) {
		return nil, p.refuseHeader(uri, len(meta))
	}
	p.uri = arrivedURIs.text(uri)
	if len(meta) > 0 {
		p.Meta().ParseBytes(meta)
	}
	p.bodyCodec = b[0]
	return b[1:], nil
}

// refuseHeader refuses a packet, of which it copies no more than a URI that is
// short enough. The rest of its frame counts as read.
func (p *Packet) refuseHeader(uri []byte, meta int) error {
	if p.headerFits(len(uri), 0) {
		p.uri = string(uri)
	}
	p.refuse(p.headerError(len(uri), meta))
	return nil
}

func noRoomFor(what string, total int) error {
	return fmt.Errorf("%w: no room for the %s in a packet of %d bytes", ErrMalformed, what, total)
}

// cutField cuts a field and its length off the front of b.
func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
