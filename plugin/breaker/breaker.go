package breaker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/usercode"
	"github.com/sony/gobreaker/v2"
)

// State is that of a breaker.
type State uint8

// The states.
const (
	Closed   State = iota // pulls pass
	HalfOpen              // a few do
	Open                  // none does
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Closed
	}
}

// buckets is in how many parts the window moves on.
const buckets = 10

// Plugin is the plugin. Given to several peers, they share its breakers. It is safe
// for concurrent use.
type Plugin struct {
	cfg                Config
	refused, unguarded atomic.Uint64

	mu       sync.Mutex // protects following
	breakers map[string]*breaker
	swept    time.Time // when unused ones were forgotten
}

var _ tp.PreWritePullPlugin = (*Plugin)(nil)

// breaker is that of a key.
type breaker struct {
	*gobreaker.TwoStepCircuitBreaker[struct{}]
	changes atomic.Uint64 // how often its state has changed: closed, open, half-open, ...
	used    time.Time     // the Plugin's mu guards it
}

// New returns a Plugin. It panics if the config cannot work, and names the field.
func New(cfg Config) *Plugin {
	cfg, err := cfg.withDefaults()
	if err != nil {
		panic(err.Error())
	}
	return &Plugin{cfg: cfg, breakers: make(map[string]*breaker)}
}

// Name returns "breaker".
func (p *Plugin) Name() string { return "breaker" }

// The outcomes of a pull for its breaker, but for nil.
var (
	errFailed   = errors.New("failed")
	errCanceled = errors.New("canceled")
)

// PreWritePull stops a pull whose breaker is open, and has itself told what becomes of
// the others.
func (p *Plugin) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	cmd, ok := ctx.(*tp.PullCmd)
	if !ok {
		return nil
	}
	key := p.cfg.Key(ctx)
	if key == "" {
		return nil
	}
	b := p.breaker(key)
	if b == nil {
		p.unguarded.Add(1)
		return nil
	}
	began, changes, state := time.Now(), b.changes.Load(), b.State()
	done, err := b.Allow()
	if err != nil {
		p.refused.Add(1)
		return tp.NewRerror(tp.CodeServiceUnavailable, tp.CodeText(tp.CodeServiceUnavailable),
			fmt.Sprintf("not sent: the breaker of %s is %v", key, stateOf(b.State())))
	}
	cmd.OnDone(func(rerr *tp.Rerror) {
		outcome := errFailed // if Failed panics: a probe without an outcome would be the last one
		defer func() {
			// Gobreaker counts a pull in the bucket in which it began, or not at all if that
			// is gone. So one that took long is counted as one that begins and ends now.
			if state == gobreaker.StateClosed && time.Since(began) >= p.bucket() && b.changes.Load() == changes {
				if now, err := b.Allow(); err == nil {
					done = now
				}
			}
			done(outcome)
		}()
		outcome = p.outcome(rerr)
	})
	return nil
}

// bucket is the part of the window that is forgotten at once.
func (p *Plugin) bucket() time.Duration { return max(p.cfg.Window/buckets, 1) }

func (p *Plugin) outcome(rerr *tp.Rerror) error {
	switch {
	case rerr == nil:
		return nil
	case rerr.Code == tp.CodeCanceled:
		return errCanceled
	case p.cfg.Failed(rerr):
		return errFailed
	}
	return nil
}

// breaker returns that of a key, or nil if there are too many.
func (p *Plugin) breaker(key string) *breaker {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if b := p.breakers[key]; b != nil {
		b.used = now
		return b
	}
	if len(p.breakers) >= p.cfg.MaxKeys && !p.sweep(now) {
		return nil
	}
	b := &breaker{used: now}
	b.TwoStepCircuitBreaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](p.settings(key, b))
	p.breakers[key] = b
	return b
}

func (p *Plugin) settings(key string, b *breaker) gobreaker.Settings {
	return gobreaker.Settings{
		Name:         key,
		MaxRequests:  uint32(p.cfg.Probes),
		Interval:     p.cfg.Window,
		BucketPeriod: p.bucket(),
		Timeout:      p.cfg.OpenFor,
		IsExcluded:   func(err error) bool { return err == errCanceled },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			over := c.TotalSuccesses + c.TotalFailures // Requests has those that are under way
			return over >= uint32(p.cfg.MinPulls) && float64(c.TotalFailures) >= p.cfg.FailureRate*float64(over)
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.changes.Add(1)
			if p.cfg.OnChange != nil {
				p.tell(key, stateOf(from), stateOf(to))
			}
		},
	}
}

// tell calls OnChange. A panic of it must not fail the pull that brought the change about.
func (p *Plugin) tell(key string, from, to State) {
	usercode.Run(func() { p.cfg.OnChange(key, from, to) }, func(gone error) {
		if gone != nil {
			tp.Errorf("breaker: OnChange of %s: %s", key, usercode.Trace(gone))
		}
	})
}

// sweep forgets breakers that are closed and not in use, at most once in a Window. It
// reports whether there is room then. Mu is held.
func (p *Plugin) sweep(now time.Time) bool {
	if now.Sub(p.swept) < p.cfg.Window {
		return false
	}
	p.swept = now
	for key, b := range p.breakers {
		if now.Sub(b.used) >= p.cfg.Window && b.State() == gobreaker.StateClosed {
			delete(p.breakers, key)
		}
	}
	return len(p.breakers) < p.cfg.MaxKeys
}

// State returns the state of a breaker; one that there is not is closed. Whether one
// that was open is half-open shows when it is asked, or when there is a pull.
func (p *Plugin) State(key string) State {
	p.mu.Lock()
	b := p.breakers[key]
	p.mu.Unlock()
	if b == nil {
		return Closed
	}
	return stateOf(b.State())
}

// Counters tells what a Plugin has done since it was made.
type Counters struct {
	// Refused is how many pulls were stopped.
	Refused uint64
	// Unguarded is how many pulls had no breaker since there were Config.MaxKeys.
	Unguarded uint64
	// Keys is how many breakers there are.
	Keys int
}

// Counters returns the counters.
func (p *Plugin) Counters() Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counters{p.refused.Load(), p.unguarded.Load(), len(p.breakers)}
}
