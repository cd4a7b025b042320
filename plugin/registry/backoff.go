package registry

import (
	"math/rand/v2"
	"time"
)

// backoff is the pauses between attempts that fail: they grow by 1.6 from 200 ms to
// most, each a fifth longer or shorter by chance, so that those who lose a server
// together do not come back together.
type backoff struct {
	most  time.Duration
	pause time.Duration
}

const (
	minPause    = 200 * time.Millisecond
	pauseGrowth = 1.6
	pauseJitter = 0.2
)

// next returns how long to wait before the next attempt.
func (b *backoff) next() time.Duration {
	b.pause = max(b.pause, minPause)
	d := b.pause
	b.pause = min(time.Duration(float64(d)*pauseGrowth), b.most)
	return time.Duration(float64(d) * (1 + pauseJitter*(2*rand.Float64()-1)))
}

// reset begins again with the shortest pause.
func (b *backoff) reset() { b.pause = 0 }
