package prometheus_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/prometheus"
	"github.com/henrylee2cn/teleport/tptest"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

type values = map[string]float64

func TestBothDirections(t *testing.T) {
	atServer, atClient := newScraper(t), newScraper(t)
	server := quiet(t, tp.PeerConfig{}, atServer.plugin(prometheus.Config{}))
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(prometheus.Config{Namespace: "game", ConstLabels: prom.Labels{"peer": "c"}}))
	r := server.PullRouter
	tp.RegPull(r, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
	tp.RegPull(r, "fails", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, tp.NewRerror(1234, "no") })
	tp.RegPull(r, "slow", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		time.Sleep(20 * time.Millisecond)
		return 0, nil
	})
	r.Group("any").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) { return nil, nil })
	tp.RegPush(server.PushRouter, "note", func(tp.PushCtx, *int) {})
	server.PushRouter.Group("boom").SetUnknown(func(tp.UnknownPushCtx) { panic("secret") })
	sess, _ := tptest.Pair(t, client, server)
	slow := sess.Pull("/slow", 1, nil).CostTime().Seconds()
	for _, uri := range []string{"/fine", "/fine?a=b", "/fails", "/nowhere", "/no/where", "/any/a", "/any/b/c"} {
		sess.Pull(uri, 1, nil)
	}
	for _, uri := range []string{"/note", "/note", "/boom/a", "/nowhere"} {
		if rerr := sess.Push(uri, 1); rerr != nil {
			t.Fatal(rerr)
		}
	}
	handled := values{
		"code=ok direction=handled kind=pull route=/fine":    2,
		"code=1234 direction=handled kind=pull route=/fails": 1,
		"code=ok direction=handled kind=pull route=/slow":    1,
		"code=404 direction=handled kind=pull route=unknown": 2,
		"code=ok direction=handled kind=pull route=/any/*":   2,
		"code=ok direction=handled kind=push route=/note":    2,
		"code=500 direction=handled kind=push route=/boom/*": 1,
		"code=404 direction=handled kind=push route=unknown": 1,
	}
	called := values{
		"code=ok direction=called kind=pull peer=c route=/fine":      2,
		"code=1234 direction=called kind=pull peer=c route=/fails":   1,
		"code=ok direction=called kind=pull peer=c route=/slow":      1,
		"code=404 direction=called kind=pull peer=c route=/nowhere":  1,
		"code=404 direction=called kind=pull peer=c route=/no/where": 1,
		"code=ok direction=called kind=pull peer=c route=/any/a":     1,
		"code=ok direction=called kind=pull peer=c route=/any/b/c":   1,
		"code=ok direction=called kind=push peer=c route=/note":      2,
		"code=ok direction=called kind=push peer=c route=/boom/a":    1,
		"code=ok direction=called kind=push peer=c route=/nowhere":   1,
	}
	for _, name := range []string{"exchanges_total", "exchange_duration_seconds"} {
		atServer.await("tp_"+name, handled)
		atClient.await("game_"+name, called)
	}
	for _, m := range atClient.scrape()["game_exchange_duration_seconds"].GetMetric() {
		if h := m.GetHistogram(); strings.Contains(m.String(), "/slow") && h.GetSampleSum() != slow {
			t.Errorf("a pull of %v s is %v", slow, h)
		}
	}
	for _, m := range atServer.scrape()["tp_exchange_duration_seconds"].GetMetric() {
		h := m.GetHistogram()
		if len(h.GetBucket()) != 12 || h.GetBucket()[11].GetUpperBound() != math.Inf(1) {
			t.Errorf("buckets %v", h.GetBucket())
		}
		if strings.Contains(m.String(), "/slow") && (h.GetSampleSum() < 0.02 || h.GetBucket()[4].GetCumulativeCount() != 0) {
			t.Errorf("20 ms are %v", h)
		}
	}
}

// With a factor the histogram is a native one too, and has its buckets still.
func TestNativeHistogram(t *testing.T) {
	for _, factor := range []float64{0, 1.1} {
		at := newScraper(t)
		server := quiet(t, tp.PeerConfig{}, at.plugin(prometheus.Config{NativeFactor: factor}))
		tp.RegPull(server.PullRouter, "fine", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
		sess, _ := tptest.Pair(t, quiet(t, tp.PeerConfig{}), server)
		for range 3 {
			sess.Pull("/fine", 1, nil)
		}
		at.await("tp_exchange_duration_seconds", values{"code=ok direction=handled kind=pull route=/fine": 3})
		h := at.scrapeAs(expfmt.NewFormat(expfmt.TypeProtoDelim))["tp_exchange_duration_seconds"].GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 3 || len(h.GetBucket()) < 11 {
			t.Errorf("factor %v: %d exchanges in the buckets %v", factor, h.GetSampleCount(), h.GetBucket())
		}
		native, last := int64(0), int64(0)
		for _, delta := range h.GetPositiveDelta() {
			last += delta
			native += last
		}
		switch {
		case factor == 0 && h.Schema != nil:
			t.Errorf("it is native without being asked: %v", h)
		case factor != 0 && (h.GetSchema() != 3 || native != 3): // 2^(2^-3) is 1.09
			t.Errorf("factor %v: schema %d, %d exchanges in native buckets: %v", factor, h.GetSchema(), native, h)
		}
	}
}

// Strangers cannot make labels up.
func TestLabelsAreBounded(t *testing.T) {
	atServer, atClient := newScraper(t), newScraper(t)
	server := quiet(t, tp.PeerConfig{}, atServer.plugin(prometheus.Config{MaxCodes: 3}))
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(prometheus.Config{MaxRoutes: 5, MaxCodes: 2}))
	server.PullRouter.Group("g").SetUnknown(func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		var code int32
		_, _ = fmt.Sscanf(ctx.Path(), "/g/%d", &code)
		return nil, tp.NewRerror(code, "as you like")
	})
	sess, _ := tptest.Pair(t, client, server)
	for i := range 20 {
		sess.Pull(fmt.Sprintf("/g/%d", 2000+i), 1, nil)
		sess.Pull(fmt.Sprintf("/nowhere/%d", i), 1, nil)
	}
	sess.Pull("/not\xffutf8", 1, nil)
	atServer.await("tp_exchanges_total", values{
		"code=2000 direction=handled kind=pull route=/g/*":   1,
		"code=404 direction=handled kind=pull route=unknown": 21,
		"code=2001 direction=handled kind=pull route=/g/*":   1,
		"code=2002 direction=handled kind=pull route=/g/*":   1,
		"code=other direction=handled kind=pull route=/g/*":  17,
	})
	atClient.await("tp_exchanges_total", values{
		"code=2000 direction=called kind=pull route=/g/2000":   1,
		"code=404 direction=called kind=pull route=/nowhere/0": 1,
		"code=2001 direction=called kind=pull route=/g/2001":   1,
		"code=404 direction=called kind=pull route=/nowhere/1": 1,
		"code=other direction=called kind=pull route=/g/2002":  1,
		"code=other direction=called kind=pull route=other":    17,
		"code=404 direction=called kind=pull route=other":      19,
	})
}

// Codes that the other side makes up do not hide those of the library.
func TestCodesOfTheLibraryAreKept(t *testing.T) {
	at := newScraper(t)
	server := quiet(t, tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "code", func(_ tp.PullCtx, code *int32) (int, *tp.Rerror) {
		return 0, tp.NewRerror(*code, "as you like")
	})
	client := quiet(t, tp.PeerConfig{}, at.plugin(prometheus.Config{MaxCodes: 1}))
	sess, _ := tptest.Pair(t, client, server)
	for _, code := range []int32{-7, 7, 8, tp.CodeServiceUnavailable, tp.CodeConnClosed} {
		sess.Pull("/code", code, nil)
	}
	at.await("tp_exchanges_total", values{
		"code=-7 direction=called kind=pull route=/code":    1,
		"code=other direction=called kind=pull route=/code": 2,
		"code=503 direction=called kind=pull route=/code":   1,
		"code=102 direction=called kind=pull route=/code":   1,
	})
}

// A pull whose deadline passes is a 408 on both sides, and took that long.
func TestTimeout(t *testing.T) {
	atServer, atClient := newScraper(t), newScraper(t)
	server := quiet(t, tp.PeerConfig{}, atServer.plugin(prometheus.Config{}))
	tp.RegPull(server.PullRouter, "wait", func(ctx tp.PullCtx, _ *int) (int, *tp.Rerror) {
		deadline, _ := ctx.Context().Deadline()
		time.Sleep(time.Until(deadline)) // not only until the caller gives up: that is a 499
		return 1, nil
	})
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(prometheus.Config{}))
	sess, _ := tptest.Pair(t, client, server)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	cmd := sess.Pull("/wait", 1, nil, tp.WithContext(ctx))
	if rerr := cmd.Rerror(); rerr == nil || rerr.Code != tp.CodeTimeout {
		t.Fatalf("got %v", rerr)
	}
	atClient.await("tp_exchanges_total", values{"code=408 direction=called kind=pull route=/wait": 1})
	atServer.await("tp_exchanges_total", values{"code=408 direction=handled kind=pull route=/wait": 1})
	for _, m := range atClient.scrape()["tp_exchange_duration_seconds"].GetMetric() {
		if sum := m.GetHistogram().GetSampleSum(); sum != cmd.CostTime().Seconds() {
			t.Errorf("%v s are %v", cmd.CostTime(), sum)
		}
	}
}

// The metrics of several peers of a process are told apart by a label.
func TestSeveralPeers(t *testing.T) {
	at := newScraper(t)
	labelled := func(name string) *tp.Peer {
		return quiet(t, tp.PeerConfig{}, at.plugin(prometheus.Config{ConstLabels: prom.Labels{"peer": name}}))
	}
	client := labelled("client")
	for i, name := range []string{"a", "b"} {
		server := labelled(name)
		tp.RegPull(server.PullRouter, "add", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 1, nil })
		sess, _ := tptest.Pair(t, client, server)
		for range i + 1 {
			sess.Pull("/add", 1, nil)
		}
		_ = sess.Push("/nowhere", 1) // refused
	}
	at.await("tp_exchanges_total", values{
		"code=ok direction=called kind=pull peer=client route=/add":     3,
		"code=ok direction=called kind=push peer=client route=/nowhere": 2,
		"code=ok direction=handled kind=pull peer=a route=/add":         1,
		"code=ok direction=handled kind=pull peer=b route=/add":         2,
		"code=404 direction=handled kind=push peer=a route=unknown":     1,
		"code=404 direction=handled kind=push peer=b route=unknown":     1,
	})
	at.await("tp_sessions", values{"peer=client": 2, "peer=a": 1, "peer=b": 1})
	at.await("tp_refused_total", values{"peer=a reason=pushes": 1, "peer=b reason=pushes": 1})
	all := at.scrape()
	if len(all) != 10 {
		t.Errorf("promlint is to see 10 families, not %d", len(all))
	}
	for name, family := range all {
		if family.GetHelp() == "" { // promlint does not see that
			t.Errorf("%s has no help", name)
		}
	}
	if problems, err := testutil.GatherAndLint(at.reg); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// A path that is no UTF-8 is a label all the same.
func TestPathThatIsNoText(t *testing.T) {
	at := newScraper(t)
	client := quiet(t, tp.PeerConfig{}, at.plugin(prometheus.Config{}))
	sess, _ := tptest.Pair(t, client, quiet(t, tp.PeerConfig{}))
	sess.Pull("/a\xff", 1, nil)
	at.await("tp_exchanges_total", values{"code=404 direction=called kind=pull route=/a\uFFFD": 1})
}

// What Peer.Stats says is there when it is asked for.
func TestStats(t *testing.T) {
	at, atClient := newScraper(t), newScraper(t)
	plugin := at.plugin(prometheus.Config{})
	server := quiet(t, tp.PeerConfig{MaxSessionHandlers: 1}, plugin)
	release := make(chan struct{})
	tp.RegPull(server.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) { <-release; return 1, nil })
	if n := len(at.values("tp_sessions")); n != 0 {
		t.Errorf("%d peers before there is one", n)
	}
	client := quiet(t, tp.PeerConfig{}, atClient.plugin(prometheus.Config{}))
	sess, _ := tptest.Pair(t, client, server)
	at.await("tp_sessions", values{"": 1})
	atClient.await("tp_sessions", values{"": 1})
	at.await("tp_sessions_opening", values{"": 0})
	at.await("tp_write_queue_bytes", values{"": 0})
	at.await("tp_refused_total", values{})
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 1, nil, done)
	at.await("tp_handlers", values{"": 1})
	if rerr := sess.Pull("/wait", 1, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeServiceUnavailable {
		t.Errorf("got %v", rerr)
	}
	at.await("tp_refused_total", values{"reason=handlers": 1})
	at.await("tp_exchanges_total", values{"code=503 direction=handled kind=pull route=unknown": 1})
	close(release)
	<-done
	at.await("tp_handlers", values{"": 0})
	at.await("tp_sessions_total", values{"by=accepted": 1, "by=dialled": 0, "by=redialled": 0})
	atClient.await("tp_sessions_total", values{"by=accepted": 0, "by=dialled": 1, "by=redialled": 0})
	stats := server.Stats()
	at.await("tp_packets_total", values{"direction=read": float64(stats.Traffic.PacketsIn), "direction=written": float64(stats.Traffic.PacketsOut)})
	at.await("tp_bytes_total", values{"direction=read": float64(stats.Traffic.BytesIn), "direction=written": float64(stats.Traffic.BytesOut)})
	if stats.Traffic.PacketsIn < 2 || stats.Traffic.BytesOut == 0 {
		t.Errorf("traffic %+v", stats.Traffic)
	}
	_ = sess.Close()
	at.await("tp_sessions", values{"": 0})
	plugin.Unregister()
	if all := at.scrape(); len(all) != 0 {
		t.Errorf("after Unregister there are %d families", len(all))
	}
}

// gate is a plugin that lets connections in when it is closed.
type gate chan struct{}

func (gate) Name() string                          { return "gate" }
func (g gate) PostAccept(tp.PreSession) *tp.Rerror { <-g; return nil }

// Connections that are not let in yet, and bytes that nobody reads, are seen.
func TestWhatWaits(t *testing.T) {
	at := newScraper(t)
	letIn := make(gate)
	server := quiet(t, tp.PeerConfig{CloseTimeout: -1}, at.plugin(prometheus.Config{}), letIn)
	conn, err := net.Dial("tcp", tptest.Serve(t, server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	at.await("tp_sessions_opening", values{"": 1})
	at.await("tp_sessions", values{"": 0})
	close(letIn)
	at.await("tp_sessions", values{"": 1})
	at.await("tp_sessions_opening", values{"": 0})

	var sess tp.Session
	server.RangeSession(func(s tp.Session) bool { sess = s; return false })
	pushed := make(chan struct{})
	go func() { // until nothing more fits, and the connection is closed
		defer close(pushed)
		for body := make([]byte, 256<<10); sess.Push("/news", body) == nil; {
		}
	}()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		before := server.Stats().QueuedBytes
		got := at.values("tp_write_queue_bytes")[""]
		if before > 0 && got == float64(before) && before == server.Stats().QueuedBytes {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes that wait are %v", before, got)
		}
	}
	_ = conn.Close()
	<-pushed
}

// A pull whose connection is lost is an error of this side.
func TestLostPulls(t *testing.T) {
	at := newScraper(t)
	server := quiet(t, tp.PeerConfig{CloseTimeout: -1})
	release, running := make(chan struct{}), make(chan struct{})
	tp.RegPull(server.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		close(running)
		<-release
		return 1, nil
	})
	client := quiet(t, tp.PeerConfig{}, at.plugin(prometheus.Config{}))
	sess, atServer := tptest.Pair(t, client, server)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 1, nil, done)
	<-running
	_ = atServer.Close()
	<-done
	close(release)
	at.await("tp_exchanges_total", values{"code=102 direction=called kind=pull route=/wait": 1})
}

func TestConfig(t *testing.T) {
	s := newScraper(t)
	s.plugin(prometheus.Config{ConstLabels: prom.Labels{"peer": "a"}})
	s.plugin(prometheus.Config{ConstLabels: prom.Labels{"peer": "b"}})
	for text, cfg := range map[string]prometheus.Config{
		"Buckets = [1 1]":   {Buckets: []float64{1, 1}},
		"Buckets = [1 NaN]": {Buckets: []float64{1, math.NaN()}},
		"NativeFactor = 1:": {NativeFactor: 1},
		"NativeFactor = -":  {NativeFactor: -1.1},
		"NativeFactor = N":  {NativeFactor: math.NaN()},
		"needs its Config":  {ConstLabels: prom.Labels{"peer": "a"}},
		"label of buckets":  {ConstLabels: prom.Labels{"le": "a"}},
		"duplicate label":   {ConstLabels: prom.Labels{"route": "a"}},
		"not a valid":       {Namespace: "no name\xff"},
	} {
		cfg.Registerer = s.reg
		if _, err := prometheus.New(cfg); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s.plugin(prometheus.Config{Buckets: []float64{1, 2}, ConstLabels: prom.Labels{"peer": "c"}})
}
