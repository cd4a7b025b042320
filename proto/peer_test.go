package proto_test

import (
	"io"
	"os"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// bound is how long a test waits for what must happen.
const bound = 20 * time.Second

type args struct {
	A int    `json:"a"`
	S string `json:"s,omitempty"`
}

// newPeer returns a peer with handlers for the tests, which logs to nowhere.
func newPeer(cfg tp.PeerConfig, plugins ...tp.Plugin) (*tp.Peer, *seen) {
	cfg.Logger, _ = tp.NewLogger(io.Discard, "OFF")
	p := tp.NewPeer(&cfg, plugins...)
	s := &seen{pushes: make(chan string, 2000), ended: make(chan error, 100), release: make(chan struct{})}
	tp.RegPull(p.PullRouter, "group/home/test", func(_ tp.PullCtx, a *args) (args, *tp.Rerror) {
		return args{A: a.A + 1, S: a.S}, nil
	})
	tp.RegPull(p.PullRouter, "echo", func(_ tp.PullCtx, a *[]byte) ([]byte, *tp.Rerror) { return *a, nil })
	tp.RegPull(p.PullRouter, "text", func(_ tp.PullCtx, a *string) (string, *tp.Rerror) { return "re:" + *a, nil })
	tp.RegPull(p.PullRouter, "fail", func(_ tp.PullCtx, a *args) (any, *tp.Rerror) {
		return nil, tp.NewRerror(int32(a.A), "it <failed>", "of course\n\"so\"")
	})
	tp.RegPull(p.PullRouter, "about", func(ctx tp.PullCtx, _ *[]byte) (string, *tp.Rerror) {
		return ctx.Path() + " " + ctx.Query().Get("q") + " " + string(ctx.GetMeta("X-Token")), nil
	})
	tp.RegPull(p.PullRouter, "meta", func(ctx tp.PullCtx, a *[2]string) (any, *tp.Rerror) {
		ctx.SetMeta(a[0], a[1])
		return "ok", nil
	})
	tp.RegPull(p.PullRouter, "wait", func(ctx tp.PullCtx, a *args) (args, *tp.Rerror) {
		s.pushes <- "waits"
		select {
		case <-ctx.Context().Done():
			s.ended <- ctx.Context().Err()
		case <-s.release:
		}
		return *a, nil
	})
	tp.RegPush(p.PushRouter, "note", func(_ tp.PushCtx, a *args) { s.pushes <- a.S })
	return p, s
}

// seen is what the handlers saw.
type seen struct {
	pushes  chan string
	ended   chan error // contexts
	release chan struct{}
}

func (s *seen) push(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-s.pushes:
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(bound):
		t.Fatalf("%q did not come", want)
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
