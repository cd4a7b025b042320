package heartbeat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

const (
	// URI is that of a heartbeat.
	URI = "/heartbeat"
	// IntervalKey is the key of the query in which a heartbeat announces the
	// interval, in seconds.
	IntervalKey = "hb_"
)

const (
	defaultInterval = 30 * time.Second
	minInterval     = 10 * time.Millisecond
	defaultTimeout  = 20 * time.Second
	// jitter is by how much of the interval a heartbeat may come earlier: those who
	// dialled together shall not beat together.
	jitter = 0.2
	// maxSpread is over how long the heartbeats are spread that a change of the
	// interval brings about.
	maxSpread = time.Second
)

// PingConfig configures a Ping.
type PingConfig struct {
	// Interval is after how long a silence a heartbeat is sent: by default 30 s, and
	// at least 10 ms. Each is up to a fifth earlier by chance. Silence is that
	// nothing was read, or no pull or push was sent.
	Interval time.Duration
	// Timeout is for how long the answer is awaited: by default 20 s. Then the
	// connection is closed, and the session dials again if it does that (see
	// tp.PeerConfig.RedialTimes) or ends. For that, the read timeout of the session is
	// set to Interval and Timeout together, unless it is shorter already. Negative is
	// for ever. An error is an answer too, such as the 404 of a peer without a Pong.
	Timeout time.Duration
	// Push sends pushes, which are not answered, so that only the other side finds
	// out that a session is dead.
	Push bool
}

// Ping is the plugin of a peer that dials: it sends heartbeats on the sessions that
// it has dialled. It is safe for concurrent use.
type Ping struct {
	cfg      PingConfig
	interval atomic.Int64
	schedule *schedule
	sent     atomic.Uint64
}

var (
	_ tp.PostDialPlugin            = (*Ping)(nil)
	_ tp.PostDisconnectPlugin      = (*Ping)(nil)
	_ tp.PostWritePullPlugin       = (*Ping)(nil)
	_ tp.PostWritePushPlugin       = (*Ping)(nil)
	_ tp.PostReadPullHeaderPlugin  = (*Ping)(nil)
	_ tp.PostReadPushHeaderPlugin  = (*Ping)(nil)
	_ tp.PostReadReplyHeaderPlugin = (*Ping)(nil)
)

// pingKey is that of the entry in Public.
type pingKey struct{}

// NewPing returns a Ping. It panics if the interval is too short.
func NewPing(cfg PingConfig) *Ping {
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	p := &Ping{cfg: cfg}
	p.schedule = newSchedule(p.due)
	if err := p.SetInterval(cfg.Interval); err != nil {
		panic("heartbeat: NewPing: PingConfig." + err.Error())
	}
	return p
}

// SetInterval changes the interval, also of sessions that are open: each sends a
// heartbeat soon, which announces it. It must be at least 10 ms, or nothing changes.
func (p *Ping) SetInterval(d time.Duration) error {
	if d < minInterval {
		return fmt.Errorf("Interval is %v: it must be at least %v", d, minInterval)
	}
	p.interval.Store(int64(d))
	now := p.schedule.now()
	p.schedule.each(func(e *entry) {
		if e.bounded {
			e.sess.SetReadTimeout(d + p.cfg.Timeout)
		}
		e.beaten = atOnce
		e.at = now + soon(d)
	})
	return nil
}

// Interval returns the interval.
func (p *Ping) Interval() time.Duration { return time.Duration(p.interval.Load()) }

// Sent returns how many heartbeats were sent.
func (p *Ping) Sent() uint64 { return p.sent.Load() }

// Name returns "heartbeat.ping".
func (p *Ping) Name() string { return "heartbeat.ping" }

// PostDial takes up a session, and again the next connection of one that dials again.
func (p *Ping) PostDial(pre tp.PreSession) *tp.Rerror {
	sess, ok := pre.(tp.Session)
	if !ok {
		return tp.NewRerror(tp.CodeInternalServerError, tp.CodeText(tp.CodeInternalServerError), "heartbeat: the session is not one of package tp")
	}
	now := p.schedule.now()
	e := entryOf(sess, pingKey{})
	again := e != nil
	if !again {
		e = &entry{sess: sess, index: -1}
		sess.Public().Store(pingKey{}, e)
	}
	e.in.Store(int64(now))
	e.out.Store(int64(now))
	p.schedule.put(e, func() time.Duration {
		d := p.Interval() // no other change comes in between: SetInterval would not see e
		if most, set := d+p.cfg.Timeout, sess.ReadTimeout(); !again && !p.cfg.Push && p.cfg.Timeout > 0 && (set <= 0 || set > most) {
			e.bounded = true
			sess.SetReadTimeout(most)
		}
		e.beaten = atOnce // to announce the interval
		return now + soon(d)
	})
	return nil
}

// atOnce is when the last heartbeat went if the next one is due in any case.
const atOnce = -1

// soon returns after how long the first heartbeat goes: not before a redial is over.
func soon(d time.Duration) time.Duration {
	most := min(d, maxSpread)
	return most/2 + rand.N(most/2)
}

// early returns the interval, or a bit less.
func early(d time.Duration) time.Duration {
	return d - time.Duration(jitter*rand.Float64()*float64(d))
}

// due sends a heartbeat if it is time for that.
func (p *Ping) due(e *entry, now time.Duration) time.Duration {
	if isOver(e.sess) {
		return 0
	}
	d := p.Interval()
	quiet := time.Duration(e.out.Load())
	if !p.cfg.Push {
		quiet = min(quiet, time.Duration(e.in.Load()))
	}
	if e.beaten != atOnce {
		quiet = max(quiet, e.beaten)
		if now < quiet+d-time.Duration(jitter*float64(d)) {
			return quiet + early(d)
		}
	}
	if !e.sess.Health() { // it is being opened, or dials again
		return now + min(d, maxSpread)
	}
	if e.beating.CompareAndSwap(false, true) {
		p.sent.Add(1)
		go p.beat(e) // ends with its session, or with the timeout
	}
	e.beaten = now
	return now + early(d)
}

// beat sends a heartbeat. Whether an answer came is left to the read timeout: any
// packet is a sign of life.
func (p *Ping) beat(e *entry) {
	defer e.beating.Store(false)
	seconds := (p.Interval() + time.Second - 1) / time.Second
	uri := URI + "?" + IntervalKey + "=" + strconv.Itoa(int(seconds))
	ctx, cancel := context.WithTimeout(context.Background(), max(p.cfg.Timeout, p.Interval()))
	defer cancel()
	if p.cfg.Push {
		e.sess.Push(uri, nil, tp.WithContext(ctx))
	} else {
		e.sess.Pull(uri, nil, nil, tp.WithContext(ctx))
	}
}

// PostDisconnect forgets a session.
func (p *Ping) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	if e := entryOf(sess, pingKey{}); e != nil {
		p.schedule.remove(e)
	}
	return nil
}

// PostWritePull notes that something was sent.
func (p *Ping) PostWritePull(ctx tp.WriteCtx) *tp.Rerror { return p.wrote(ctx) }

// PostWritePush notes that something was sent.
func (p *Ping) PostWritePush(ctx tp.WriteCtx) *tp.Rerror { return p.wrote(ctx) }

func (p *Ping) wrote(ctx tp.WriteCtx) *tp.Rerror {
	if e := entryOf(ctx, pingKey{}); e != nil {
		e.out.Store(int64(p.schedule.now()))
	}
	return nil
}

// PostReadPullHeader notes a sign of life.
func (p *Ping) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror { return p.read(ctx) }

// PostReadPushHeader notes a sign of life.
func (p *Ping) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror { return p.read(ctx) }

// PostReadReplyHeader notes a sign of life.
func (p *Ping) PostReadReplyHeader(ctx tp.ReadCtx) *tp.Rerror { return p.read(ctx) }

func (p *Ping) read(ctx tp.ReadCtx) *tp.Rerror {
	if e := entryOf(ctx, pingKey{}); e != nil {
		e.in.Store(int64(p.schedule.now()))
	}
	return nil
}
