package socket

import (
	"context"

	"github.com/henrylee2cn/teleport/utils"
)

// PacketSetting changes a packet before it is sent or read.
type PacketSetting func(*Packet)

// WithSeq sets the sequence number.
func WithSeq(seq uint64) PacketSetting {
	return func(p *Packet) { p.seq = seq }
}

// WithPtype sets the packet type.
func WithPtype(ptype byte) PacketSetting {
	return func(p *Packet) { p.ptype = ptype }
}

// WithUri sets the URI.
func WithUri(uri string) PacketSetting {
	return func(p *Packet) { p.uri = uri }
}

// WithMeta replaces the meta data. The packet uses meta itself, not a copy,
// and only reads it.
func WithMeta(meta *utils.Args) PacketSetting {
	return func(p *Packet) { p.meta = meta }
}

// WithAddMeta adds a value to the meta data. Meta that came from WithMeta is
// copied first: the user's own object is never written.
func WithAddMeta(key, value string) PacketSetting {
	return func(p *Packet) {
		meta := new(utils.Args)
		if p.meta != nil {
			p.meta.CopyTo(meta)
		}
		meta.Add(key, value)
		p.meta = meta
	}
}

// WithBodyCodec sets the id of the body's codec.
func WithBodyCodec(bodyCodec byte) PacketSetting {
	return func(p *Packet) { p.bodyCodec = bodyCodec }
}

// WithBody sets the body.
func WithBody(body interface{}) PacketSetting {
	return func(p *Packet) { p.body = body }
}

// WithNewBody sets the function that makes the body to decode into.
func WithNewBody(newBodyFunc NewBodyFunc) PacketSetting {
	return func(p *Packet) { p.SetNewBody(newBodyFunc) }
}

// WithContext sets the context: see Packet.SetContext.
func WithContext(ctx context.Context) PacketSetting {
	return func(p *Packet) { p.SetContext(ctx) }
}

// WithXferPipe adds transfer filters, outermost first. A packet with an id that is not
// registered (xfer.Reg, or the import of the filter's package, does that), or with more
// than xfer.MaxFilters in all, cannot be packed: the error says which import is missing.
func WithXferPipe(filterId ...byte) PacketSetting {
	return func(p *Packet) { p.XferPipe().AppendUnchecked(filterId...) }
}

// WithIdempotent says of a pull that executing it twice does no harm. On a session
// that dials again (PeerConfig.RedialTimes of package tp) it is then sent again, on
// the next connection, when its own was lost before the reply came. It is still
// bounded by its deadline. It does not travel.
func WithIdempotent() PacketSetting {
	return func(p *Packet) { p.SetIdempotent(true) }
}
