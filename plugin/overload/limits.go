package overload

import (
	"fmt"
	"maps"
	"math"
	"strings"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen: a token bucket, which holds Burst tokens
// and gets PerSecond of them in a second.
type Rate struct {
	// PerSecond is how often it may happen in a second, in the long run. It may be
	// a fraction. Zero is no limit.
	PerSecond float64
	// Burst is how often it may happen at once, when it was quiet before. Zero
	// is PerSecond, and at least 1.
	Burst int
}

// Limits is what a Plugin lets pass. Zero values are no limits.
type Limits struct {
	// Conns is how many accepted sessions there may be, with those that other
	// plugins have not let in yet. Sessions that were dialled do not count.
	Conns int
	// Rate is that of all pulls and pushes of all sessions.
	Rate Rate
	// Routes are the rates of some of them, of all sessions, by pattern: a path
	// such as "/home/test", or all paths below one, such as "/home/*". A path has
	// the limit of the longest pattern that it matches, and the other ones do not
	// see it.
	Routes map[string]Rate
	// DropPushes drops pushes over a limit, which their senders are not told. By
	// default they pass, but take tokens like pulls as long as there are some.
	DropPushes bool
}

// Validate returns an error that names the first field which cannot work.
func (l Limits) Validate() error {
	if l.Conns < 0 {
		return fmt.Errorf("overload: Limits.Conns is %d: use 0 for no limit", l.Conns)
	}
	if err := l.Rate.validate("Limits.Rate"); err != nil {
		return err
	}
	for pattern, r := range l.Routes {
		at := fmt.Sprintf("Limits.Routes[%q]", pattern)
		if path, _ := strings.CutSuffix(pattern, "/*"); strings.ContainsAny(path, "*?#") || !strings.HasPrefix(pattern, "/") {
			return fmt.Errorf("overload: %s: a pattern is a path such as \"/home/test\", or \"/home/*\"", at)
		}
		if err := r.validate(at); err != nil {
			return err
		}
	}
	return nil
}

func (r Rate) validate(field string) error {
	if r.PerSecond < 0 || math.IsNaN(r.PerSecond) {
		return fmt.Errorf("overload: %s.PerSecond is %v: use 0 for no limit", field, r.PerSecond)
	}
	if r.Burst < 0 {
		return fmt.Errorf("overload: %s.Burst is %d: use 0 for PerSecond", field, r.Burst)
	}
	return nil
}

func (l Limits) clone() Limits {
	l.Routes = maps.Clone(l.Routes)
	return l
}

// limit returns the rate as that of a bucket.
func (r Rate) limit() rate.Limit {
	if r.PerSecond == 0 {
		return rate.Inf
	}
	return rate.Limit(r.PerSecond)
}

func (r Rate) burst() int {
	switch {
	case r.PerSecond == 0: // so that a bucket which gets a limit later is full
		return math.MaxInt32
	case r.Burst > 0:
		return r.Burst
	}
	return int(min(max(math.Ceil(r.PerSecond), 1), math.MaxInt32))
}
