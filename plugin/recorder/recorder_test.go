package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/recorder"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func quietPeer(plugins ...tp.Plugin) *tp.Peer {
	quiet, _ := tp.NewLogger(nil, "OFF")
	return tp.NewPeer(&tp.PeerConfig{Logger: quiet}, plugins...)
}

// page is what a log is written to.
type page struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *page) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// lines returns what stands there, one map a line.
func (p *page) lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(p.text()) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	return lines
}

// closed closes the recorder and returns all that it wrote.
func closed(t testing.TB, r *recorder.Recorder, p *page) []map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return p.lines(t)
}

func newRecorder(cfg recorder.Config) (*recorder.Recorder, *page) {
	p := new(page)
	cfg.Handler = slog.NewJSONHandler(p, &slog.HandlerOptions{Level: slog.LevelDebug})
	return recorder.New(cfg), p
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// find returns the one line with the kind and the URI.
func find(t testing.TB, lines []map[string]any, kind, uri string) (found map[string]any) {
	t.Helper()
	for _, line := range lines {
		if line["kind"] == kind && line["uri"] == uri {
			if found != nil {
				t.Errorf("two lines of the %s %s", kind, uri)
			}
			found = line
		}
	}
	if found == nil {
		t.Fatalf("no line of the %s %s in %v", kind, uri, lines)
	}
	return found
}

func want(t testing.TB, line map[string]any, fields map[string]any) {
	t.Helper()
	for key, value := range fields {
		if line[key] != value {
			t.Errorf("%s is %v, want %v, in %v", key, line[key], value, line)
		}
	}
}

// serve registers what the tests call.
func serve(server *tp.Peer) {
	tp.RegPull(server.PullRouter, "echo", func(ctx tp.PullCtx, text *string) (string, *tp.Rerror) {
		ctx.SetMeta("Token", "secret-of-the-reply")
		ctx.SetMeta("color", "red")
		return *text, nil
	})
	tp.RegPull(server.PullRouter, "fail", func(_ tp.PullCtx, code *int32) (string, *tp.Rerror) {
		return "", tp.NewRerror(*code, "message", "detail")
	})
	tp.RegPull(server.PullRouter, "panic", func(tp.PullCtx, *[]byte) (string, *tp.Rerror) { panic("secret") })
	tp.RegPush(server.PushRouter, "note", func(_ tp.PushCtx, _ *string) {})
	tp.RegPush(server.PushRouter, "panic", func(_ tp.PushCtx, _ *[]byte) { panic("secret") })
}

func TestRecords(t *testing.T) {
	log, page := newRecorder(recorder.Config{})
	server := quietPeer(log)
	serve(server)
	sess, atServer := tptest.Pair(t, quietPeer(), server)
	sess.Pull("/echo?a=1&token=x", "hello", nil)
	sess.Pull("/nowhere", nil, nil)
	sess.Pull("/echo", 7, nil, socket.WithBodyCodec(200))
	sess.Pull("/panic", nil, nil)
	sess.Pull("/fail", 1234, nil)
	for _, uri := range []string{"/note", "/panic", "/lost"} {
		if rerr := sess.Push(uri, "hello"); rerr != nil {
			t.Fatal(rerr)
		}
	}
	atServer.Pull("/back", nil, nil) // this side begins it
	eventually(t, "all is recorded", func() bool { return len(page.lines(t)) >= 7 })
	lines := closed(t, log, page)
	if len(lines) != 7 {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	ok := find(t, lines, "pull", "/echo?a=1&token=[redacted]")
	want(t, ok, map[string]any{
		"msg": "handled", "level": "INFO", "session": atServer.Id(), "ip": sess.LocalIp(), "route": "/echo",
		"seq": 0.0, "code": 0.0, "error": nil, "slow": nil, "body": nil, "meta": nil,
	})
	if in, out, cost := ok["in"].(float64), ok["out"].(float64), ok["cost"].(float64); in < 30 || in > 100 || out < 30 || out > 200 || cost <= 0 {
		t.Errorf("in %v, out %v, cost %v", in, out, cost)
	}
	want(t, find(t, lines, "pull", "/nowhere"), map[string]any{"level": "WARN", "code": 404.0, "route": nil, "error": "Not Found: no handler of /nowhere", "seq": 1.0})
	panicked := find(t, lines, "pull", "/panic")
	want(t, panicked, map[string]any{"level": "ERROR", "code": 500.0})
	want(t, find(t, lines, "pull", "/fail"), map[string]any{"level": "WARN", "code": 1234.0, "error": "message: detail"})
	want(t, find(t, lines, "push", "/note"), map[string]any{"level": "INFO", "code": 0.0, "out": 0.0})
	want(t, find(t, lines, "push", "/panic"), map[string]any{"level": "ERROR", "code": 500.0})
	want(t, find(t, lines, "push", "/lost"), map[string]any{"level": "WARN", "code": 404.0})
}

func TestLaunched(t *testing.T) {
	log, page := newRecorder(recorder.Config{Launched: true, Bodies: 100, Meta: true})
	client := quietPeer(log)
	server := quietPeer()
	serve(server)
	sess, _ := tptest.Pair(t, client, server)
	sess.Pull("/echo", "hello", nil)
	_ = sess.Push("/note", "hello")
	_ = sess.Close()
	sess.Pull("/echo?closed", "hello", nil)
	lines := closed(t, log, page)
	want(t, find(t, lines, "pull", "/echo"), map[string]any{"msg": "launched", "level": "INFO", "code": 0.0, "session": sess.Id(), "ip": sess.RemoteIp(), "body": nil, "meta": nil})
	want(t, find(t, lines, "push", "/note"), map[string]any{"msg": "launched", "code": 0.0, "in": 0.0})
	want(t, find(t, lines, "pull", "/echo?closed"), map[string]any{"level": "ERROR", "code": 102.0})
}

func TestBodiesAndMeta(t *testing.T) {
	log, page := newRecorder(recorder.Config{Bodies: 10, Meta: true, Redact: []string{"TOKEN", "päss word"}})
	server := quietPeer(log)
	serve(server)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	sess.Pull("/echo?1", "12345678", nil, socket.WithAddMeta("token", "abc"), socket.WithAddMeta("k", "v w"))
	sess.Pull("/echo?2&P%C3%A4SS+word=abc&Token=abc&token&other=abc", "123456789", nil)
	sess.Pull("/fail", 1234, nil)
	if rerr := sess.Push("/note", "pushed", socket.WithAddMeta("token", "abc")); rerr != nil {
		t.Fatal(rerr)
	}
	eventually(t, "all is recorded", func() bool { return len(page.lines(t)) == 4 })
	lines := closed(t, log, page)
	want(t, find(t, lines, "pull", "/echo?1"), map[string]any{
		"body": `"12345678"`, "reply_body": `"12345678"`, "meta": "token=%5Bredacted%5D&k=v%20w",
	})
	if meta, _ := find(t, lines, "pull", "/echo?1")["reply_meta"].(string); !strings.Contains(meta, "Token=%5Bredacted%5D&color=red") {
		t.Errorf("the reply has the meta data %q", meta)
	}
	want(t, find(t, lines, "pull", "/echo?2&P%C3%A4SS+word=[redacted]&Token=[redacted]&token&other=abc"), map[string]any{
		"body": `"123456789... (11 bytes in all)`, "reply_body": `"123456789... (11 bytes in all)`,
	})
	want(t, find(t, lines, "pull", "/fail"), map[string]any{"body": "1234", "reply_body": `""`, "reply_meta": ""})
	want(t, find(t, lines, "push", "/note"), map[string]any{"body": `"pushed"`, "reply_body": nil, "meta": "token=%5Bredacted%5D"})
	if text := page.buf.String(); strings.Contains(text, "secret") || strings.Count(text, "abc") != 1 {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}

func TestLevels(t *testing.T) {
	for code, level := range map[int32]slog.Level{
		400: slog.LevelWarn, 404: slog.LevelWarn, 408: slog.LevelWarn, 429: slog.LevelWarn, 499: slog.LevelWarn, 500: slog.LevelError, 502: slog.LevelError, 503: slog.LevelWarn, 504: slog.LevelError, 599: slog.LevelError, 600: slog.LevelWarn,
		102: slog.LevelError, 104: slog.LevelError, 105: slog.LevelError, 103: slog.LevelWarn, 0: slog.LevelWarn,
	} {
		if got := recorder.Level(tp.NewRerror(code, "")); got != level {
			t.Errorf("%d is %v", code, got)
		}
	}
	if got := recorder.Level(nil); got != slog.LevelInfo {
		t.Errorf("nil is %v", got)
	}

	// All is slow, one URI is skipped, and one level is one that the handler does not want.
	log, page := newRecorder(recorder.Config{
		Slow: time.Nanosecond,
		Skip: func(ctx tp.ExchangeCtx) bool { return ctx.Path() == "/echo" },
		Level: func(rerr *tp.Rerror) slog.Level {
			if rerr != nil && rerr.Code == 1 {
				return slog.LevelError + 1
			}
			return slog.LevelDebug - 4
		},
	})
	server := quietPeer(log)
	serve(server)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	sess.Pull("/echo", "", nil)
	sess.Pull("/fail?1", 1, nil)
	sess.Pull("/fail?2", 2, nil)
	eventually(t, "both are recorded", func() bool { return len(page.lines(t)) >= 2 })
	lines := closed(t, log, page)
	if len(lines) != 2 {
		t.Errorf("got %v", lines)
	}
	want(t, find(t, lines, "pull", "/fail?1"), map[string]any{"level": "ERROR+1", "slow": true})
	want(t, find(t, lines, "pull", "/fail?2"), map[string]any{"level": "WARN", "slow": true})

	log, page = newRecorder(recorder.Config{Level: func(*tp.Rerror) slog.Level { return slog.LevelDebug - 1 }})
	server = quietPeer(log)
	serve(server)
	sess, _ = tptest.Pair(t, quietPeer(), server)
	sess.Pull("/echo", "", nil)
	if lines := closed(t, log, page); len(lines) != 0 || log.Stats().Dropped != 0 {
		t.Errorf("got %v", lines)
	}
}

// blocked is a handler that waits.
type blocked struct {
	slog.Handler
	began, release chan struct{}
}

func (b *blocked) Handle(ctx context.Context, record slog.Record) error {
	select {
	case b.began <- struct{}{}:
	default:
	}
	<-b.release
	return b.Handler.Handle(ctx, record)
}

// A handler that is stuck holds up nobody; what does not fit is counted, and told when
// the handler goes on.
func TestSlowHandler(t *testing.T) {
	page := new(page)
	stuck := &blocked{slog.NewJSONHandler(page, nil), make(chan struct{}, 1), make(chan struct{})}
	log := recorder.New(recorder.Config{Handler: stuck, Queue: 10})
	server := quietPeer(log)
	serve(server)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for range 100 {
		if rerr := sess.Pull("/echo", "", nil).Rerror(); rerr != nil {
			t.Fatal(rerr)
		}
	}
	<-stuck.began
	eventually(t, "90 are dropped", func() bool { return log.Stats().Dropped == 90 })
	if s := log.Stats(); s.Waiting != 10 {
		t.Errorf("stats %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Close(ctx); !errors.Is(err, recorder.ErrNotWritten) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	sess.Pull("/echo", "", nil) // too late
	eventually(t, "it is dropped", func() bool { return log.Stats().Dropped == 91 })
	close(stuck.release)
	lines := closed(t, log, page)
	told := 0
	for _, line := range lines {
		if text := line["msg"].(string); strings.Contains(text, "91 records were dropped") {
			told++
		}
	}
	if len(lines) != 11 || told != 1 {
		t.Errorf("%d lines, %d of them tell: %v", len(lines), told, lines)
	}
	sess.Pull("/echo", "", nil)
	eventually(t, "it is dropped", func() bool { return log.Stats().Dropped == 92 })
	if err := log.Close(ctx); err != nil { // there is nothing to wait for
		t.Error(err)
	}
}

// broken is a handler that fails, each time in another way.
type broken struct {
	slog.Handler
	calls int
}

func (b *broken) Handle(ctx context.Context, record slog.Record) error {
	b.calls++
	switch b.calls {
	case 1:
		panic("broken")
	case 2:
		return errors.New("broken")
	case 4:
		runtime.Goexit()
	}
	return b.Handler.Handle(ctx, record)
}

func TestBrokenHandler(t *testing.T) {
	book := new(page)
	page := new(page)
	library, err := tp.NewLogger(book, "ERROR")
	if err != nil {
		t.Fatal(err)
	}
	tp.SetLogger(library)
	defer tp.SetLogger(nil)
	log := recorder.New(recorder.Config{Handler: &broken{Handler: slog.NewJSONHandler(page, nil)}})
	server := quietPeer(log)
	serve(server)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for range 5 {
		sess.Pull("/echo", "", nil)
	}
	eventually(t, "the third and the fifth are written", func() bool { return len(page.lines(t)) == 2 })
	if lines := closed(t, log, page); len(lines) != 2 || log.Stats() != (recorder.Stats{Failed: 3}) {
		t.Errorf("got %v, %+v", lines, log.Stats())
	}
	told := book.text()
	if strings.Count(told, "recorder:") != 2 || !strings.Contains(told, "panicked: broken") || !strings.Contains(told, "ended its goroutine") {
		t.Errorf("the first of two failures, and the third, are not in the log:\n%s", told)
	}
}

// Many record at once, and nothing is lost.
func TestMany(t *testing.T) {
	log, page := newRecorder(recorder.Config{Queue: 10000, Bodies: 100})
	server := quietPeer(log)
	serve(server)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 50 {
				sess.Pull("/echo", "", nil)
			}
		})
	}
	callers.Wait()
	eventually(t, "all are recorded", func() bool { return len(page.lines(t)) == 1000 })
	seqs := map[any]bool{}
	for _, line := range closed(t, log, page) {
		seqs[line["seq"]] = true
	}
	if len(seqs) != 1000 {
		t.Errorf("%d of 1000 pulls", len(seqs))
	}
}

func TestConfig(t *testing.T) {
	for text, cfg := range map[string]recorder.Config{
		"Config.Queue = -1": {Queue: -1}, "Bodies = -1": {Bodies: -1}, "Slow = -1ns": {Slow: -1},
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, text) {
					t.Errorf("%s: got %q", text, r)
				}
			}()
			recorder.New(cfg)
		}()
	}
}
