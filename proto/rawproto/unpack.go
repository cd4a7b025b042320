package rawproto

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
	"github.com/henrylee2cn/teleport/xfer"
)

// Unpack reads one frame.
func (r *proto) Unpack(p *socket.Packet) error {
	// The size first: a frame that is too short must not make us wait.
	if _, err := io.ReadFull(r.rw, r.head[:4]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(r.head[:])
	if size < prefix {
		return fmt.Errorf("%w: a frame of %d bytes, the shortest has %d", socket.ErrMalformed, size, prefix)
	}
	if err := p.SetSize(size); err != nil {
		return err
	}
	if _, err := io.ReadFull(r.rw, r.head[4:]); err != nil {
		return unexpectedEOF(err)
	}
	filters := int(r.head[4])
	if filters > xfer.MaxFilters || filters > int(size)-prefix {
		return fmt.Errorf("%w: %d filter ids in a frame of %d bytes", socket.ErrMalformed, filters, size)
	}
	if filters > 0 {
		ids := r.head[:filters] // what was in it is known by now
		if _, err := io.ReadFull(r.rw, ids); err != nil {
			return unexpectedEOF(err)
		}
		if err := p.SetFilters(ids); err != nil {
			return err
		}
	}
	return p.ReadFrame(r.rw, int(size)-prefix-filters, r.parses)
}

// parsePacket fills the packet but for its body, which it returns.
func (r *proto) parsePacket(p *socket.Packet, b []byte) (body []byte, err error) {
	total := len(b)
	seqText, b, ok := cut(b, 1)
	if !ok || len(b) == 0 {
		return nil, noRoomFor("sequence number", total)
	}
	seq, err := strconv.ParseInt(string(seqText), 36, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: the sequence number %q: %w", socket.ErrMalformed, seqText, err)
	}
	ptype := b[0]
	if ptype < protometa.Pull || ptype > protometa.Push {
		return nil, fmt.Errorf("%w: a message of type %d, which is not supported", socket.ErrMalformed, ptype)
	}
	p.SetPtype(ptype)
	uri, b, ok := cut(b[1:], 1)
	if !ok {
		return nil, noRoomFor("uri", total)
	}
	status, b, ok := cut(b, 2)
	if !ok {
		return nil, noRoomFor("status", total)
	}
	meta, b, ok := cut(b, 2)
	if !ok || len(b) == 0 {
		return nil, noRoomFor("meta data", total)
	}
	p.SetSeq(uint64(uint32(seq)))
	p.SetUri(string(uri))
	switch {
	case len(meta) == 0:
	case !p.MetaFits(len(meta)): // it is refused as one long value, which costs less
		p.Meta().SetBytesV("", meta)
	default:
		p.Meta().ParseBytes(meta)
		p.Meta().Del(protometa.CapsKey)
	}
	if ptype == protometa.Reply {
		if seq >= 0 {
			p.SetSeq(r.fullSeq(uint64(seq)))
		}
		if err := parseStatus(p, status); err != nil {
			return nil, err
		}
	}
	p.SetBodyCodec(b[0])
	return b[1:], nil
}

// parseStatus puts what a status that is an error says into the packet's meta data. A
// status that is none leaves no error there, whatever the meta data said.
func parseStatus(p *socket.Packet, status []byte) error {
	if p.HasMeta() {
		p.Meta().Del(protometa.ErrorKey)
	}
	if len(status) == 0 || string(status) == "code=0" {
		return nil
	}
	args := new(utils.Args)
	args.ParseBytes(status)
	code, err := strconv.ParseInt(string(args.Peek("code")), 10, 32)
	if err != nil {
		return fmt.Errorf("%w: the status %.64q", socket.ErrMalformed, status)
	}
	if code != 0 {
		e := protometa.Error{Code: int32(code), Message: string(args.Peek("msg")), Detail: string(args.Peek("cause"))}
		e.SetTo(p.Meta())
	}
	return nil
}

func noRoomFor(what string, total int) error {
	return fmt.Errorf("%w: no room for the %s in a packet of %d bytes", socket.ErrMalformed, what, total)
}

// cut cuts a field, and its length in n bytes, off the front of b.
func cut(b []byte, n int) (field, rest []byte, ok bool) {
	if len(b) < n {
		return nil, nil, false
	}
	length := int(b[0])
	if n == 2 {
		length = int(binary.BigEndian.Uint16(b))
	}
	if b = b[n:]; length > len(b) {
		return nil, nil, false
	}
	return b[:length], b[length:], true
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
