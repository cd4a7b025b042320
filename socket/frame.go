package socket

import (
	"fmt"
	"slices"
)

// Frame is a packet that was packed once, in the format of FastProto, to be
// sent on many Conns. It is safe for concurrent use.
type Frame struct{ buf *buffer }

// NewFrame packs the packet, whose limits are those of Packet.SetLimits. As with
// WritePacket, the error wraps ErrPack.
func NewFrame(p *Packet) (f *Frame, err error) {
	defer recoverPack(&err)
	b, err := new(FastProto).AppendFrame(nil, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPack, err)
	}
	// Without room at the end, no queue appends to it.
	return &Frame{&buffer{B: slices.Clip(b), shared: true}}, nil
}

// Size returns how many bytes it has.
func (f *Frame) Size() int { return len(f.buf.B) }

// TakesFrame reports whether QueueFrame may be called: whether the Proto of
// this Conn is FastProto.
func (c *Conn) TakesFrame() bool {
	_, fast := c.proto.(*FastProto)
	return fast
}

// QueueFrame is QueuePacketNeverWaiting for a packet that is packed already. A
// frame that is large, or alone in the queue, is not copied. The Conn's own
// limits are not looked at.
func (c *Conn) QueueFrame(f *Frame) (flush bool, err error) {
	if !c.TakesFrame() {
		return false, fmt.Errorf("%w: the Conn's is %T", ErrProtoUnmatch, c.proto)
	}
	_, flush, err = c.out.commit(c, nil, f.buf, neverWaits)
	return flush, err
}

// QueuePacketNeverWaiting is QueuePacketUnflushed for who sends to many: it waits
// for nothing, and fails with ErrQueueFull when the queue is full. The flush may wait
// until it is this Conn's turn among many: who comes meanwhile with
// QueuePacketUnflushed is told to flush too.
func (c *Conn) QueuePacketNeverWaiting(p *Packet) (flush bool, err error) {
	_, flush, err = c.queuePacket(p, neverWaits)
	return flush, err
}
