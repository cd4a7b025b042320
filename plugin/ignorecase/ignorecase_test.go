package ignorecase_test

import (
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/ignorecase"
	"github.com/henrylee2cn/teleport/tptest"
)

func quietPeer(plugins ...tp.Plugin) *tp.Peer {
	quiet, _ := tp.NewLogger(nil, "OFF")
	return tp.NewPeer(&tp.PeerConfig{Logger: quiet}, plugins...)
}

// path answers which handler it is, and which path and query it was given.
func path(name string) func(tp.PullCtx, *[]byte) (string, *tp.Rerror) {
	return func(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) {
		return name + " " + ctx.Path() + " " + ctx.RawQuery(), nil
	}
}

func unknown(name string) func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
	return func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		return name + " " + ctx.Path() + " " + ctx.RawQuery(), nil
	}
}

func TestPulls(t *testing.T) {
	server := quietPeer(ignorecase.New())
	tp.RegPull(server.PullRouter, "home/getUser", path("user"))
	tp.RegPull(server.PullRouter.Group("Été"), "a b", path("summer"))
	server.PullRouter.Group("Files").SetUnknown(unknown("files"))
	server.PullRouter.Group("Files/Deep").SetUnknown(unknown("deep"))
	sess, _ := tptest.Pair(t, quietPeer(), server)
	for uri, want := range map[string]string{
		"/home/getUser":         "user /home/getUser ",
		"/HOME/GETuser?Q=%41&B": "user /home/getUser Q=%41&B",
		"/home/get%55ser?x":     "user /home/getUser x",
		"/HOME/get%55SER?x":     "user /home/getUser x",
		"/éTé/A%20B?x":          "summer /Été/a b x",
		"/files":                "files /Files ",
		"/FILES/A/B%20?C=d":     "files /Files/A/B  C=d",
		"/FiLeS/dEEp/X":         "deep /Files/Deep/X ",
		"/Files/Deeper":         "files /Files/Deeper ",
	} {
		if got, rerr := tp.Pull[string](sess, uri, nil); rerr != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", uri, got, rerr, want)
		}
	}
	for uri, code := range map[string]int32{"/Home/get": tp.CodeNotFound, "/%zz": tp.CodeBadPacket, "/FILESX": tp.CodeNotFound} {
		cmd := sess.Pull(uri, nil, nil)
		if rerr := cmd.Rerror(); rerr == nil || rerr.Code != code {
			t.Errorf("%s: got %v, want code %d", uri, rerr, code)
		}
	}
	if cmd := sess.Pull("/HOME/getuser?Q", nil, nil); cmd.Input().Uri() != "/HOME/getuser?Q" {
		t.Errorf("the reply is to %q", cmd.Input().Uri())
	}
}

// Pulls and pushes have paths of their own.
func TestPushes(t *testing.T) {
	server := quietPeer(ignorecase.New())
	got := make(chan string, 1)
	tp.RegPush(server.PushRouter, "Note", func(ctx tp.PushCtx, _ *[]byte) { got <- ctx.Uri() })
	tp.RegPull(server.PullRouter, "note", path("note"))
	sess, _ := tptest.Pair(t, quietPeer(), server)
	if rerr := sess.Push("/NOTE?Q=1", nil); rerr != nil {
		t.Fatal(rerr)
	}
	select {
	case uri := <-got:
		if uri != "/Note?Q=1" {
			t.Errorf("got %q", uri)
		}
	case <-time.After(20 * time.Second):
		t.Error("the push did not arrive")
	}
	if reply, rerr := tp.Pull[string](sess, "/NOTE", nil); rerr != nil || reply != "note /note " {
		t.Errorf("got %q, %v", reply, rerr)
	}
}

func TestTwoInOneCase(t *testing.T) {
	server := quietPeer(ignorecase.New())
	defer server.Close()
	tp.RegPull(server.PullRouter, "note", path("note"))
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "/note and /Note differ only in case") {
			t.Errorf("got %q", r)
		}
	}()
	tp.RegPull(server.PullRouter, "Note", path("note"))
}

// Handlers may be registered while others serve.
func TestRegisterWhileServing(t *testing.T) {
	server := quietPeer(ignorecase.New())
	sess, _ := tptest.Pair(t, quietPeer(), server)
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		for c := 'a'; c <= 'z'; c++ {
			tp.RegPull(server.PullRouter, "x"+string(c), path("x"))
		}
	}()
	for range 100 {
		sess.Pull("/XZ", nil, nil)
	}
	<-registered
	if got, rerr := tp.Pull[string](sess, "/XZ", nil); rerr != nil || got != "x /xz " {
		t.Errorf("got %q, %v", got, rerr)
	}
}
