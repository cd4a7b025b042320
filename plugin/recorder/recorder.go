package recorder

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Config is that of a Recorder.
type Config struct {
	// Handler writes the records. Default: that of slog.Default at the time of New.
	Handler slog.Handler
	// Launched records the pulls and pushes that this side has begun too.
	Launched bool
	// Skip tells of what is not to be recorded, such as the checks of a load balancer.
	// It is called by many goroutines, must not block, and must not keep ctx. Default:
	// all is recorded.
	Skip func(ctx tp.ExchangeCtx) bool
	// Level returns the level of a record; rerr is nil of an exchange that did not fail.
	// It is called by many goroutines. Default: Level.
	Level func(rerr *tp.Rerror) slog.Level
	// Attrs returns attributes to add to a record, such as who calls: see the example.
	// It is called by many goroutines, must not block, and must not keep ctx. Default:
	// none.
	Attrs func(ctx tp.ExchangeCtx) []slog.Attr
	// Slow is how long an exchange may take. One that took longer is marked, and its
	// level is slog.LevelWarn at least. Default: none is slow.
	Slow time.Duration
	// Bodies is how many bytes of a body are recorded, as it is encoded, of what this
	// side handles. The body of a reply is encoded once more for that. A body that came
	// for a path without a handler is not recorded. Bodies are not redacted. Default: none.
	Bodies int
	// Meta records the meta data of what this side handles, and of its replies, encoded
	// as a query.
	Meta bool
	// Redact has the keys whose values are replaced by "[redacted]": in the meta data,
	// and in the query of the URI. Case is ignored. Default: DefaultRedact. An empty
	// list that is not nil redacts nothing.
	Redact []string
	// Queue is how many records may wait for Handler; beyond it they are dropped.
	// Default: 1024.
	Queue int
}

const defaultQueue = 1024

// DefaultRedact returns the keys that are redacted by default.
func DefaultRedact() []string {
	return []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "token", "access_token", "refresh_token", "id_token", "api_key", "x-api-key", "password", "secret", "client_secret"}
}

// Level returns the level of a record by default: slog.LevelInfo if there is no error;
// slog.LevelError for what somebody has to look at, which are the codes 500 to 599,
// tp.CodeConnClosed, tp.CodeWriteFailed and tp.CodeDialFailed; slog.LevelWarn for all
// others, which are the caller's faults, and for tp.CodeServiceUnavailable: a limit did
// what it is for.
func Level(rerr *tp.Rerror) slog.Level {
	switch {
	case rerr == nil:
		return slog.LevelInfo
	case rerr.Code == tp.CodeServiceUnavailable:
		return slog.LevelWarn
	case 500 <= rerr.Code && rerr.Code <= 599, rerr.Code == tp.CodeConnClosed, rerr.Code == tp.CodeWriteFailed, rerr.Code == tp.CodeDialFailed:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// Recorder keeps an access log. It is safe for concurrent use, and several peers may have
// it.
//
// It has a goroutine while there is something to write, for which Close waits.
type Recorder struct {
	cfg    Config
	redact map[string]bool
	queue  queue
}

var (
	_ tp.PreReadPullBodyPlugin = new(Recorder)
	_ tp.PreReadPushBodyPlugin = new(Recorder)
	_ tp.PostExchangePlugin    = new(Recorder)
)

// New returns a Recorder, and panics if a field of cfg cannot work.
func New(cfg Config) *Recorder {
	if cfg.Queue < 0 || cfg.Bodies < 0 || cfg.Slow < 0 {
		panic(fmt.Sprintf("recorder: Config.Queue = %d, Bodies = %d, Slow = %v: none can be negative", cfg.Queue, cfg.Bodies, cfg.Slow))
	}
	if cfg.Queue == 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.Handler == nil {
		cfg.Handler = slog.Default().Handler()
	}
	if cfg.Level == nil {
		cfg.Level = Level
	}
	if cfg.Redact == nil {
		cfg.Redact = DefaultRedact()
	}
	redact := make(map[string]bool)
	for _, key := range cfg.Redact {
		redact[strings.ToLower(key)] = true
	}
	return &Recorder{cfg: cfg, redact: redact, queue: queue{handler: cfg.Handler, most: cfg.Queue}}
}

// Name returns "recorder".
func (*Recorder) Name() string { return "recorder" }

// PreReadPullBody keeps the body of a pull, if bodies are recorded.
func (r *Recorder) PreReadPullBody(ctx tp.ReadCtx) *tp.Rerror { return r.keepBody(ctx.Input()) }

// PreReadPushBody keeps the body of a push, if bodies are recorded.
func (r *Recorder) PreReadPushBody(ctx tp.ReadCtx) *tp.Rerror { return r.keepBody(ctx.Input()) }

// PostExchange records an exchange.
func (r *Recorder) PostExchange(ctx tp.ExchangeCtx) *tp.Rerror {
	if ctx.IsLaunched() && !r.cfg.Launched || r.cfg.Skip != nil && r.cfg.Skip(ctx) {
		return nil
	}
	rerr, cost := ctx.Rerror(), ctx.CostTime()
	level := r.cfg.Level(rerr)
	slow := r.cfg.Slow > 0 && cost > r.cfg.Slow
	if slow {
		level = max(level, slog.LevelWarn)
	}
	if !r.queue.takes(level) {
		return nil
	}
	message, began := "handled", ctx.Input()
	if ctx.IsLaunched() {
		message, began = "launched", ctx.Output()
	}
	kind := "push"
	if ctx.IsPull() {
		kind = "pull"
	}
	record := slog.NewRecord(time.Now(), level, message, 0)
	record.AddAttrs(
		slog.String("session", ctx.Session().Id()),
		slog.String("ip", ctx.Session().RemoteIp()),
		slog.String("kind", kind),
		slog.String("uri", r.redactURI(began.Uri())),
	)
	if h := ctx.Handler(); h != nil {
		record.AddAttrs(slog.String("route", h.Name()))
	}
	code := int32(0)
	if rerr != nil {
		code = rerr.Code
	}
	record.AddAttrs(
		slog.Uint64("seq", began.Seq()),
		slog.Int("code", int(code)),
		slog.Duration("cost", cost),
		slog.Uint64("in", uint64(ctx.Input().Size())),
		slog.Uint64("out", uint64(ctx.Output().Size())),
	)
	if rerr != nil {
		record.AddAttrs(slog.String("error", errorText(rerr)))
	}
	if slow {
		record.AddAttrs(slog.Bool("slow", true))
	}
	if !ctx.IsLaunched() {
		record.AddAttrs(r.content(ctx)...)
	}
	if r.cfg.Attrs != nil {
		record.AddAttrs(r.cfg.Attrs(ctx)...)
	}
	r.queue.add(record)
	return nil
}

func errorText(rerr *tp.Rerror) string {
	if rerr.Message == "" || rerr.Detail == "" {
		return rerr.Message + rerr.Detail
	}
	return rerr.Message + ": " + rerr.Detail
}
