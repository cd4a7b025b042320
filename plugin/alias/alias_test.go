package alias_test

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/alias"
	"github.com/henrylee2cn/teleport/plugin/ignorecase"
	"github.com/henrylee2cn/teleport/tptest"
)

func quietPeer(plugins ...tp.Plugin) *tp.Peer {
	quiet, _ := tp.NewLogger(nil, "OFF")
	return tp.NewPeer(&tp.PeerConfig{Logger: quiet}, plugins...)
}

// uriOf answers the URI that was routed by.
func uriOf(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) { return ctx.Uri(), nil }

func wantURI(t testing.TB, sess tp.Session, uri, want string) {
	t.Helper()
	cmd := sess.Pull(uri, nil, new(string))
	got, rerr := cmd.Result()
	if want == "" {
		if rerr == nil || rerr.Code != tp.CodeNotFound {
			t.Errorf("%s: got %v, %v, want 404", uri, got, rerr)
		}
		return
	}
	if rerr != nil || *got.(*string) != want {
		t.Errorf("%s: got %q, %v, want %q", uri, *got.(*string), rerr, want)
	}
	if cmd.Input().Uri() != uri {
		t.Errorf("%s: the reply is to %q", uri, cmd.Input().Uri())
	}
}

func TestPulls(t *testing.T) {
	aliases := alias.New(map[string]string{"/old": "/handler", "/a b": "/x%y", "/handler2": "/handler", "/older": "/old", "/case": "/HANDLER"})
	server := quietPeer(aliases, ignorecase.New())
	tp.RegPull(server.PullRouter, "handler", uriOf)
	tp.RegPull(server.PullRouter, "handler2", uriOf)
	tp.RegPull(server.PullRouter, "x%y", uriOf)
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for uri, want := range map[string]string{
		"/handler":      "/handler",
		"/old":          "/handler",
		"/old?a=%20&b":  "/handler?a=%20&b",
		"/%6Fld?a":      "/handler?a",
		"/a%20b?c":      "/x%25y?c",
		"/handler2":     "/handler",
		"/case?x":       "/handler?x", // by the plugin after it
		"/old/deeper":   "",
		"/older":        "", // not looked up again
		"/Old":          "",
		"/%zz":          "",
		"/":             "",
		"//old":         "",
		"/handler/../x": "",
	} {
		if uri == "/%zz" {
			if rerr := sess.Pull(uri, nil, nil).Rerror(); rerr == nil || rerr.Code != tp.CodeBadPacket {
				t.Errorf("%s: got %v", uri, rerr)
			}
			continue
		}
		wantURI(t, sess, uri, want)
	}
}

func TestPushes(t *testing.T) {
	server := quietPeer(alias.New(map[string]string{"/old": "/note"}))
	got := make(chan string, 1)
	tp.RegPush(server.PushRouter, "note", func(ctx tp.PushCtx, _ *[]byte) { got <- ctx.Uri() })
	sess, _ := tptest.Pair(t, quietPeer(), server)
	if rerr := sess.Push("/old?a=1", nil); rerr != nil {
		t.Fatal(rerr)
	}
	select {
	case uri := <-got:
		if uri != "/note?a=1" {
			t.Errorf("got %q", uri)
		}
	case <-time.After(20 * time.Second):
		t.Error("the push did not arrive")
	}
}

func TestChange(t *testing.T) {
	aliases := alias.New(nil)
	server := quietPeer(aliases)
	for _, name := range []string{"a", "b"} {
		tp.RegPull(server.PullRouter, name, uriOf)
	}
	sess, _ := tptest.Pair(t, quietPeer(), server)
	wantURI(t, sess, "/old", "")
	for _, to := range []string{"/a", "/b"} {
		if err := aliases.Set("/old", to); err != nil {
			t.Fatal(err)
		}
		wantURI(t, sess, "/old", to)
	}
	aliases.Delete("/nothing")
	aliases.Delete("/old")
	wantURI(t, sess, "/old", "")
	if err := aliases.Set("/gone", "/a"); err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"/old": "/a"}
	if err := aliases.Replace(given); err != nil {
		t.Fatal(err)
	}
	given["/old"] = "/b" // it was copied
	aliases.All()["/old"] = "/b"
	wantURI(t, sess, "/old", "/a")
	wantURI(t, sess, "/gone", "")

	for _, bad := range [][2]string{{"old", "/a"}, {"/old", "a"}, {"/old", "/a?b"}, {"/old#", "/a"}, {"/old/", "/a"}, {"/x/../y", "/a"}, {"", "/a"}} {
		if err := aliases.Set(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "is no path") {
			t.Errorf("%q: got %v", bad, err)
		}
		if err := aliases.Replace(map[string]string{"/new": "/a", bad[0]: bad[1]}); err == nil {
			t.Errorf("%q replaces them", bad)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: no panic", bad)
				}
			}()
			alias.New(map[string]string{bad[0]: bad[1]})
		}()
	}
	if got := aliases.All(); !maps.Equal(got, map[string]string{"/old": "/a"}) {
		t.Errorf("got %v", got)
	}
}

// Each pull finds either of the two, while others change which.
func TestChangeWhileServing(t *testing.T) {
	aliases := alias.New(map[string]string{"/old": "/a"})
	server := quietPeer(aliases)
	for _, name := range []string{"a", "b"} {
		tp.RegPull(server.PullRouter, name, uriOf)
	}
	sess, _ := tptest.Pair(t, quietPeer(), server)
	var changing sync.WaitGroup
	for _, to := range []string{"/a", "/b"} {
		changing.Go(func() {
			for range 100 {
				_ = aliases.Set("/old", to)
				_ = aliases.Set("/other"+to, to)
			}
		})
	}
	for range 200 {
		if got, rerr := tp.Pull[string](sess, "/old", nil); rerr != nil || got != "/a" && got != "/b" {
			t.Fatalf("got %q, %v", got, rerr)
		}
	}
	changing.Wait()
	if n := len(aliases.All()); n != 3 {
		t.Errorf("%d aliases: %v", n, aliases.All())
	}
}
