package tp

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/henrylee2cn/teleport/socket"
)

const (
	// leastMetaSizeLimit leaves room for an error with some text.
	leastMetaSizeLimit = 1 << 10
	// rerrorAround is more than an error takes in encoded meta data beside its
	// text, with what the library adds to the same packet.
	rerrorAround = 256
	// noFilters is what AllowedFilters says when none is allowed: an empty list
	// allows all.
	noFilters = "none"
)

// packetLimits returns what bounds a packet of the peer, without the settings
// of a connection.
func (p *Peer) packetLimits() socket.Options {
	return socket.Options{
		PacketLimit: p.cfg.PacketSizeLimit,
		UriLimit:    uint32(min(uint64(p.cfg.UriSizeLimit), math.MaxUint32)),
		MetaLimit:   uint32(min(uint64(p.cfg.MetaSizeLimit), math.MaxUint32)),
		AllowFilter: p.allows,
	}
}

// packetLimit returns the greatest packet in bytes.
func (p *Peer) packetLimit() uint32 {
	if limit := p.cfg.PacketSizeLimit; limit > 0 {
		return limit
	}
	return socket.PacketSizeLimit()
}

// sharedOptions returns the settings of all connections of the peer.
func (p *Peer) sharedOptions() *socket.Options {
	opt := p.packetLimits()
	opt.FrameTimeout = p.cfg.FrameTimeout
	opt.QueueLimit = p.cfg.WriteQueueLimit
	opt.Go = p.spawn
	return opt.Complete()
}

// rerrorRoom returns how many bytes the text of an error may take in encoded
// meta data. The config has its defaults.
func (c *PeerConfig) rerrorRoom() int {
	if c.MetaSizeLimit <= 0 {
		return maxRerrorEncoded
	}
	return min(maxRerrorEncoded, c.MetaSizeLimit-rerrorAround)
}

// parseFilters reads AllowedFilters. Nil means that every filter is allowed.
func parseFilters(list []string) (allows func(id byte) bool, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	allowed := new([256]bool)
	if !slices.Equal(list, []string{noFilters}) {
		for i, text := range list {
			id, err := parseFilter(text)
			if err != nil {
				return nil, fmt.Errorf("[%d] = %q %w", i, text, err)
			}
			allowed[id] = true
		}
	}
	return func(id byte) bool { return allowed[id] }, nil
}

func parseFilter(text string) (id byte, err error) {
	if text == noFilters {
		return 0, fmt.Errorf("goes with no other: leave it out, or the others")
	}
	if len(text) == 1 {
		return text[0], nil
	}
	n, err := strconv.ParseUint(text, 0, 8)
	if err != nil {
		return 0, fmt.Errorf("is no id of a filter: write one character, such as \"g\" for gzip, or a number up to 255, such as \"0x05\"")
	}
	return byte(n), nil
}

// handleRefused handles a packet whose URI or meta data is too long. Neither
// handlers nor hooks see it, but who waits for an answer gets one.
func (l *link) handleRefused(p *socket.Packet, c *handlerCtx, why error) error {
	l.peer.tally.refuse(refusedHeader)
	rerr := NewRerror(CodeBadPacket, CodeText(CodeBadPacket), "the "+strings.ToLower(TypeText(p.Ptype()))+": "+why.Error())
	switch p.Ptype() {
	case TypePull:
		l.passOn()
		c = l.contextFor(p, c)
		c.prepare()
		l.begin()
		l.refusePull(c, rerr)
	case TypePush:
		l.passOn() // the logger may be slow
		c = l.contextFor(p, c)
		c.prepare()
		c.dropPush(rerr)
		c.tellOver(rerr, nil)
	case TypeReply:
		cmd := l.pending.remove(p.Seq())
		if cmd == nil {
			return l.dropReply(p)
		}
		l.settle()
		cmd.take(p)
		cmd.rerr = rerr
		l.finishPull(cmd)
	default: // nothing but the type and the number counts
		return l.handle(p, c)
	}
	return nil
}
