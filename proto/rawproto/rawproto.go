// Package rawproto is the packet format "raw" of erpc v7, byte for byte, so that its
// programs and ours can talk. Both sides of a connection must use it:
//
//	peer.Dial("127.0.0.1:9090", rawproto.NewProtoFunc())
//
// The format has no room for all that a packet of this library may be. What it leaves
// out, and what becomes of that, is said in doc/rawproto.md with the bytes.
package rawproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// ErrNotCarried says that a packet is nothing that the format can carry. The errors of
// Pack that are returned wrap it: use errors.Is.
var ErrNotCarried = errors.New("rawproto: the format cannot carry the packet")

const (
	// prefix is what stands before the filter ids: size and count.
	prefix = 4 + 1
	// maxURI and maxField are what the lengths on the wire have room for.
	maxURI   = math.MaxUint8
	maxField = math.MaxUint16
	// seqBits are those of a sequence number which are not its sign.
	seqBits = 31
	seqMask = 1<<seqBits - 1
	// codeUnknown is what erpc calls an error without a code of its own. Its code 0
	// is no error.
	codeUnknown = -1
)

// proto packs and unpacks. Its AppendFrame may be called by many goroutines at once,
// Unpack by one.
type proto struct {
	rw   io.ReadWriter
	head [prefix]byte
	// lastPull is the greatest sequence number of a pull that was packed: of a reply,
	// only the low bits of its own come back.
	lastPull atomic.Uint64

	// As method values they would be allocations for each packet.
	appends func(b []byte, p *socket.Packet) ([]byte, error)
	parses  func(p *socket.Packet, b []byte) (body []byte, err error)
}

var _ socket.FrameAppender = new(proto)

// NewProtoFunc returns the ProtoFunc of the format.
func NewProtoFunc() socket.ProtoFunc {
	return func(rw io.ReadWriter) socket.Proto {
		r := &proto{rw: rw}
		r.appends, r.parses = r.appendPacket, r.parsePacket
		return r
	}
}

// Version returns 0, for the format has no id on the wire, and "raw".
func (r *proto) Version() (byte, string) { return 0, "raw" }

// Pack writes the packet's frame with one Write.
func (r *proto) Pack(p *socket.Packet) error {
	frame, err := r.AppendFrame(nil, p)
	if err != nil {
		return err
	}
	_, err = r.rw.Write(frame)
	return err
}

// AppendFrame appends the packet's frame to dst.
func (r *proto) AppendFrame(dst []byte, p *socket.Packet) ([]byte, error) {
	ids := p.Filters()
	b := append(dst, 0, 0, 0, 0, byte(len(ids)))
	b, err := p.AppendFiltered(append(b, ids...), r.appends)
	if err != nil {
		return dst, err
	}
	size := len(b) - len(dst)
	if err := p.SetSize(uint32(min(size, math.MaxUint32))); err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(b[len(dst):], uint32(size))
	return b, nil
}

func (r *proto) appendPacket(b []byte, p *socket.Packet) ([]byte, error) {
	b, err := r.appendSeq(b, p)
	if err != nil {
		return nil, err
	}
	b = append(b, p.Ptype())
	uri := p.Uri()
	if p.Ptype() == protometa.Reply {
		uri = "" // as in erpc
	}
	if len(uri) > maxURI {
		return nil, fmt.Errorf("%w: a URI of %d bytes, of which there may be %d", ErrNotCarried, len(uri), maxURI)
	}
	b = append(append(b, byte(len(uri))), uri...)
	var meta *utils.Args
	if p.HasMeta() {
		meta = p.Meta()
	}
	failed := p.Ptype() == protometa.Reply && protometa.Has(meta)
	if b, err = appendStatus(b, meta, failed); err != nil {
		return nil, err
	}
	meta = protometa.Without(meta, protometa.CapsKey)
	if failed {
		meta = protometa.Without(meta, protometa.ErrorKey)
	}
	at := len(b)
	b = append(b, 0, 0)
	if meta != nil {
		b = meta.AppendBytes(b)
	}
	if b, err = finishField(b, at, "meta data"); err != nil {
		return nil, err
	}
	if failed && p.Body() == nil { // erpc writes no body then
		return append(b, 0), nil
	}
	at = len(b)
	if b, err = p.AppendBody(append(b, 0)); err != nil {
		return nil, err
	}
	b[at] = p.BodyCodec() // AppendBody may have chosen it
	return b, nil
}

// appendSeq appends the sequence number, of which there are 32 bits.
func (r *proto) appendSeq(b []byte, p *socket.Packet) ([]byte, error) {
	var seq int32
	switch p.Ptype() {
	case protometa.Pull:
		r.noteSeq(p.Seq())
		seq = int32(p.Seq() & seqMask)
	case protometa.Push: // only logs show it
		seq = int32(p.Seq() & seqMask)
	case protometa.Reply: // as it came
		if p.Seq() > math.MaxUint32 {
			return nil, fmt.Errorf("%w: a reply with number %d", ErrNotCarried, p.Seq())
		}
		seq = int32(uint32(p.Seq()))
	default:
		return nil, fmt.Errorf("%w: its type is %d", ErrNotCarried, p.Ptype())
	}
	at := len(b)
	b = strconv.AppendInt(append(b, 0), int64(seq), 36)
	b[at] = byte(len(b) - at - 1)
	return b, nil
}

func (r *proto) noteSeq(seq uint64) {
	for last := r.lastPull.Load(); seq > last; last = r.lastPull.Load() {
		if r.lastPull.CompareAndSwap(last, seq) {
			return
		}
	}
}

// fullSeq returns the number of the pull of which a reply has the low bits: the last
// one that was sent, or one before that.
func (r *proto) fullSeq(low uint64) uint64 {
	last := r.lastPull.Load()
	full := last&^seqMask | low
	if full > last && full > seqMask {
		full -= 1 << seqBits
	}
	return full
}

// appendStatus appends the error in meta, if there is one, as erpc's status.
func appendStatus(b []byte, meta *utils.Args, failed bool) ([]byte, error) {
	at := len(b)
	b = append(b, 0, 0)
	if !failed {
		return finishField(append(b, "code=0"...), at, "status")
	}
	e := protometa.From(meta)
	if e.Code == 0 {
		e.Code = codeUnknown
	}
	status := new(utils.Args)
	status.Set("code", strconv.Itoa(int(e.Code)))
	if e.Message != "" {
		status.Set("msg", e.Message)
	}
	if e.Detail != "" {
		status.Set("cause", e.Detail)
	}
	return finishField(status.AppendBytes(b), at, "status")
}

// finishField writes the length of the field of which b[at:] is the place for that.
func finishField(b []byte, at int, what string) ([]byte, error) {
	n := len(b) - at - 2
	if n > maxField {
		return nil, fmt.Errorf("%w: %d bytes of %s, of which there may be %d", ErrNotCarried, n, what, maxField)
	}
	binary.BigEndian.PutUint16(b[at:], uint16(n))
	return b, nil
}
