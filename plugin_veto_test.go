package tp_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// vetoCase is a client and a server, of whom one has a plugin that refuses
// the first call of one hook.
type vetoCase struct {
	t    *testing.T
	hook string
	code int32 // of the refusal

	fired       atomic.Int32
	next        atomic.Int32 // calls of the same hook of the plugin after it
	handled     atomic.Int32
	srv, cli    *tp.Peer
	srvLog      logBook
	cliLog      logBook
	addr        string
	refuse      func() *tp.Rerror
	sess        tp.Session
	handledPush chan struct{}
}

func newVetoCase(t *testing.T, hook, side string, refuse func() *tp.Rerror) *vetoCase {
	c := &vetoCase{t: t, hook: hook, refuse: refuse, handledPush: make(chan struct{}, 8)}
	guilty := oneHook("guilty", hook, func(interface{}) *tp.Rerror {
		if c.fired.Add(1) == 1 {
			return c.refuse()
		}
		return nil
	})
	after := oneHook("after", hook, func(interface{}) *tp.Rerror { c.next.Add(1); return nil })
	var ofSrv, ofCli []tp.Plugin
	if side == "server" {
		ofSrv = []tp.Plugin{guilty, after}
	} else {
		ofCli = []tp.Plugin{guilty, after}
	}
	c.srv = newPeer(t, tp.PeerConfig{Logger: &c.srvLog}, ofSrv...)
	c.cli = newPeer(t, tp.PeerConfig{Logger: &c.cliLog}, ofCli...)
	return c
}

// regPull registers the handler, which PostReg may refuse.
func (c *vetoCase) regPull() {
	tp.RegPull(c.srv.PullRouter, "pull", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		c.handled.Add(1)
		return 5, nil
	})
}

func (c *vetoCase) start() {
	c.regPull()
	tp.RegPush(c.srv.PushRouter, "push", func(tp.PushCtx, *int) {
		c.handled.Add(1)
		c.handledPush <- struct{}{}
	})
	c.addr = serve(c.t, c.srv)
}

func (c *vetoCase) dial() {
	c.start()
	c.sess = dial(c.t, c.cli, c.addr)
}

func (c *vetoCase) pull() *tp.Rerror {
	got, rerr := tp.Pull[int](c.sess, "/pull", 1)
	if rerr == nil && got != 5 {
		c.t.Errorf("the reply is %d", got)
	}
	return rerr
}

// wantRefusal checks what the refusal has become.
func (c *vetoCase) wantRefusal(rerr *tp.Rerror) {
	c.t.Helper()
	if rerr == nil || rerr.Code != c.code {
		c.t.Errorf("got %v, want code %d", rerr, c.code)
	}
	if rerr != nil && strings.Contains(rerr.String(), "secret") {
		c.t.Errorf("the text of a panic goes to the caller: %v", rerr)
	}
}

// wantNotRefused checks what a refusal must not touch.
func (c *vetoCase) wantNotRefused(rerr *tp.Rerror) {
	c.t.Helper()
	if rerr != nil {
		c.t.Errorf("got %v, want it only logged", rerr)
	}
}

func (c *vetoCase) wantHandled(n int32) {
	c.t.Helper()
	if got := c.handled.Load(); got != n {
		c.t.Errorf("%d exchanges were handled, want %d", got, n)
	}
}

// wantLog waits for a line of the log with the code and the texts.
func (c *vetoCase) wantLog(book *logBook, texts ...string) {
	c.t.Helper()
	texts = append(texts, fmt.Sprintf(`"code":%d`, c.code))
	eventually(c.t, fmt.Sprintf("a line of the log with %q; it is:\n%s", texts, book), func() bool {
		for _, line := range strings.Split(book.String(), "\n") {
			all := true
			for _, text := range texts {
				all = all && strings.Contains(line, text)
			}
			if all {
				return true
			}
		}
		return false
	})
}

// wantAlive checks that the session and the process go on: the hook has
// refused once.
func (c *vetoCase) wantAlive() {
	c.t.Helper()
	c.wantNext()
	handled := c.handled.Load()
	c.wantNotRefused(c.pull())
	noRerror(c.t, c.sess.Push("/push", 1))
	receive(c.t, c.handledPush)
	c.wantHandled(handled + 2)
}

func (c *vetoCase) wantClosed() {
	c.t.Helper()
	receive(c.t, c.sess.CloseNotify())
	wantCode(c.t, c.pull(), tp.CodeConnClosed, "")
	c.wantHandled(0)
	c.wantNext()
}

// wantNext checks that the plugin after the one that refused was not called; but of
// what is over anyway, it was.
func (c *vetoCase) wantNext() {
	c.t.Helper()
	want := int32(0)
	switch c.hook {
	case "PreShutdown", "PostExchange", "PostDisconnect":
		want = 1
	}
	if next := c.next.Load(); next != want {
		c.t.Errorf("the plugin after the one that refused was called %d times, want %d", next, want)
	}
}

// vetoes says for each hook what its refusal does.
var vetoes = []struct {
	hook, side string
	run        func(c *vetoCase)
}{
	{"PostReg", "server", func(c *vetoCase) {
		wantPanic(c.t, c.regPull, "refuses handler /pull", fmt.Sprintf(`"code":%d`, c.code))
		if n := len(c.srv.PullRouter.Handlers()); n != 0 {
			c.t.Errorf("%d handlers are registered", n)
		}
		c.dial()
		noRerror(c.t, c.pull())
	}},
	{"PostListen", "server", func(c *vetoCase) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.t.Fatal(err)
		}
		c.wantRefusal(tp.ToRerror(c.srv.ServeListener(lis)))
		c.wantLog(&c.srvLog, "WARN", "PostListen", lis.Addr().String())
		if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
			c.t.Errorf("the listener is open: %v", err)
		}
		c.dial()
		noRerror(c.t, c.pull())
	}},
	{"PreShutdown", "server", func(c *vetoCase) {
		c.dial()
		noRerror(c.t, c.pull())
		if err := c.srv.Close(); err != nil {
			c.t.Errorf("Close: %v", err)
		}
		c.wantLog(&c.srvLog, "WARN", "PreShutdown")
		if n := c.fired.Load(); n != 1 {
			c.t.Errorf("PreShutdown ran %d times", n)
		}
		c.wantNext()
	}},
	{"PostExchange", "server", func(c *vetoCase) {
		c.dial()
		c.wantNotRefused(c.pull())
		c.wantLog(&c.srvLog, "WARN", "PostExchange", `"/pull"`)
		c.wantAlive()
	}},
	{"PostExchange", "client", func(c *vetoCase) {
		c.dial()
		c.wantNotRefused(c.pull())
		c.wantLog(&c.cliLog, "WARN", "PostExchange", `"/pull"`)
		c.wantAlive()
	}},
	{"PostDial", "client", func(c *vetoCase) {
		c.start()
		sess, rerr := c.cli.Dial(c.addr)
		c.wantRefusal(rerr)
		if sess != nil || c.cli.CountSession() != 0 {
			c.t.Error("the refused session is there")
		}
		c.sess = dial(c.t, c.cli, c.addr)
		noRerror(c.t, c.pull())
	}},
	{"PostAccept", "server", func(c *vetoCase) {
		c.dial()
		c.wantClosed()
		c.wantLog(&c.srvLog, "WARN", "not accepted")
		c.sess = dial(c.t, c.cli, c.addr)
		noRerror(c.t, c.pull())
	}},
	{"PreWritePull", "client", func(c *vetoCase) {
		c.dial()
		c.wantRefusal(c.pull())
		c.wantAlive()
		c.wantHandled(2) // the refused one was not sent
	}},
	{"PostWritePull", "client", func(c *vetoCase) {
		c.dial()
		c.wantNotRefused(c.pull())
		c.wantLog(&c.cliLog, "WARN", "PostWritePull", `"/pull"`)
		c.wantAlive()
	}},
	{"PreWriteReply", "server", func(c *vetoCase) {
		c.dial()
		c.wantRefusal(c.pull())
		c.wantHandled(1)
		c.wantAlive()
	}},
	{"PostWriteReply", "server", func(c *vetoCase) {
		c.dial()
		c.wantNotRefused(c.pull())
		c.wantLog(&c.srvLog, "WARN", "PostWriteReply", `"/pull"`)
		c.wantAlive()
	}},
	{"PreWritePush", "client", func(c *vetoCase) {
		c.dial()
		c.wantRefusal(c.sess.Push("/push", 1))
		c.wantAlive()
		c.wantHandled(2)
	}},
	{"PostWritePush", "client", func(c *vetoCase) {
		c.dial()
		c.wantNotRefused(c.sess.Push("/push", 1))
		c.wantLog(&c.cliLog, "WARN", "PostWritePush", `"/push"`)
		receive(c.t, c.handledPush)
		c.wantAlive()
	}},
	{"PreReadHeader", "server", func(c *vetoCase) {
		c.dial()
		c.wantClosed()
		c.wantLog(&c.srvLog, "WARN", "closed: vetoed before a packet")
	}},
	{"PreReadHeader", "client", func(c *vetoCase) {
		c.dial()
		c.wantClosed()
		c.wantLog(&c.cliLog, "WARN", "closed: vetoed before a packet")
	}},
	{"PostReadPullHeader", "server", pullRefused},
	{"PreReadPullBody", "server", pullRefused},
	{"PostReadPullBody", "server", pullRefused},
	{"PostReadPushHeader", "server", pushDropped},
	{"PreReadPushBody", "server", pushDropped},
	{"PostReadPushBody", "server", pushDropped},
	{"PostReadReplyHeader", "client", replyRefused},
	{"PreReadReplyBody", "client", replyRefused},
	{"PostReadReplyBody", "client", replyRefused},
	{"PostDisconnect", "server", func(c *vetoCase) {
		c.dial()
		noRerror(c.t, c.pull())
		accepted := only(c.t, c.srv)
		_ = c.sess.Close()
		receive(c.t, accepted.CloseNotify())
		c.wantLog(&c.srvLog, "WARN", "PostDisconnect")
		c.wantNext()
	}},
	{"PostDisconnect", "client", func(c *vetoCase) {
		c.dial()
		noRerror(c.t, c.pull())
		_ = c.sess.Close()
		receive(c.t, c.sess.CloseNotify())
		c.wantLog(&c.cliLog, "WARN", "PostDisconnect")
		c.wantNext()
	}},
}

func pullRefused(c *vetoCase) {
	c.dial()
	c.wantRefusal(c.pull())
	c.wantHandled(0)
	c.wantAlive()
}

func pushDropped(c *vetoCase) {
	c.dial()
	c.wantNotRefused(c.sess.Push("/push", 1)) // nobody tells a pusher
	c.wantLog(&c.srvLog, "WARN", `push "/push" dropped`)
	c.wantAlive()
	c.wantHandled(2)
}

func replyRefused(c *vetoCase) {
	c.dial()
	c.wantRefusal(c.pull())
	c.wantHandled(1)
	c.wantAlive()
}

func TestVeto(t *testing.T) {
	t.Parallel()
	for _, test := range vetoes {
		t.Run(test.hook+"/"+test.side, func(t *testing.T) {
			t.Parallel()
			c := newVetoCase(t, test.hook, test.side, func() *tp.Rerror { return tp.NewRerror(1234, "refused") })
			c.code = 1234
			test.run(c)
		})
	}
}

// A panic in a hook is a 500 that refuses like any other, and the process
// lives.
func TestPanicInHook(t *testing.T) {
	t.Parallel()
	for _, test := range vetoes {
		t.Run(test.hook+"/"+test.side, func(t *testing.T) {
			t.Parallel()
			c := newVetoCase(t, test.hook, test.side, func() *tp.Rerror { panic("secret") })
			c.code = tp.CodeInternalServerError
			test.run(c)
			book := &c.srvLog
			if test.side == "client" {
				book = &c.cliLog
			}
			for _, want := range []string{"ERROR plugin guilty: " + test.hook + " panicked: secret\n", "plugin_veto_test.go"} {
				if !strings.Contains(book.String(), want) {
					t.Errorf("the log has no %q, so nobody can find the fault:\n%s", want, book)
				}
			}
		})
	}
}

// The reply to a pull that fails in a hook before the handler is the plugin's
// to see and to replace, as every reply.
func TestPreWriteReplySeesErrors(t *testing.T) {
	t.Parallel()
	srv := newPeer(t, tp.PeerConfig{}, oneHook("p", "PreWriteReply", func(ctx interface{}) *tp.Rerror {
		rerr := tp.NewRerrorFromMeta(ctx.(tp.WriteCtx).Output().Meta())
		if rerr == nil {
			return nil
		}
		return tp.NewRerror(rerr.Code+2000, "translated")
	}))
	tp.RegPull(srv.PullRouter, "fails", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 3, tp.NewRerror(77, "no") })
	tp.RegPull(srv.PullRouter, "panics", func(tp.PullCtx, *int) (int, *tp.Rerror) { panic("secret") })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for uri, code := range map[string]int32{"/fails": 2077, "/panics": 2500, "/nowhere": 2404} {
		_, rerr := tp.Pull[int](sess, uri, 1)
		wantCode(t, rerr, code, "translated")
	}
}
