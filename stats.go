package tp

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/transport"
	"github.com/henrylee2cn/teleport/xfer"
)

// Stats is what a peer is doing and has done since it was made.
type Stats struct {
	// Sessions is how many sessions are open, Opening how many connections have
	// been accepted and not been let in yet: the TLS handshake or PostAccept is
	// under way.
	Sessions, Opening int
	// Handlers is how many exchanges of other sides run or wait for their turn.
	Handlers int
	// QueuedBytes is how many bytes wait to be written, of all sessions.
	QueuedBytes int64
	// Accepted, Dialled and Redialled count the sessions that began by an accepted
	// connection and by Dial, and the connections with which they went on.
	Accepted, Dialled, Redialled uint64
	// Traffic is that of all connections, also of those that are over, without
	// what TLS adds.
	Traffic socket.Traffic
	// Refused counts what was not done, by reason; reasons that never occurred are
	// not in it:
	//
	//	handlers       pulls answered 503: MaxSessionHandlers, MaxHandlers, SetGopool
	//	handler_bytes  pulls answered 503: MaxSessionHandlerBytes, MaxHandlerBytes
	//	overdue        pulls whose callers had given up before their turn
	//	pushes         received pushes that were dropped
	//	queue          pushes and pulls of this side that found the outgoing queue full
	//	slow           sessions that SlowClose has closed, or that read no answers
	//	late_replies   replies to no pull under way
	//	opening        connections that MaxOpening or MaxOpeningPerIP refused
	//	accept         connections that failed the TLS handshake, PostAccept or AcceptTimeout
	//	header         packets with a URI or meta data beyond UriSizeLimit, MetaSizeLimit
	//	packet_size    connections closed for a packet beyond PacketSizeLimit
	//	filter         connections closed for transfer filters that are too many or not allowed
	//	malformed      connections closed for what is no packet, or none that is allowed
	//	timeout        connections closed by FrameTimeout, a read or a write timeout
	//	keep_alive     connections closed since the other side gave no sign of life
	//	conduct        connections closed for a flood of packets out of place, or transport.ErrFlood
	//	packet_rate    connections closed for more packets than MaxPacketRate
	//	push_queue     connections closed since too much waited in line
	Refused map[string]uint64
}

// refusal is a reason of Stats.Refused.
type refusal uint8

const (
	refusedHandlers refusal = iota
	refusedBytes
	refusedOverdue
	refusedPush
	refusedQueue
	refusedSlow
	refusedLate
	refusedOpening
	refusedAccept
	refusedHeader
	refusedSize
	refusedFilter
	refusedMalformed
	refusedTimeout
	refusedKeepAlive
	refusedConduct
	refusedRate
	refusedPushQueue
	refusals
)

var refusalNames = [refusals]string{
	"handlers", "handler_bytes", "overdue", "pushes", "queue", "slow", "late_replies", "opening", "accept",
	"header", "packet_size", "filter", "malformed", "timeout", "keep_alive", "conduct", "packet_rate", "push_queue",
}

// tally is what a peer counts as it happens.
type tally struct {
	refused                      [refusals]atomic.Uint64
	accepted, dialled, redialled atomic.Uint64
}

func (t *tally) refuse(why refusal) { t.refused[why].Add(1) }

// refuseErr counts what ended a connection.
func (t *tally) refuseErr(err error) {
	why := refusal(refusals)
	switch reason := (*endReason)(nil); {
	case errors.As(err, &reason):
		why = reason.why
	case errors.Is(err, transport.ErrFlood):
		why = refusedConduct
	case errors.Is(err, socket.ErrExceedPacketSizeLimit):
		why = refusedSize
	case errors.Is(err, socket.ErrFilterNotAllowed), errors.Is(err, xfer.ErrXferPipeTooLong):
		why = refusedFilter
	case errors.Is(err, socket.ErrMalformed), errors.Is(err, socket.ErrProtoUnmatch):
		why = refusedMalformed
	case errors.Is(err, os.ErrDeadlineExceeded):
		why = refusedTimeout
	}
	if why < refusals {
		t.refuse(why)
	}
}

// endReason is an error that ends a connection and is counted by its reason.
type endReason struct {
	why refusal
	error
}

// Stats returns what the peer is doing and has done. It looks at each session: once
// a second is often enough for 100,000 of them.
func (p *Peer) Stats() Stats {
	t := &p.tally
	s := Stats{
		Sessions: p.CountSession(),
		Handlers: int(p.handlers.Load()),
		Accepted: t.accepted.Load(), Dialled: t.dialled.Load(), Redialled: t.redialled.Load(),
		Refused: make(map[string]uint64),
	}
	for why := range t.refused {
		if n := t.refused[why].Load(); n > 0 {
			s.Refused[refusalNames[why]] = n
		}
	}
	var links []*link
	for _, sess := range p.allSessions() {
		links = append(links, sess.links()...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Opening = p.openings.len()
	s.Traffic = p.ended
	for _, l := range links {
		if !l.tallied { // it would be in p.ended
			traffic, queued := l.conn.Traffic()
			s.Traffic.Add(traffic)
			s.QueuedBytes += int64(queued)
		}
	}
	return s
}

// countEnded adds what went over a link that is over.
func (p *Peer) countEnded(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.tallied = true
	traffic, _ := l.conn.Traffic()
	p.ended.Add(traffic)
}
