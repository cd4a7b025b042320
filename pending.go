package tp

import "sync"

// pendingPulls are the pulls of a link that wait for their replies. Whoever
// removes one finishes it, so it is finished exactly once.
//
// Sequence numbers follow one another, so most pulls have a place of their own
// in a ring. One whose place an older pull still has is in a map.
type pendingPulls struct {
	mu     sync.Mutex // protects following
	ring   []*PullCmd // its length is a power of two, or 0
	others map[uint64]*PullCmd
	n      int32
	late   int32   // how many were given up, and may yet be replied to
	closed *Rerror // why no more are taken: one that was not sent
}

const (
	minPendingRing = 2
	maxPendingRing = 4096
	maxIdlePending = 256 // how large a ring is kept when none is under way
)

// place returns where in the ring the pull with the sequence number would be.
func (p *pendingPulls) place(seq uint64) *(*PullCmd) { return &p.ring[seq&uint64(len(p.ring)-1)] }

// add registers cmd, or returns why not.
func (p *pendingPulls) add(cmd *PullCmd) *Rerror {
	seq := cmd.seq
	p.mu.Lock()
	if closed := p.closed; closed != nil { // close may replace it as soon as mu is free
		p.mu.Unlock()
		return closed.Copy()
	}
	if 2*int(p.n) >= len(p.ring) && len(p.ring) < maxPendingRing {
		p.grow()
	}
	p.n++
	if place := p.place(seq); *place == nil {
		*place = cmd
	} else {
		if p.others == nil {
			p.others = make(map[uint64]*PullCmd)
		}
		p.others[seq] = cmd
	}
	p.mu.Unlock()
	return nil
}

// grow doubles the ring. Two pulls of different places stay so. mu is held.
func (p *pendingPulls) grow() {
	old := p.ring
	p.ring = make([]*PullCmd, max(2*len(old), minPendingRing))
	for _, cmd := range old {
		if cmd != nil {
			*p.place(cmd.seq) = cmd
		}
	}
}

// remove returns the pull with the sequence number, which is the caller's to
// finish, or nil.
func (p *pendingPulls) remove(seq uint64) (cmd *PullCmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(seq)
}

// abandon is remove for a pull that nobody waits for any more: a reply may come.
func (p *pendingPulls) abandon(seq uint64) (cmd *PullCmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cmd = p.take(seq); cmd != nil {
		p.late++
	}
	return cmd
}

// forgive reports whether a reply to no pull may be to one that was given up.
func (p *pendingPulls) forgive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late == 0 {
		return false
	}
	p.late--
	return true
}

// take is remove. mu is held.
func (p *pendingPulls) take(seq uint64) (cmd *PullCmd) {
	if p.n == 0 {
		return nil
	}
	if place := p.place(seq); *place != nil && (*place).seq == seq {
		cmd, *place = *place, nil
	} else if cmd = p.others[seq]; cmd != nil {
		delete(p.others, seq)
	}
	if cmd == nil {
		return nil
	}
	p.n--
	if p.n == 0 && len(p.ring) > maxIdlePending {
		p.ring, p.others = nil, nil
	}
	return cmd
}

// refused is why a link takes no more pulls that goes on otherwise.
var refused = notSent(CodeConnClosed, "the session is closing")

// refuse takes no more pulls.
func (p *pendingPulls) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = refused
	}
}

// close takes no more pulls and returns those that wait.
func (p *pendingPulls) close(why *Rerror) []*PullCmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = notSent(why.Code, why.Detail)
	calls := make([]*PullCmd, 0, p.n)
	for _, cmd := range p.ring {
		if cmd != nil {
			calls = append(calls, cmd)
		}
	}
	for _, cmd := range p.others {
		calls = append(calls, cmd)
	}
	p.ring, p.others, p.n = nil, nil, 0
	return calls
}

func (p *pendingPulls) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.n)
}
