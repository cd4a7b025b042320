package tp

import (
	"sync"
	"time"
)

// maxLines is how many lines of one kind a peer logs in a second, of those that
// strangers cause by each packet of 24 bytes or by each connection: they could fill a
// disk.
const maxLines = 100

// linePace bounds the lines of one kind.
type linePace struct {
	of      string     // the kind
	mu      sync.Mutex // protects following
	second  time.Duration
	lines   int
	leftOut uint64
}

// warn logs a line, unless there were too many in this second.
func (p *linePace) warn(log Logger, format string, args ...interface{}) {
	ok, leftOut := p.next()
	if !ok {
		return
	}
	if leftOut > 0 {
		log.Warnf("%d lines of %s were left out: there are %d in a second at most", leftOut, p.of, maxLines)
	}
	log.Warnf(format, args...)
}

// next reports whether a line may be logged, and if it is the first after a second in
// which some were left out, how many.
func (p *linePace) next() (ok bool, leftOut uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := sinceStart() / time.Second; now != p.second {
		p.second, p.lines = now, 0
	}
	if p.lines == maxLines {
		p.leftOut++
		return false, 0
	}
	p.lines++
	leftOut, p.leftOut = p.leftOut, 0
	return true, leftOut
}
