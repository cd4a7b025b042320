// Package lines bounds the lines of a log that strangers cause, by each packet of 24 bytes
// or by each connection: they could fill a disk.
package lines

import (
	"sync"
	"time"
)

// Most is how many lines of one kind there are in a second.
const Most = 100

var start = time.Now() // the clock may be set

// Pace bounds the lines of one kind. The zero value is ready.
type Pace struct {
	mu      sync.Mutex // protects following
	second  time.Duration
	lines   int
	leftOut uint64
}

// Next reports whether a line may be logged, and if it is the first after a second in
// which some were left out, how many.
func (p *Pace) Next() (ok bool, leftOut uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Since(start) / time.Second; now != p.second {
		p.second, p.lines = now, 0
	}
	if p.lines == Most {
		p.leftOut++
		return false, 0
	}
	p.lines++
	leftOut, p.leftOut = p.leftOut, 0
	return true, leftOut
}
