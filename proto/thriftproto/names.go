package thriftproto

import (
	"fmt"
	"strings"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

// maxNames is how many calls of one connection may wait for their answers. A peer
// answers by itself long before there are so many.
const maxNames = 1 << 16

// keepName keeps the name that a thrift client wants to see in the reply to a call, if
// the packet's URI does not tell it: that of the call, without the service.
func (t *proto) keepName(p *socket.Packet, name string) error {
	if !strings.HasPrefix(name, "/") {
		if _, method, ok := strings.Cut(name, ":"); ok {
			name = method
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Uri() == name {
		delete(t.names, p.Seq())
		return nil
	}
	if len(t.names) >= maxNames {
		return fmt.Errorf("%w: %d calls are not answered", socket.ErrMalformed, len(t.names))
	}
	if t.names == nil {
		t.names = make(map[uint64]string)
	}
	t.names[p.Seq()] = name
	return nil
}

// name returns what the message of a packet is called.
func (t *proto) name(p *socket.Packet) string {
	if p.Ptype() == protometa.Reply {
		t.mu.Lock()
		defer t.mu.Unlock()
		if name, ok := t.names[p.Seq()]; ok {
			return name
		}
	}
	return p.Uri()
}

// forgetName is called when a packet was packed.
func (t *proto) forgetName(p *socket.Packet) {
	if p.Ptype() != protometa.Reply {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.names, p.Seq())
}

// noteSeq notes the sequence number of a pull.
func (t *proto) noteSeq(seq uint64) {
	for last := t.lastPull.Load(); seq > last; last = t.lastPull.Load() {
		if t.lastPull.CompareAndSwap(last, seq) {
			return
		}
	}
}

// fullSeq returns the number of the pull of which a reply has the low 32 bits: the last
// one that was sent, or one before that.
func (t *proto) fullSeq(low uint64) uint64 {
	const mask = 1<<32 - 1
	last := t.lastPull.Load()
	full := last&^mask | low
	if full > last && full > mask {
		full -= mask + 1
	}
	return full
}
