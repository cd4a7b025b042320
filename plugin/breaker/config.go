package breaker

import (
	"fmt"
	"strings"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Config configures a Plugin. Zero values are the defaults.
type Config struct {
	// Key returns which breaker a pull belongs to: by default ByAddress. A pull with
	// the key "" has none. It is called for each pull, by many goroutines.
	Key func(ctx tp.WriteCtx) string
	// Failed reports whether a pull that ended with rerr, which is not nil, counts as
	// a failure: by default Failed. A pull that was canceled by its caller
	// (tp.CodeCanceled) counts as nothing, and Failed is not asked.
	Failed func(rerr *tp.Rerror) bool
	// FailureRate is at which share of failures a breaker opens: by default 0.5.
	FailureRate float64
	// MinPulls is how many pulls must be over within Window before it may open: by
	// default 10.
	MinPulls int
	// Window is for how long a pull counts after it is over, to within a tenth: by default
	// 10 s.
	Window time.Duration
	// OpenFor is how long a breaker stays open: by default 5 s.
	OpenFor time.Duration
	// Probes is how many pulls are let through at a time when it is half-open, and
	// how many in a row must succeed to close it: by default 1.
	Probes int
	// MaxKeys is how many breakers there may be: by default 10,000. Beyond it those
	// are forgotten that are closed and were not used for a Window. If there are none,
	// pulls with other keys have no breaker.
	MaxKeys int
	// OnChange is called when a breaker changes its state. It must neither block nor
	// call the Plugin. It may be nil.
	OnChange func(key string, from, to State)
}

// withDefaults returns the config with the defaults, or an error that names the
// field which cannot work.
func (c Config) withDefaults() (Config, error) {
	if c.Key == nil {
		c.Key = ByAddress
	}
	if c.Failed == nil {
		c.Failed = Failed
	}
	if c.FailureRate == 0 {
		c.FailureRate = 0.5
	}
	if !(0 < c.FailureRate && c.FailureRate <= 1) {
		return c, fmt.Errorf("breaker: Config.FailureRate is %v: it is a share, more than 0 and at most 1", c.FailureRate)
	}
	for _, f := range []struct {
		name  string
		n     *int
		usual int
	}{{"MinPulls", &c.MinPulls, 10}, {"Probes", &c.Probes, 1}, {"MaxKeys", &c.MaxKeys, 10_000}} {
		if *f.n == 0 {
			*f.n = f.usual
		}
		if *f.n < 0 || *f.n > 1<<30 {
			return c, fmt.Errorf("breaker: Config.%s is %d: use 0 for the default", f.name, *f.n)
		}
	}
	for _, f := range []struct {
		name  string
		d     *time.Duration
		usual time.Duration
	}{{"Window", &c.Window, 10 * time.Second}, {"OpenFor", &c.OpenFor, 5 * time.Second}} {
		if *f.d == 0 {
			*f.d = f.usual
		}
		if *f.d < time.Millisecond {
			return c, fmt.Errorf("breaker: Config.%s is %v: it must be at least 1 ms", f.name, *f.d)
		}
	}
	return c, nil
}

// ByAddress is a Config.Key: a breaker for each address of the other side, also of
// several sessions.
func ByAddress(ctx tp.WriteCtx) string { return ctx.Ip() }

// BySession is a Config.Key: a breaker for each session, by its id.
func BySession(ctx tp.WriteCtx) string { return ctx.Session().Id() }

// ByRoute is a Config.Key: a breaker for each path at each address. Paths that hold
// an id of something would make too many.
func ByRoute(ctx tp.WriteCtx) string {
	path, _, _ := strings.Cut(ctx.Output().Uri(), "?")
	return ctx.Ip() + path
}

// Failed reports whether an error says that the other side is in trouble: the
// connection was lost or does not take anything, the deadline passed, or the code is
// tp.CodeInternalServerError, tp.CodeBadGateway or tp.CodeServiceUnavailable.
func Failed(rerr *tp.Rerror) bool {
	switch rerr.Code {
	case tp.CodeConnClosed, tp.CodeWriteFailed, tp.CodeDialFailed, tp.CodeTimeout,
		tp.CodeInternalServerError, tp.CodeBadGateway, tp.CodeServiceUnavailable:
		return true
	}
	return false
}
