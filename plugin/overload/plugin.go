package overload

import (
	"fmt"
	"sync"
	"sync/atomic"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// Plugin is the plugin. Give it to NewPeer before others, so that they are spared
// what it refuses, but after those that rewrite URIs. Given to several peers, its
// limits hold for all of them together. It is safe for concurrent use.
type Plugin struct {
	mu    sync.Mutex // of SetLimits
	table atomic.Pointer[table]
	conns conns

	connsRefused, pushesDropped atomic.Uint64
}

var (
	_ tp.PostAcceptPlugin         = (*Plugin)(nil)
	_ tp.PostDisconnectPlugin     = (*Plugin)(nil)
	_ tp.PostReadPullHeaderPlugin = (*Plugin)(nil)
	_ tp.PostReadPushHeaderPlugin = (*Plugin)(nil)
)

// New returns a Plugin. It panics if Limits.Validate returns an error.
func New(limits Limits) *Plugin {
	p := new(Plugin)
	if err := p.SetLimits(limits); err != nil {
		panic(err.Error())
	}
	return p
}

// SetLimits replaces all limits, from the next connection and packet on. Sessions
// that are open stay so, also if there are more than Limits.Conns now. A bucket that
// was there before keeps its tokens, up to its Burst; one that had no limit is full. On
// an error nothing changes.
func (p *Plugin) SetLimits(limits Limits) error {
	if err := limits.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table.Store(tableOf(limits, p.table.Load()))
	return nil
}

// Limits returns what SetLimits or New was given last.
func (p *Plugin) Limits() Limits { return p.table.Load().limits.clone() }

// Counts is how much has passed, and how much has not.
type Counts struct{ Passed, Refused uint64 }

// Counters tells what a Plugin has done since it was made.
type Counters struct {
	// Conns is how many accepted sessions there are.
	Conns int
	// ConnsRefused is how many connections were refused.
	ConnsRefused uint64
	// All counts the pulls and pushes of all routes by Limits.Rate. Those that only the
	// limit of their route has refused are not in it. Pushes that passed without a
	// token count as refused here: see PushesDropped.
	All Counts
	// Routes counts those of each pattern of Limits.Routes, but for those that Limits.Rate
	// has refused.
	Routes map[string]Counts
	// PushesDropped is how many pushes were dropped.
	PushesDropped uint64
}

// Counters returns the counters. A pattern that is removed from the limits loses
// its own.
func (p *Plugin) Counters() Counters {
	t := p.table.Load()
	c := Counters{
		Conns:         p.conns.len(),
		ConnsRefused:  p.connsRefused.Load(),
		Routes:        make(map[string]Counts),
		PushesDropped: p.pushesDropped.Load(),
	}
	for _, b := range t.buckets() {
		counts := Counts{b.passed.Load(), b.refused.Load()}
		if b == t.all {
			c.All = counts
		} else {
			c.Routes[b.pattern] = counts
		}
	}
	return c
}

// Name returns "overload".
func (p *Plugin) Name() string { return "overload" }

// PostAccept refuses a connection that is one too many. It tells the other side in a
// REPLY with seq 0, which is that to its first pull, or to the token of package auth.
func (p *Plugin) PostAccept(sess tp.PreSession) *tp.Rerror {
	most := p.table.Load().limits.Conns
	if p.conns.add(sess, most) {
		return nil
	}
	p.connsRefused.Add(1)
	rerr := refusal(fmt.Sprintf("there are %d connections", most))
	out := socket.NewPacket(socket.WithPtype(tp.TypeReply))
	rerr.SetToMeta(out.Meta())
	_ = sess.Send(out) // it is closed anyway
	return rerr
}

// PostDisconnect counts a session that is over.
func (p *Plugin) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	p.conns.remove(sess)
	return nil
}

// PostReadPullHeader refuses a pull that is one too many.
func (p *Plugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	return p.take(ctx)
}

// PostReadPushHeader drops a push that is one too many, if the limits say so.
func (p *Plugin) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror {
	rerr := p.take(ctx)
	if rerr == nil || !p.table.Load().limits.DropPushes {
		return nil
	}
	p.pushesDropped.Add(1)
	return rerr
}

func (p *Plugin) take(ctx tp.ReadCtx) *tp.Rerror {
	switch empty := p.table.Load().take(ctx.Input().Uri()); {
	case empty == nil:
		return nil
	case empty.pattern == "":
		return refusal(fmt.Sprintf("more than %v a second", float64(empty.limiter.Limit())))
	default:
		return refusal(fmt.Sprintf("more than %v a second of %s", float64(empty.limiter.Limit()), empty.pattern))
	}
}

// refusal returns what is answered: the code says that nothing was executed.
func refusal(detail string) *tp.Rerror {
	return tp.NewRerror(tp.CodeServiceUnavailable, tp.CodeText(tp.CodeServiceUnavailable), "overload: "+detail)
}
