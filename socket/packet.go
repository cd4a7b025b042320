package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/henrylee2cn/teleport/utils"
	"github.com/henrylee2cn/teleport/xfer"
)

// Packet is what travels on a Socket. The zero value is an empty packet.
//
// A Packet is not safe for concurrent use, and one that is being written or
// read must not be touched.
type Packet struct {
	seq  uint64
	uri  string
	meta *utils.Args // nil if there is none
	body interface{}
	more *packetMore // nil if there is none of it

	// A held body: see HoldBody.
	held  []byte
	frame *buffer // pooled memory that held is a part of, or nil

	// limits are those of the Conn that reads or writes the packet, or what
	// SetLimits set; nil if there are none but the process's.
	limits *Options
	// size is that of the whole frame, as last packed or unpacked.
	size uint32

	ptype     byte
	bodyCodec byte
	hold      bool
	own       bool
}

// packetMore is what few packets have. A Packet without is small, which matters:
// each exchange has some, and they move from one processor to another.
type packetMore struct {
	pipe xfer.XferPipe
	ctx  context.Context // nil if there is none
	// newBodyFunc makes the body to decode into, once the header is known.
	newBodyFunc NewBodyFunc
	idempotent  bool
	// refused is why a packet that was read is not to be handled; nil if it is.
	refused error
}

func (p *Packet) needMore() *packetMore {
	if p.more == nil {
		p.more = new(packetMore)
	}
	return p.more
}

// filters returns the transfer filters, or nil.
func (p *Packet) filters() *xfer.XferPipe {
	if p.more == nil {
		return nil
	}
	return &p.more.pipe
}

var (
	_ Header = new(Packet)
	_ Body   = new(Packet)
)

// Header is the part of a Packet that says what it is and where it goes.
type Header interface {
	// Seq returns the sequence number.
	Seq() uint64
	// SetSeq sets the sequence number.
	SetSeq(uint64)
	// Ptype returns the packet type, such as PULL, REPLY or PUSH.
	Ptype() byte
	// SetPtype sets the packet type.
	SetPtype(byte)
	// Uri returns the URI: a path, and a query after '?'.
	Uri() string
	// SetUri sets the URI.
	SetUri(string)
	// Meta returns the meta data, never nil.
	Meta() *utils.Args
	// SetMeta replaces the meta data.
	SetMeta(*utils.Args)
}

// NewPacket returns a packet with the settings applied to it.
func NewPacket(settings ...PacketSetting) *Packet {
	p := new(Packet)
	p.apply(settings)
	return p
}

// GetPacket is NewPacket, by its name of teleport v3.
func GetPacket(settings ...PacketSetting) *Packet {
	return NewPacket(settings...)
}

// PutPacket empties a packet that the caller needs no more. In teleport v3 it
// went to a pool; a Packet can be held by anyone, so here it does not.
func PutPacket(p *Packet) {
	if p != nil {
		p.Reset()
	}
}

// Reset empties the packet, then applies the settings.
func (p *Packet) Reset(settings ...PacketSetting) {
	p.ReleaseBody()
	*p = Packet{}
	p.apply(settings)
}

func (p *Packet) apply(settings []PacketSetting) {
	for _, set := range settings {
		if set != nil {
			set(p)
		}
	}
}

// resetHeader empties what Unpack fills in. The body, which the reader may
// have prepared, stays.
func (p *Packet) resetHeader() {
	p.ReleaseBody()
	p.seq, p.ptype, p.uri, p.meta, p.bodyCodec, p.size = 0, 0, "", nil, 0, 0
	if p.more != nil {
		p.more.pipe.Reset()
		p.more.refused = nil
	}
}

// Seq returns the sequence number.
func (p *Packet) Seq() uint64 { return p.seq }

// SetSeq sets the sequence number.
func (p *Packet) SetSeq(seq uint64) { p.seq = seq }

// Ptype returns the packet type.
func (p *Packet) Ptype() byte { return p.ptype }

// SetPtype sets the packet type.
func (p *Packet) SetPtype(ptype byte) { p.ptype = ptype }

// Uri returns the URI.
func (p *Packet) Uri() string { return p.uri }

// SetUri sets the URI.
func (p *Packet) SetUri(uri string) { p.uri = uri }

// Meta returns the meta data. It is never nil.
func (p *Packet) Meta() *utils.Args {
	if p.meta == nil {
		p.meta = new(utils.Args)
	}
	return p.meta
}

// HasMeta reports whether there is any meta data, without making room for it.
func (p *Packet) HasMeta() bool { return p.meta != nil && p.meta.Len() > 0 }

// SetMeta replaces the meta data. The packet uses meta itself, not a copy.
func (p *Packet) SetMeta(meta *utils.Args) { p.meta = meta }

// OwnMeta makes the packet use a copy of its meta data from now on.
func (p *Packet) OwnMeta() {
	if p.meta != nil {
		meta := new(utils.Args)
		p.meta.CopyTo(meta)
		p.meta = meta
	}
}

// XferPipe returns the packet's transfer filters. It is never nil.
func (p *Packet) XferPipe() *xfer.XferPipe {
	return &p.needMore().pipe
}

// AppendXferPipeFrom adds the filters of src that the packet does not have.
func (p *Packet) AppendXferPipeFrom(src *Packet) {
	if src != nil && src.filters().Len() > 0 {
		p.XferPipe().AppendFrom(src.filters())
	}
}

// Size returns the size in bytes of the whole frame, as last packed or
// unpacked.
func (p *Packet) Size() uint32 { return p.size }

// SetSize records the size in bytes of the whole frame. A Proto calls it
// before it reads the frame and after it built one. The error wraps
// ErrExceedPacketSizeLimit and names both numbers.
func (p *Packet) SetSize(size uint32) error {
	if limit := p.SizeLimit(); size > limit {
		return exceedError(uint64(size), limit)
	}
	p.size = size
	return nil
}

// SizeLimit returns the greatest size in bytes that SetSize accepts: that of
// the Conn which reads or writes the packet, or PacketSizeLimit().
func (p *Packet) SizeLimit() uint32 {
	if p.limits != nil && p.limits.PacketLimit > 0 {
		return p.limits.PacketLimit
	}
	return PacketSizeLimit()
}

// SetSizeLimit sets the greatest size in bytes that SetSize accepts; 0 is
// PacketSizeLimit(). Reading and writing on a Conn set it to that of the Conn.
func (p *Packet) SetSizeLimit(limit uint32) {
	var opt Options
	if p.limits != nil {
		opt = *p.limits
	}
	opt.PacketLimit = limit
	p.SetLimits(opt)
}

// SetLimits sets PacketLimit, UriLimit, MetaLimit and AllowFilter of opt for a
// packet that is packed without a Conn; the other fields mean nothing. Reading
// and writing on a Conn set them to those of the Conn.
func (p *Packet) SetLimits(opt Options) {
	opt.fillLimits()
	p.limits = &opt
}

// Context returns what WithContext or SetContext put there, or
// context.Background().
func (p *Packet) Context() context.Context {
	if !p.HasContext() {
		return context.Background()
	}
	return p.more.ctx
}

// HasContext reports whether a context was set.
func (p *Packet) HasContext() bool { return p.more != nil && p.more.ctx != nil }

// SetContext sets the context. It bounds the wait of a writer for room in
// the outgoing queue, and in package tp the whole pull. It does not travel.
func (p *Packet) SetContext(ctx context.Context) { p.needMore().ctx = ctx }

// SetIdempotent says that executing the packet twice does no harm: see
// WithIdempotent. It does not travel.
func (p *Packet) SetIdempotent(idempotent bool) { p.needMore().idempotent = idempotent }

// Idempotent returns what SetIdempotent set.
func (p *Packet) Idempotent() bool { return p.more != nil && p.more.idempotent }

// String returns the packet in one line of JSON. A body that cannot be
// encoded is described instead.
func (p *Packet) String() string {
	b := make([]byte, 0, 128)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, p.seq, 10)
	b = append(b, `,"ptype":`...)
	b = strconv.AppendUint(b, uint64(p.ptype), 10)
	b = append(b, `,"uri":`...)
	b = appendJSON(b, p.uri)
	b = append(b, `,"meta":`...)
	if p.meta == nil {
		b = append(b, `""`...)
	} else {
		b = appendJSON(b, p.meta.String())
	}
	b = append(b, `,"body_codec":`...)
	b = strconv.AppendUint(b, uint64(p.bodyCodec), 10)
	b = append(b, `,"body":`...)
	b = p.appendBodyText(b)
	b = append(b, `,"size":`...)
	b = strconv.AppendUint(b, uint64(p.size), 10)
	return string(append(b, '}'))
}

func (p *Packet) appendBodyText(b []byte) []byte {
	body := p.held
	if body == nil {
		var err error
		codecID := p.bodyCodec
		body, err = p.MarshalBody()
		p.bodyCodec = codecID
		if err != nil {
			return appendJSON(b, err.Error())
		}
	}
	text := bytes.NewBuffer(b)
	if err := json.Compact(text, body); err != nil { // not JSON
		return appendJSON(b, string(body))
	}
	return text.Bytes()
}

func appendJSON(b []byte, s string) []byte {
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false) // the meta is full of '&'
	if err := enc.Encode(s); err != nil {
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}
