package heartbeat

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/usercode"
)

const (
	defaultMaxSilence  = 90 * time.Second
	defaultMaxInterval = 10 * time.Minute
)

// PongConfig configures a Pong.
type PongConfig struct {
	// MaxSilence is for how long a session may send neither pull, push nor reply
	// before it is closed: by default 90 s. If it announces heartbeats at an interval
	// of more than half of that, it is twice the interval.
	MaxSilence time.Duration
	// MaxInterval is the longest interval that a session may announce: by default
	// 10 minutes. One beyond it is answered 400 and changes nothing.
	MaxInterval time.Duration
	// OnSilent is called when a session is closed for that, in a goroutine of its
	// own. It may be nil.
	OnSilent func(sess tp.Session, silence time.Duration)
}

// Pong is the plugin of a peer that accepts: it closes the sessions that it has
// accepted and that are silent, and answers heartbeats when it is routed: see Route.
//
// Closing is that of Session.Close, so that one whose other side is dead is over after
// tp.PeerConfig.CloseTimeout more. A session whose reader is held back, since what it
// pushed is not handled yet, is silent too. A Pong is safe for concurrent use.
type Pong struct {
	cfg      PongConfig
	schedule *schedule
	closed   atomic.Uint64
}

var (
	_ tp.PostAcceptPlugin          = (*Pong)(nil)
	_ tp.PostDisconnectPlugin      = (*Pong)(nil)
	_ tp.PostReadPullHeaderPlugin  = (*Pong)(nil)
	_ tp.PostReadPushHeaderPlugin  = (*Pong)(nil)
	_ tp.PostReadReplyHeaderPlugin = (*Pong)(nil)
)

// pongKey is that of the entry in Public.
type pongKey struct{}

// NewPong returns a Pong. It panics if a duration is negative.
func NewPong(cfg PongConfig) *Pong {
	for field, d := range map[string]*time.Duration{"MaxSilence": &cfg.MaxSilence, "MaxInterval": &cfg.MaxInterval} {
		if *d < 0 {
			panic(fmt.Sprintf("heartbeat: NewPong: PongConfig.%s is %v: use 0 for the default", field, *d))
		}
	}
	if cfg.MaxSilence == 0 {
		cfg.MaxSilence = defaultMaxSilence
	}
	if cfg.MaxInterval == 0 {
		cfg.MaxInterval = defaultMaxInterval
	}
	p := &Pong{cfg: cfg}
	p.schedule = newSchedule(p.due)
	return p
}

// Closed returns how many sessions were closed since they were silent.
func (p *Pong) Closed() uint64 { return p.closed.Load() }

// Route registers the handlers of heartbeats with a peer, for pulls and pushes. It
// panics if the path "/heartbeat" is taken. A Pong that is not routed counts
// heartbeats as well, but does not learn the interval, and its peer answers 404,
// which a Ping of this package takes and one of teleport v4 does not.
func (p *Pong) Route(peer *tp.Peer) {
	name := strings.TrimPrefix(URI, "/")
	tp.RegPull(peer.PullRouter, name, func(ctx tp.PullCtx, _ *[]byte) (any, *tp.Rerror) {
		return nil, p.announced(ctx, ctx.Query().Get(IntervalKey))
	})
	tp.RegPush(peer.PushRouter, name, func(ctx tp.PushCtx, _ *[]byte) {
		_ = p.announced(ctx, ctx.Query().Get(IntervalKey))
	})
}

// announced takes the interval of a heartbeat. It may have none.
func (p *Pong) announced(of holder, text string) *tp.Rerror {
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	interval := time.Duration(seconds) * time.Second
	if err != nil || interval > p.cfg.MaxInterval {
		return tp.NewRerror(tp.CodeBadPacket, tp.CodeText(tp.CodeBadPacket),
			fmt.Sprintf("heartbeat: %s=%.20q: it takes whole seconds, at most %v", IntervalKey, text, p.cfg.MaxInterval))
	}
	if e := entryOf(of, pongKey{}); e != nil {
		e.interval.Store(int64(interval))
	}
	return nil
}

// Pushes returns a plugin for the same peer, for clients with the Ping of teleport v3
// or v4: that sends no heartbeats while it receives, so that what this side sends
// has to count as well as what it reads. It costs that a broadcast is encoded for
// each session: see tp.PostWritePushPlugin. A session whose other side is dead is
// closed all the same, by the write timeout.
func (p *Pong) Pushes() tp.Plugin { return pushes{p} }

// pushes counts what is sent.
type pushes struct{ pong *Pong }

var (
	_ tp.PostWritePullPlugin = pushes{}
	_ tp.PostWritePushPlugin = pushes{}
)

func (pushes) Name() string { return "heartbeat.pushes" }

func (p pushes) PostWritePull(ctx tp.WriteCtx) *tp.Rerror { return p.pong.alive(ctx) }

func (p pushes) PostWritePush(ctx tp.WriteCtx) *tp.Rerror { return p.pong.alive(ctx) }

// Name returns "heartbeat.pong".
func (p *Pong) Name() string { return "heartbeat.pong" }

// PostAccept takes up a session.
func (p *Pong) PostAccept(pre tp.PreSession) *tp.Rerror {
	sess, ok := pre.(tp.Session)
	if !ok {
		return tp.NewRerror(tp.CodeInternalServerError, tp.CodeText(tp.CodeInternalServerError), "heartbeat: the session is not one of package tp")
	}
	now := p.schedule.now()
	e := &entry{sess: sess, index: -1}
	e.in.Store(int64(now))
	sess.Public().Store(pongKey{}, e)
	p.schedule.put(e, func() time.Duration { return now + p.cfg.MaxSilence })
	return nil
}

// due closes a session that was silent for too long.
func (p *Pong) due(e *entry, now time.Duration) time.Duration {
	if isOver(e.sess) {
		return 0
	}
	bound := max(p.cfg.MaxSilence, 2*time.Duration(e.interval.Load()))
	last := time.Duration(e.in.Load())
	if now < last+bound {
		return last + bound
	}
	p.closed.Add(1)
	go func() { // bounded by the write timeout
		_ = e.sess.Close()
		if p.cfg.OnSilent == nil {
			return
		}
		usercode.Run(func() { p.cfg.OnSilent(e.sess, now-last) }, func(gone error) {
			if gone != nil {
				tp.Errorf("heartbeat: OnSilent of session %s: %s", e.sess.Id(), usercode.Trace(gone))
			}
		})
	}()
	return 0
}

// PostDisconnect forgets a session.
func (p *Pong) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	if e := entryOf(sess, pongKey{}); e != nil {
		p.schedule.remove(e)
	}
	return nil
}

// PostReadPullHeader notes a sign of life.
func (p *Pong) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror { return p.alive(ctx) }

// PostReadPushHeader notes a sign of life.
func (p *Pong) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror { return p.alive(ctx) }

// PostReadReplyHeader notes a sign of life.
func (p *Pong) PostReadReplyHeader(ctx tp.ReadCtx) *tp.Rerror { return p.alive(ctx) }

func (p *Pong) alive(ctx holder) *tp.Rerror {
	if e := entryOf(ctx, pongKey{}); e != nil {
		e.in.Store(int64(p.schedule.now()))
	}
	return nil
}
