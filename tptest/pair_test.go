package tptest_test

import (
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest"
)

func TestPair(t *testing.T) {
	var atClient, atServer tp.Session
	t.Run("while it lasts", func(t *testing.T) {
		dialled, accepted := tptest.NewRecorder("dialled"), tptest.NewRecorder("accepted")
		client, server := quiet(dialled), quiet(accepted)
		atClient, atServer = tptest.Pair(t, client, server)
		for _, p := range []*tp.Peer{client, server} { // after it was connected
			tp.RegPull(p.PullRouter, "greet", greet)
		}
		for _, sess := range []tp.Session{atClient, atServer} {
			if got, rerr := tp.Pull[string](sess, "/greet", "Ann"); rerr != nil || got != "Hello, Ann!" {
				t.Errorf("got %q, %v", got, rerr)
			}
		}
		if atClient.Peer() != client || atServer.Peer() != server {
			t.Error("the sessions are of other peers")
		}
		if d, a := dialled.Events()[0].Hook, accepted.Events()[1].Hook; d != "PostDial" || a != "PostAccept" {
			t.Errorf("the first hooks of the sessions were %s and %s", d, a)
		}
	})
	if atClient.Health() || atServer.Health() {
		t.Error("a session is left at the test's end")
	}
}

// The sessions of other clients are not taken for that of the pair.
func TestPairsOfOneServer(t *testing.T) {
	server := quiet()
	for range 5 {
		client := quiet()
		atClient, atServer := tptest.Pair(t, client, server)
		atServer.Public().Store("mark", "x")
		if n := countMarks(server); n != 1 {
			t.Fatalf("%d sessions have the mark, want one", n)
		}
		if atServer.RemoteIp() != atClient.LocalIp() {
			t.Errorf("the ends are %s and %s", atServer.RemoteIp(), atClient.LocalIp())
		}
		atServer.Public().Delete("mark")
	}
}

func countMarks(p *tp.Peer) (n int) {
	p.RangeSession(func(sess tp.Session) bool {
		if _, ok := sess.Public().Load("mark"); ok {
			n++
		}
		return true
	})
	return n
}

// refusal is a plugin that lets nobody in.
type refusal struct{}

func (refusal) Name() string { return "refusal" }
func (refusal) PostAccept(tp.PreSession) *tp.Rerror {
	return tp.NewRerror(tp.CodeUnauthorized, "not you")
}

// wantFatal runs fn with a testing.TB, which it must end.
func wantFatal(t *testing.T, text string, fn func(testing.TB)) {
	t.Helper()
	failing := new(exampleT)
	defer failing.end()
	defer func() {
		t.Helper()
		if recover() != failing || len(failing.failures) != 1 || !strings.Contains(failing.failures[0], text) {
			t.Errorf("the test failed with %q, want one with %q", failing.failures, text)
		}
	}()
	fn(failing)
}

func TestPairFails(t *testing.T) {
	wantFatal(t, "did not accept", func(tb testing.TB) { tptest.Pair(tb, quiet(), quiet(refusal{})) })
	closed := quiet()
	_ = closed.Close()
	wantFatal(t, "the peer is closed", func(tb testing.TB) { tptest.Pair(tb, closed, quiet()) })
}

// A handler that does not end is an error of the test that leaves it behind.
func TestPairReportsWhatIsCutOff(t *testing.T) {
	server := tp.NewPeer(&tp.PeerConfig{Logger: silence{}, CloseTimeout: 10 * time.Millisecond})
	began, release := make(chan struct{}), make(chan struct{})
	tp.RegPull(server.PullRouter, "wait", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		close(began)
		<-release
		return 0, nil
	})
	failing := new(exampleT)
	client := tp.NewPeer(&tp.PeerConfig{Logger: silence{}, CloseTimeout: 10 * time.Millisecond})
	sess, _ := tptest.Pair(failing, client, server)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", 0, nil, done)
	<-began
	failing.end()
	if !strings.Contains(strings.Join(failing.failures, "\n"), "closing a peer: tp: shutdown cut off") {
		t.Errorf("the test failed with %q", failing.failures)
	}
	close(release)
	<-done
}
