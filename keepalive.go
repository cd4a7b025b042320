package tp

import (
	"fmt"
	"time"
)

const (
	defaultKeepAliveInterval = 30 * time.Second
	defaultKeepAliveTimeout  = 20 * time.Second
	// keepAliveTicks is in how many steps the shorter of the two is measured.
	keepAliveTicks = 4
	// minKeepAliveTick bounds what looking at all sessions costs.
	minKeepAliveTick = 10 * time.Millisecond
)

// keeper finds the sessions of a peer whose other side is dead, or does not read:
// a connection that was cut without a word, a process that is stopped.
//
// It looks at all of them a few times in each interval. So a session has no timer
// of its own, and notes nothing when a packet comes: what it has read since the
// last look tells that the other side is alive.
type keeper struct {
	peer  *Peer
	tick  time.Duration // 0: there is no keep-alive
	quiet uint16        // after how many ticks of silence a PING is sent
	dead  uint16        // after how many the link is closed

	timer *time.Timer // guarded by the peer's mu; nil while there is no session
}

// silence is what the keeper knows of a link.
type silence struct {
	read  uint32 // the low bits of how many bytes were read, at the last look
	ticks uint16 // for how many ticks that was so
}

func newKeeper(p *Peer, interval, timeout time.Duration) *keeper {
	k := &keeper{peer: p}
	if interval <= 0 || timeout <= 0 {
		return k
	}
	k.tick = max(min(interval, timeout)/keepAliveTicks, minKeepAliveTick)
	k.quiet = ticksIn(interval, k.tick) - 1 // the silence began before the look that saw no change
	k.dead = k.quiet + ticksIn(timeout, k.tick)
	return k
}

func ticksIn(d, tick time.Duration) uint16 {
	return uint16(min((d+tick-1)/tick, 1<<14))
}

// start sees to it that the sessions are looked at. The peer's mu is held.
func (k *keeper) start() {
	if k.tick > 0 && k.timer == nil {
		k.timer = time.AfterFunc(k.tick, k.look)
	}
}

// stop ends that. The peer's mu is held.
func (k *keeper) stop() {
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// look looks at all sessions once.
func (k *keeper) look() {
	for _, s := range k.peer.hub.all() {
		k.lookAt(s.link())
	}
	k.peer.mu.Lock()
	defer k.peer.mu.Unlock()
	if k.timer == nil { // stopped meanwhile
		return
	}
	if len(k.peer.sessions) == 0 {
		k.timer = nil
		return
	}
	k.timer.Reset(k.tick)
}

// lookAt is look for one link. Where the other side does not know PING, TCP's own
// keep-alive has to do: see socket.SetKeepAlive.
func (k *keeper) lookAt(l *link) {
	read := uint32(l.conn.BytesRead())
	// A reader that is held back cannot hear the other side.
	if read != l.silence.read || l.paused.Load() || !l.caps.known() {
		l.silence = silence{read: read}
		return
	}
	l.silence.ticks++
	switch l.silence.ticks {
	case k.quiet:
		l.sendPing()
	case k.dead:
		silent := k.tick * time.Duration(k.dead)
		k.peer.spawn(func() { // closing may take time, as under TLS
			l.abort(&endReason{refusedKeepAlive, fmt.Errorf("nothing has come for %v, not even the answer to a PING (PeerConfig.KeepAliveInterval, KeepAliveTimeout)", silent)})
		})
	}
}
