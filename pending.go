package tp

import "sync"

// pendingPulls are the pulls of a link that wait for their replies. Whoever
// removes one finishes it, so it is finished exactly once.
type pendingPulls struct {
	mu     sync.Mutex // protects following
	calls  map[uint64]*PullCmd
	closed *Rerror // why no more are taken
}

// add registers cmd, or returns why not.
func (p *pendingPulls) add(cmd *PullCmd) *Rerror {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return p.closed.Copy()
	}
	if p.calls == nil {
		p.calls = make(map[uint64]*PullCmd)
	}
	p.calls[cmd.output.Seq()] = cmd
	return nil
}

// remove returns the pull with the sequence number, which is the caller's to
// finish, or nil.
func (p *pendingPulls) remove(seq uint64) *PullCmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.calls[seq]
	delete(p.calls, seq)
	return cmd
}

// close takes no more pulls and returns those that wait.
func (p *pendingPulls) close(why *Rerror) []*PullCmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = why
	}
	calls := make([]*PullCmd, 0, len(p.calls))
	for _, cmd := range p.calls {
		calls = append(calls, cmd)
	}
	p.calls = nil
	return calls
}

func (p *pendingPulls) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}
