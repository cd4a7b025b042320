package tp

import (
	"fmt"
	"time"
)

const (
	// maxFaults is how often the other side of a link may do what none that
	// keeps to the protocol does. Some of it can happen by crossing on the way.
	maxFaults = 100
	// pingPause is how often a PING may come, in seconds, and pingBurst how many of
	// them at once.
	pingPause = 5
	pingBurst = 5
	// A PONG asks for nothing, and many may have gathered while this side was held
	// back: see awaitRoom.
	pongPause = 2
	pongBurst = 1000
)

// conduct watches what the other side of a link sends unasked. Each such packet
// costs it no more than it costs us, and yet work: beyond a bound the link ends.
// It is the reader's.
type conduct struct {
	cancels uint64
	faults  uint32
	opening uint32       // bytes of packets that came before it was let in; at most 2 * maxOpeningBytes
	skipped func() error // counts those that the Proto takes itself; nil once it was let in
	second  uint32       // since processStart, in which
	packets uint32       // so many came; counted only with MaxPacketRate
	pings   pace         // of PINGs
	pongs   pace         // of PONGs, which answer ours
}

// watched returns the conduct of the other side, which most never need.
func (l *link) watched() *conduct {
	if l.conduct == nil {
		l.conduct = new(conduct)
	}
	return l.conduct
}

// fault counts one fault. The error closes the link.
func (l *link) fault(what string) error {
	c := l.watched()
	if c.faults++; c.faults <= maxFaults {
		return nil
	}
	return &endReason{refusedConduct, fmt.Errorf("the other side has sent %d packets out of place, the last of them: %s", c.faults, what)}
}

// keepsRate counts a packet and reports whether there are not too many in this second.
func (l *link) keepsRate() bool {
	most := l.peer.cfg.MaxPacketRate
	if most <= 0 {
		return true
	}
	c := l.watched()
	if now := uint32(sinceStart() / time.Second); now != c.second {
		c.second, c.packets = now, 0
	}
	c.packets++
	return int(c.packets) <= most
}

// checkRate is keepsRate for a packet. The error closes the link.
func (l *link) checkRate() error {
	if l.keepsRate() {
		return nil
	}
	return &endReason{refusedRate, fmt.Errorf("the other side has sent more than %d packets in a second (PeerConfig.MaxPacketRate)", l.peer.cfg.MaxPacketRate)}
}

// pace is until when the PINGs or PONGs that came suffice, in seconds since
// processStart.
type pace uint32

// keeps reports whether one may come now.
func (p *pace) keeps(pause, burst pace) bool {
	now := pace(sinceStart() / time.Second)
	ahead := int32(*p - now)
	if *p == 0 || ahead < 0 {
		*p, ahead = now, 0
	}
	if ahead > int32((burst-1)*pause) {
		return false
	}
	*p += pause
	return true
}

// handleControl takes a packet of a type above 3.
func (l *link) handleControl(ptype byte, seq uint64) error {
	if ptype == TypePong && !l.greeted { // as handle does: it answers what announced
		l.greeted = true
		return nil
	}
	switch ptype {
	case TypeCancel:
		c := l.watched()
		if c.cancels++; 2*c.cancels > l.packetsRead() { // each comes after a pull of its own
			return l.fault("CANCELs without a pull")
		}
		l.cancelPull(seq)
	case TypePing:
		if !l.watched().pings.keeps(pingPause, pingBurst) {
			return l.fault("PINGs, of which one in 5 s is the most")
		}
		l.queueControl(TypePong, seq)
	case TypePong:
		if !l.watched().pongs.keeps(pongPause, pongBurst) {
			return l.fault("PONGs, more than there were PINGs")
		}
	case TypeGoAway:
		if l.away.Swap(true) {
			return l.fault("GOAWAYs")
		}
		l.settle()
		l.sess.goAway(l)
	}
	return nil
}
