package overload

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/internal/uri"
	"golang.org/x/time/rate"
)

// bucket is a rate with what it has done.
type bucket struct {
	pattern string // "" is that of all
	limiter *rate.Limiter

	passed, refused atomic.Uint64
}

// take takes a token, if there is one.
func (b *bucket) take() bool {
	if b.limiter.Allow() {
		b.passed.Add(1)
		return true
	}
	b.refused.Add(1)
	return false
}

// isEmpty reports whether there is no token.
func (b *bucket) isEmpty() bool { return b.limiter.Limit() != rate.Inf && b.limiter.Tokens() < 1 }

// table is the buckets of Limits. It is not changed: other Limits have another one.
type table struct {
	limits Limits
	all    *bucket
	exact  map[string]*bucket
	below  []*bucket // the longest pattern first
}

// tableOf returns the table of limits. Buckets that old has too go on, so that a
// change gives nobody tokens.
func tableOf(limits Limits, old *table) *table {
	t := &table{limits: limits.clone(), exact: make(map[string]*bucket)}
	t.all = old.bucket("").set(limits.Rate)
	for pattern, r := range limits.Routes {
		b := old.bucket(pattern).set(r)
		if strings.HasSuffix(pattern, "/*") {
			t.below = append(t.below, b)
		} else {
			t.exact[pattern] = b
		}
	}
	slices.SortFunc(t.below, func(a, b *bucket) int { return cmp.Compare(len(b.pattern), len(a.pattern)) })
	return t
}

// bucket returns the one of a pattern, or one that is full.
func (t *table) bucket(pattern string) *bucket {
	if t != nil {
		for _, b := range t.buckets() {
			if b.pattern == pattern {
				return b
			}
		}
	}
	return &bucket{pattern: pattern}
}

func (b *bucket) set(r Rate) *bucket {
	if b.limiter == nil {
		b.limiter = rate.NewLimiter(r.limit(), r.burst())
		return b
	}
	b.limiter.SetLimit(r.limit())
	b.limiter.SetBurst(r.burst())
	return b
}

// buckets returns all, that of all routes first.
func (t *table) buckets() []*bucket {
	list := []*bucket{t.all}
	for _, b := range t.exact {
		list = append(list, b)
	}
	return append(list, t.below...)
}

// route returns the bucket of a path, or nil.
func (t *table) route(asked string) *bucket {
	if len(t.limits.Routes) == 0 {
		return nil
	}
	path, _, _ := uri.Split(asked) // as the router does: "/h%6Fme" has the limit of "/home"
	if b := t.exact[path]; b != nil {
		return b
	}
	for _, b := range t.below {
		if strings.HasPrefix(path, b.pattern[:len(b.pattern)-len("*")]) {
			return b
		}
	}
	return nil
}

// take takes a token of the route and one of all. It returns the bucket that has
// none, or nil. The route's comes first: a caller who floods one route shall not use
// up what the others have. But while there are none of all, those of a route are left: a
// route may get one in an hour, and nothing would have been done for it.
func (t *table) take(asked string) (empty *bucket) {
	if b := t.route(asked); b != nil {
		if t.all.isEmpty() {
			t.all.refused.Add(1)
			return t.all
		}
		if !b.take() {
			return b
		}
	}
	if !t.all.take() {
		return t.all
	}
	return nil
}
