package socket

import (
	"fmt"
	"slices"
)

// Frame is a packet that was packed once, in the format of FastProto, to be
// sent on many Conns. It is safe for concurrent use.
type Frame struct{ buf *buffer }

// NewFrame packs the packet. As with WritePacket, the error wraps ErrPack. Its
// limit is that of the process, or the one that the packet has from a Conn.
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

// QueueFrame queues the frame, which is not copied if it is large or alone. It
// is QueuePacketNeverWaiting otherwise.
func (c *Conn) QueueFrame(f *Frame) (flush bool, err error) {
	if !c.TakesFrame() {
		return false, fmt.Errorf("%w: the Conn's is %T", ErrProtoUnmatch, c.proto)
	}
	_, flush, err = c.out.commit(c, nil, f.buf, neverWaits)
	return flush, err
}

// QueuePacketNeverWaiting is QueuePacket for who sends to many: it waits for
// nothing, and fails with ErrQueueFull when the queue is full. If flush is true
// the frame stays where it is until FlushQueued, which is the caller's duty:
// another goroutine may do it for many Conns.
func (c *Conn) QueuePacketNeverWaiting(p *Packet) (flush bool, err error) {
	_, flush, err = c.queuePacket(p, neverWaits)
	return flush, err
}

// FlushQueued gives the kernel what is queued, after a QueueFrame or
// QueuePacketNeverWaiting that asked for it. It does not wait: what the kernel
// does not take at once is left to another goroutine.
func (c *Conn) FlushQueued() { c.flushNoWait() }
