package tp

import (
	"strconv"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// MetaCapsKey is the meta key with which a side announces, on its first pull
// or push and on its first reply, that it understands the packet types above
// 3. It belongs to the link: neither plugins nor handlers see it.
const MetaCapsKey = "X-Tp-Caps"

// capControl is the bit of X-Tp-Caps, a decimal number, that stands for the
// types CANCEL, GOAWAY, PING and PONG. Other bits are for later.
const capControl = 1

// capabilities is what both sides of a link have announced.
type capabilities struct {
	saidLaunch atomic.Bool // on a pull or push of this side
	saidReply  atomic.Bool // on a reply of this side
	saidType   atomic.Bool // by a packet type above 3
	theirs     atomic.Uint32
}

// known reports whether the other side understands the types above 3.
func (c *capabilities) known() bool { return c.theirs.Load()&capControl != 0 }

// silent reports whether this side has announced nothing yet.
func (c *capabilities) silent() bool {
	return !c.saidLaunch.Load() && !c.saidReply.Load() && !c.saidType.Load()
}

// announce adds to a pull, push or reply what this side has to announce, and to a
// pull until when its caller waits. The outcome of sending the packet must be told to
// what it returns: that takes the addition off again, for the meta object may be the
// user's, and leaves the announcement to a later packet if this one was not sent.
// Beyond limit bytes of encoded meta data, 0 is none, it adds nothing.
func (c *capabilities) announce(p *socket.Packet, limit int) announced {
	said := &c.saidLaunch
	if p.Ptype() == TypeReply {
		said = &c.saidReply
	}
	first, timeout := !said.Load() && !said.Swap(true), timeLeft(p)
	if !first && timeout == 0 {
		return announced{}
	}
	a := announced{packet: p}
	meta := new(utils.Args)
	if p.HasMeta() {
		a.users = p.Meta()
		a.users.CopyTo(meta)
	}
	set := func(key string, value int64) bool {
		meta.SetBytesV(key, strconv.AppendInt(make([]byte, 0, 20), value, 10))
		if limit > 0 && meta.EncodedLen() > limit { // what the user wants said goes first
			meta.Del(key)
			return false
		}
		return true
	}
	if timeout > 0 {
		set(MetaTimeoutKey, timeout)
	}
	if first && !set(MetaCapsKey, capControl) {
		said.Store(false)
		first = false
	}
	if first {
		a.said = said
	}
	p.SetMeta(meta)
	return a
}

// announced is what announce has added.
type announced struct {
	packet *socket.Packet // nil if nothing was
	users  *utils.Args    // the meta data as it was
	said   *atomic.Bool   // nil if there was no announcement
}

// sent takes it off again.
func (a announced) sent(err error) {
	if a.packet == nil {
		return
	}
	a.packet.SetMeta(a.users)
	if err != nil && a.said != nil {
		a.said.Store(false)
	}
}

// hear takes what the other side announces out of a packet that was read.
// It reports whether this is news.
func (c *capabilities) hear(p *socket.Packet) (news bool) {
	caps := uint32(capControl)
	if p.Ptype() <= TypePush {
		caps = takeCaps(p)
	}
	for {
		old := c.theirs.Load()
		if old|caps == old {
			return false
		}
		if c.theirs.CompareAndSwap(old, old|caps) {
			return caps&capControl != 0 && old&capControl == 0
		}
	}
}

// takeCaps removes X-Tp-Caps and returns what it says. What is of no version
// that we know counts as nothing.
func takeCaps(p *socket.Packet) uint32 {
	if !p.HasMeta() || !p.Meta().Has(MetaCapsKey) {
		return 0
	}
	caps, err := strconv.ParseUint(string(p.Meta().Peek(MetaCapsKey)), 10, 32)
	p.Meta().Del(MetaCapsKey)
	if err != nil {
		return 0
	}
	return uint32(caps)
}
