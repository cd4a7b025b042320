// Package underway counts the pulls of the other side that are not answered, for Protos
// that have to wait for the answers.
package underway

import (
	"sync"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
)

// Pulls counts them. The zero value is ready. It is safe for concurrent use.
type Pulls struct {
	mu     sync.Mutex // protects following
	n      int
	closed bool
	news   notice.Notice
}

// Begin counts one more.
func (p *Pulls) Begin() { p.add(1) }

// End counts one less.
func (p *Pulls) End() { p.add(-1) }

func (p *Pulls) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	p.news.Tell()
}

// Close ends all waits, now and later.
func (p *Pulls) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.news.Tell()
}

// Wait returns when at most limit are under way, after d at the latest (0 is no bound),
// or when Close is called. It reports whether the first was so.
func (p *Pulls) Wait(limit int, d time.Duration) bool {
	var timeout <-chan time.Time
	for {
		p.mu.Lock()
		few, closed := p.n <= limit, p.closed
		news := p.news.Wait()
		p.mu.Unlock()
		if few || closed {
			return few
		}
		if timeout == nil && d > 0 {
			timer := time.NewTimer(d)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-news:
		case <-timeout:
			return false
		}
	}
}
