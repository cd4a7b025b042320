package tp

import (
	"errors"

	"github.com/henrylee2cn/teleport/socket"
)

// PreparedPush is a push that is encoded once and sent to many sessions. It is
// made by Peer.PreparePush, belongs to no session, and is safe for concurrent
// use.
//
// It never waits and never writes in the goroutine that sends it, so one slow
// session holds up no other. All sessions get the same sequence number. What
// cannot be shared is encoded for each session from the same args and settings,
// which then must not change before the last Send: when a plugin has PreWritePush or
// PostWritePush hooks, which may change each packet, when exchanges are logged,
// for sessions of another packet format than the default one, and for the
// first push of a session. Hooks run in the goroutine that sends. A context
// among the settings is looked at when the push is prepared.
type PreparedPush struct {
	peer    *Peer
	uri     string
	args    interface{}
	setting []socket.PacketSetting
	frame   *socket.Frame
}

// PreparePush encodes a push. It fails as Session.Push does when the args
// cannot be encoded.
func (p *Peer) PreparePush(uri string, args interface{}, setting ...socket.PacketSetting) (*PreparedPush, *Rerror) {
	c := new(pushCmd)
	c.fill(p, uri, args, setting)
	c.output.SetSeq(p.broadcasts.Add(1) - 1)
	if rerr := c.check(); rerr != nil {
		return nil, rerr
	}
	c.output.SetLimits(p.packetLimits())
	frame, err := socket.NewFrame(&c.output)
	if err != nil {
		return nil, writeRerror(err)
	}
	return &PreparedPush{peer: p, uri: uri, args: args, setting: setting, frame: frame}, nil
}

// Send queues the push on a session, which must be one that the peer that
// prepared it made itself. Nil means queued. When the session's outgoing queue
// is full (PeerConfig.WriteQueueLimit) it fails with CodeWriteFailed at once.
func (b *PreparedPush) Send(sess Session) *Rerror {
	s, ok := sess.(*session)
	if !ok || s.peer != b.peer {
		return NewRerror(CodeBadPacket, CodeText(CodeBadPacket), "the session is none of the peer that prepared the push, or wraps one")
	}
	toFlush, rerr, err := b.queue(s)
	if toFlush != nil {
		b.peer.flushes.add(toFlush)
	}
	if err != nil {
		rerr = writeRerror(err)
	}
	return rerr
}

// queue returns the Conn that is to be flushed, if it is, and either why the
// push was refused, or what kept it from being queued.
func (b *PreparedPush) queue(s *session) (toFlush *socket.Conn, refused *Rerror, err error) {
	l, rerr := s.live()
	if rerr != nil {
		return nil, rerr, nil
	}
	if l.conn.TakesFrame() && l.caps.saidLaunch.Load() && !b.peer.observes && !b.peer.plugins.seesPushes() {
		flush, err := l.conn.QueueFrame(b.frame)
		if err != nil {
			l.countFull(err)
		}
		if flush {
			toFlush = l.conn
		}
		return toFlush, nil, err
	}
	c := &pushCmd{sess: s, neverWaits: true}
	c.fill(b.peer, b.uri, b.args, b.setting)
	refused, err = c.push()
	return nil, refused, err
}

// BroadcastCount is what became of a broadcast.
type BroadcastCount struct {
	// Sent is in how many sessions the push was queued.
	Sent int
	// Full is how many sessions were skipped because their outgoing queues
	// were full.
	Full int
	// Failed is how many sessions did not take it for another reason: they
	// were closing or had failed, a plugin's hook refused it, or their packet
	// format cannot pack it.
	Failed int
}

// Broadcast pushes args to all open sessions of the peer for which filter
// returns true; a nil filter takes all. The push is encoded once: see
// PreparedPush. Broadcast neither waits for a session nor writes by itself; a
// session whose outgoing queue is full is skipped. The error tells that the
// push cannot be encoded; then no session got it.
func (p *Peer) Broadcast(uri string, args interface{}, filter func(Session) bool, setting ...socket.PacketSetting) (BroadcastCount, *Rerror) {
	push, rerr := p.PreparePush(uri, args, setting...)
	if rerr != nil {
		return BroadcastCount{}, rerr
	}
	return push.Broadcast(filter), nil
}

// Broadcast is Peer.Broadcast of what was prepared.
func (b *PreparedPush) Broadcast(filter func(Session) bool) BroadcastCount {
	var n BroadcastCount
	toFlush := make([]*socket.Conn, 0, flushTogether)
	defer func() { // also when the filter panics: who is to be flushed is flushed by nobody else
		b.peer.flushes.add(toFlush...)
	}()
	for _, s := range b.peer.hub.all() {
		if filter != nil && !filter(s) {
			continue
		}
		conn, rerr, err := b.queue(s)
		switch {
		case err == nil && rerr == nil:
			n.Sent++
		case errors.Is(err, socket.ErrQueueFull):
			n.Full++
		default:
			n.Failed++
		}
		if conn == nil {
			continue
		}
		if toFlush = append(toFlush, conn); len(toFlush) == flushTogether {
			b.peer.flushes.add(toFlush...)
			toFlush = toFlush[:0]
		}
	}
	return n
}
