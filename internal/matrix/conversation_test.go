package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// patience is how long a step may take at most.
const patience = 30 * time.Second

// The steps of a conversation, in their order.
const (
	stepPull       = "pull"
	stepPush       = "push"
	stepBack       = "pulled back"
	stepError      = "error"
	stepLarge      = "1 MiB"
	stepConcurrent = "1,000 at once"
	stepCancel     = "cancel"
	stepClose      = "close"
)

var steps = []string{stepPull, stepPush, stepBack, stepError, stepLarge, stepConcurrent, stepCancel, stepClose}

// setting is a combination.
type setting struct {
	transport transportCase
	proto     protoCase
	codec     codecCase
	filter    filterCase
}

func (s setting) String() string {
	return fmt.Sprintf("%s, %s, %s, %s", s.transport.name, s.proto.name, s.codec.name, s.filter.name)
}

// conversation is one session, and both its ends.
type conversation struct {
	setting
	bound    time.Duration // of each pull; 0 is none
	srv, cli *tp.Peer
	sess     tp.Session
	pushed   chan string   // what the server was pushed
	back     chan string   // what the client was pushed
	waiting  chan struct{} // a handler waits until its context ends, or for release
	ended    chan error    // the context of the one that waits for that has ended
	release  chan struct{}
}

func newConversation(s setting) *conversation {
	return &conversation{
		setting: s,
		pushed:  make(chan string, 1), back: make(chan string, 1),
		waiting: make(chan struct{}, 1), ended: make(chan error, 1), release: make(chan struct{}),
	}
}

// hold holds the conversation and returns what became of its steps: "" is well. What
// fails is an error of t.
func (s setting) hold(t testing.TB) map[string]string {
	t.Helper()
	c := newConversation(s)
	c.bound = patience
	c.open(t)
	results := make(map[string]string)
	for i, run := range []func() error{c.pull, c.push, c.pulledBack, c.fail, c.large, c.concurrent, c.cancel, c.close} {
		c.step(t, results, steps[i], run)
	}
	return results
}

func (c *conversation) step(t testing.TB, results map[string]string, name string, run func() error) {
	t.Helper()
	if why := c.proto.without[name]; why != "" {
		results[name] = why
		return
	}
	if err := run(); err != nil {
		results[name] = "FAILED"
		t.Errorf("%v: %s: %v", c.setting, name, err)
	}
}

// open makes the peers and the session.
func (c *conversation) open(t testing.TB) {
	t.Helper()
	logger, err := tp.NewLogger(os.Stderr, "ERROR")
	if err != nil {
		t.Fatal(err)
	}
	config := tp.PeerConfig{ListenAddrs: []string{c.transport.listen(t)}, DefaultPullTimeout: c.bound, Logger: logger}
	c.srv, c.cli = tp.NewPeer(&config), tp.NewPeer(&tp.PeerConfig{DefaultPullTimeout: c.bound, Logger: logger})
	if c.transport.secure {
		c.srv.SetTLSConfig(serverTLS(t))
		c.cli.SetTLSConfig(clientTLS(t))
	}
	c.codec.register(c)
	listening := make(chan error, 1)
	go func() { listening <- c.srv.Listen(c.proto.protoFuncs...) }()
	t.Cleanup(func() {
		for _, p := range []*tp.Peer{c.cli, c.srv} {
			if err := p.Close(); err != nil {
				t.Errorf("%v: %v", c.setting, err)
			}
		}
		if err := <-listening; !errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("%v: %v", c.setting, err)
		}
	})
	for end := time.Now().Add(patience); len(c.srv.Addrs()) == 0; time.Sleep(time.Millisecond) {
		if len(listening) > 0 || time.Now().After(end) {
			t.Fatalf("%v: it does not listen", c.setting)
		}
	}
	var rerr *tp.Rerror
	c.sess, rerr = c.cli.Dial(c.transport.dial(config.ListenAddrs[0], c.srv.Addrs()[0]), c.proto.protoFuncs...)
	if rerr != nil {
		t.Fatalf("%v: %v", c.setting, rerr)
	}
}

// as are the settings of each packet of the conversation.
func (c *conversation) as() []socket.PacketSetting {
	settings := []socket.PacketSetting{tp.WithBodyCodec(c.codec.id)}
	if c.filter.id != 0 {
		settings = append(settings, tp.WithXferPipe(c.filter.id))
	}
	return settings
}

// echo pulls, and compares what comes back.
func (c *conversation) echo(text string) error {
	reply := c.codec.empty()
	if rerr := c.sess.Pull("/echo", c.codec.value(text), reply, c.as()...).Rerror(); rerr != nil {
		return rerr.ToError()
	}
	if got := c.codec.text(reply); got != text {
		return fmt.Errorf("%d bytes came back for %d, or others", len(got), len(text))
	}
	return nil
}

func (c *conversation) pull() error { return c.echo("a pull") }

func (c *conversation) large() error { return c.echo(strings.Repeat("0123456789abcdef", 1<<16)) }

func (c *conversation) push() error {
	if rerr := c.sess.Push("/note", c.codec.value("a push"), c.as()...); rerr != nil {
		return rerr.ToError()
	}
	return expect(c.pushed, "a push")
}

// pulledBack pulls a handler that pulls and pushes to this side.
func (c *conversation) pulledBack() error {
	reply := c.codec.empty()
	if rerr := c.sess.Pull("/back", c.codec.value("there"), reply, c.as()...).Rerror(); rerr != nil {
		return rerr.ToError()
	}
	if got := c.codec.text(reply); got != "there and back" {
		return fmt.Errorf("got %q", got)
	}
	return expect(c.back, "there")
}

func (c *conversation) fail() error {
	rerr := c.sess.Pull("/fail", c.codec.value("x"), c.codec.empty(), c.as()...).Rerror()
	if rerr == nil || rerr.Code != 1234 || rerr.Message != "it fails" || rerr.Detail != "as it should" {
		return fmt.Errorf("got %v", rerr)
	}
	rerr = c.sess.Pull("/nowhere", c.codec.value("x"), c.codec.empty(), c.as()...).Rerror()
	if rerr == nil || rerr.Code != tp.CodeNotFound {
		return fmt.Errorf("got %v", rerr)
	}
	return nil
}

// callers returns how many pull at once. With the race detector sync.Pool forgets a
// quarter of what it is given, on purpose, so most of 1,000 would only wait for the
// compressors, of a megabyte each, to be made anew.
func (s setting) callers() int {
	if raceEnabled && s.filter.id != 0 {
		return 100
	}
	return 1000
}

func (c *conversation) concurrent() error {
	errs := make(chan error, c.callers())
	var callers sync.WaitGroup
	for i := range cap(errs) {
		callers.Go(func() { errs <- c.echo(fmt.Sprint("caller ", i)) })
	}
	callers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// cancel gives up a pull, which the handler is told.
func (c *conversation) cancel() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan *tp.PullCmd, 1)
	c.sess.GoPull("/wait", c.codec.value("x"), nil, done, append(c.as(), tp.WithContext(ctx))...)
	if err := expect(c.waiting, struct{}{}); err != nil {
		return err
	}
	cancel()
	if rerr := (<-done).Rerror(); rerr == nil || rerr.Code != tp.CodeCanceled {
		return fmt.Errorf("got %v", rerr)
	}
	return expect(c.ended, context.Canceled)
}

// close closes the session while a pull is under way, which is answered.
func (c *conversation) close() error {
	done := make(chan *tp.PullCmd, 1)
	c.sess.GoPull("/hold", c.codec.value("x"), nil, done, c.as()...)
	if err := expect(c.waiting, struct{}{}); err != nil {
		return err
	}
	if err := c.sess.Close(); err != nil {
		return err
	}
	close(c.release)
	select {
	case cmd := <-done:
		if rerr := cmd.Rerror(); rerr != nil {
			return rerr.ToError()
		}
	case <-time.After(patience):
		return errors.New("the pull under way does not end")
	}
	select {
	case <-c.sess.CloseNotify():
	case <-time.After(patience):
		return errors.New("it does not end")
	}
	for end := time.Now().Add(patience); c.srv.CountSession() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the other side does not end")
		}
	}
	return nil
}

// expect receives want.
func expect[T comparable](ch <-chan T, want T) error {
	select {
	case got := <-ch:
		if got != want {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	case <-time.After(patience):
		return errors.New("nothing came")
	}
}
