package retry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// Config configures a Retrier. Zero values are the defaults.
type Config struct {
	// Attempts is how many there are of a pull at most, with the first one: by
	// default 3. 1 repeats nothing.
	Attempts int
	// MinPause is the pause before the first repetition, by default 50 ms. Each
	// later one is twice as long, at most MaxPause, by default 2 s. A pause is up to a
	// half shorter by chance, so that those who failed together do not come back
	// together.
	MinPause, MaxPause time.Duration
	// AttemptTimeout bounds each attempt. Zero is no bound but that of the pull. The
	// error of an attempt that it has ended is tp.CodeTimeout, which is repeated only
	// if the pull is idempotent.
	AttemptTimeout time.Duration
	// Share is how many repetitions there may be for each pull in the long run: by
	// default 0.1, one for ten. Burst is how many there may be at once when all went
	// well before: by default 10. They are of all pulls of a Retrier.
	Share float64
	Burst int
	// Passes reports whether an error may pass: by default Passing. It does not
	// decide whether the pull may be executed twice.
	Passes func(rerr *tp.Rerror) bool
}

// Retrier repeats pulls. It is safe for concurrent use.
type Retrier struct {
	cfg             Config
	repeated, spent atomic.Uint64

	mu     sync.Mutex // protects following
	tokens float64    // of the budget: a repetition takes one, a pull brings Share
}

// New returns a Retrier. It panics if the config cannot work, and names the field.
func New(cfg Config) *Retrier {
	if err := cfg.setDefaults(); err != nil {
		panic(err.Error())
	}
	return &Retrier{cfg: cfg, tokens: float64(cfg.Burst)}
}

func (c *Config) setDefaults() error {
	setDefault(&c.Attempts, 3)
	setDefault(&c.MinPause, 50*time.Millisecond)
	setDefault(&c.MaxPause, max(2*time.Second, c.MinPause))
	setDefault(&c.Share, 0.1)
	setDefault(&c.Burst, 10)
	if c.Passes == nil {
		c.Passes = Passing
	}
	switch {
	case c.Attempts < 0:
		return fmt.Errorf("retry: Config.Attempts is %d: 1 repeats nothing", c.Attempts)
	case c.MinPause < 0:
		return fmt.Errorf("retry: Config.MinPause is %v: use 0 for the default", c.MinPause)
	case c.MaxPause < c.MinPause:
		return fmt.Errorf("retry: Config.MaxPause is %v, which is less than MinPause, %v", c.MaxPause, c.MinPause)
	case c.AttemptTimeout < 0:
		return fmt.Errorf("retry: Config.AttemptTimeout is %v: use 0 for none", c.AttemptTimeout)
	case !(c.Share > 0):
		return fmt.Errorf("retry: Config.Share is %v: use 0 for the default", c.Share)
	case c.Burst < 0:
		return fmt.Errorf("retry: Config.Burst is %d: use 0 for the default", c.Burst)
	}
	return nil
}

func setDefault[T comparable](field *T, usual T) {
	var zero T
	if *field == zero {
		*field = usual
	}
}

// Passing reports whether an error may pass by itself: the connection was lost or took
// nothing, an attempt's time was up, or the code is tp.CodeServiceUnavailable or
// tp.CodeBadGateway.
func Passing(rerr *tp.Rerror) bool {
	switch rerr.Code {
	case tp.CodeConnClosed, tp.CodeWriteFailed, tp.CodeDialFailed, tp.CodeTimeout,
		tp.CodeServiceUnavailable, tp.CodeBadGateway:
		return true
	}
	return false
}

// Repeated returns how many repetitions there were.
func (r *Retrier) Repeated() uint64 { return r.repeated.Load() }

// Spent returns how many repetitions were left out since the budget was spent.
func (r *Retrier) Spent() uint64 { return r.spent.Load() }

// Pull is the Pull of a Session or a Pool that is repeated. The PullCmd is that of the last attempt; but
// if an attempt before may have been executed, and the last one was certainly not, it
// is that one, so that its Rerror.MaybeSent tells the truth of all.
//
// Args must not be changed meanwhile, and of a reply only the last counts.
func (r *Retrier) Pull(sess tp.Puller, uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd {
	r.earn()
	var unsure *tp.PullCmd
	for attempt := 1; ; attempt++ {
		cmd, ctx := r.attempt(sess, uri, args, reply, setting)
		rerr := cmd.Rerror()
		if rerr == nil {
			return cmd
		}
		if rerr.MaybeSent() {
			unsure = cmd
		}
		if attempt >= r.cfg.Attempts || !r.mayRepeat(sess, cmd) || !r.wait(ctx, sess, attempt) {
			if unsure != nil {
				return unsure
			}
			return cmd
		}
		r.repeated.Add(1)
	}
}

// Pull is tp.Pull that r repeats.
func Pull[R any](r *Retrier, sess tp.Puller, uri string, args interface{}, setting ...socket.PacketSetting) (R, *tp.Rerror) {
	var reply R
	rerr := r.Pull(sess, uri, args, &reply, setting...).Rerror()
	return reply, rerr
}

// attempt pulls once. It returns the context of the caller too.
func (r *Retrier) attempt(sess tp.Puller, uri string, args, reply interface{}, setting []socket.PacketSetting) (*tp.PullCmd, context.Context) {
	of := context.Background()    // of a Puller that fails before it makes a packet
	var ends []context.CancelFunc // several, if the Puller tries several sessions
	defer func() {
		for _, end := range ends {
			end()
		}
	}()
	own := func(p *socket.Packet) {
		of = p.Context()
		if d := r.cfg.AttemptTimeout; d > 0 {
			ctx, end := context.WithTimeout(of, d)
			ends = append(ends, end)
			p.SetContext(ctx)
		}
	}
	cmd := sess.Pull(uri, args, reply, append(setting[:len(setting):len(setting)], own)...)
	return cmd, of
}

// mayRepeat reports whether to repeat a pull that has failed does no harm, and may help.
func (r *Retrier) mayRepeat(sess tp.Puller, cmd *tp.PullCmd) bool {
	rerr := cmd.Rerror()
	if rerr.MaybeSent() && !cmd.Output().Idempotent() {
		return false
	}
	if one, ok := sess.(interface{ IsOk() bool }); ok && !one.IsOk() { // a pool may have others
		return false
	}
	return r.cfg.Passes(rerr)
}

// wait makes the pause before the next attempt. It reports false if there is none.
func (r *Retrier) wait(ctx context.Context, sess tp.Puller, attempt int) bool {
	pause := r.pause(attempt)
	if ctx.Err() != nil {
		return false
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	if !r.spend() {
		r.spent.Add(1)
		return false
	}
	var closed <-chan struct{}
	if one, ok := sess.(interface{ CloseNotify() <-chan struct{} }); ok {
		closed = one.CloseNotify()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-closed:
	}
	r.giveBack()
	return false
}

// pause returns the pause after an attempt.
func (r *Retrier) pause(attempt int) time.Duration {
	d := r.cfg.MinPause
	for i := 1; i < attempt && d < r.cfg.MaxPause; i++ {
		d = min(2*d, r.cfg.MaxPause)
	}
	return d - time.Duration(rand.Float64()*float64(d)/2)
}

// earn adds what a pull brings to the budget.
func (r *Retrier) earn() { r.addTokens(r.cfg.Share) }

// giveBack adds what a repetition has taken that did not come about.
func (r *Retrier) giveBack() { r.addTokens(1) }

func (r *Retrier) addTokens(n float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = min(r.tokens+n, float64(r.cfg.Burst))
}

// spend takes a repetition off the budget, if there is one.
func (r *Retrier) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}
