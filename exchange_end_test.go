package tp_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// waits registers "/wait" on p: it reports when it runs, and with what its
// context ends.
func waits(p *tp.Peer) (running <-chan tp.PullCtx, ended <-chan error) {
	started, over := make(chan tp.PullCtx, 100), make(chan error, 100)
	tp.RegPull(p.PullRouter, "wait", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		started <- ctx
		<-ctx.Context().Done()
		over <- ctx.Context().Err()
		return []byte("nobody wants this"), nil
	})
	return started, over
}

// A caller that gives up ends the handler's context on the other side.
func TestCancelReachesTheHandler(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	running, ended := waits(srv)
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror()) // now each knows the other
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
	other := make(chan *tp.PullCmd, 1)
	rest, cancelRest := context.WithCancel(context.Background())
	sess.GoPull("/wait", nil, nil, other, tp.WithContext(rest))
	of := receive(t, running)
	receive(t, running)
	if _, bounded := of.Context().Deadline(); bounded {
		t.Error("a deadline that nobody set")
	}
	cancel()
	wantCode(t, receive(t, done).Rerror(), tp.CodeCanceled, "")
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("the handler's context ended with %v", err)
	}
	select {
	case <-ended:
		t.Error("the other pull was cancelled too")
	case <-time.After(20 * time.Millisecond):
	}
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	cancelRest()
	receive(t, ended)
	receive(t, other)
}

// As many callers as may have a handler running give up at once, and each handler
// learns of it, also if it asks for its context only afterwards.
func TestManyCancelsReachTheirHandlers(t *testing.T) {
	const many = 4000 // MaxSessionHandlers is 4096
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	var running, ended atomic.Int32
	ask := make(chan struct{})
	tp.RegPull(srv.PullRouter, "later", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		running.Add(1)
		<-ask
		<-ctx.Context().Done()
		ended.Add(1)
		return nil, nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan *tp.PullCmd, many)
	for range many {
		sess.GoPull("/later", nil, nil, done, tp.WithContext(ctx))
	}
	eventually(t, "all run", func() bool { return running.Load() == many })
	cancel()
	for range many {
		wantCode(t, receive(t, done).Rerror(), tp.CodeCanceled, "")
	}
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror()) // behind the CANCELs
	close(ask)
	eventually(t, "all are told", func() bool { return ended.Load() == many })
}

// The handler's context has the caller's deadline, also that of a caller which
// sends no CANCEL.
func TestDeadlineReachesTheHandler(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	running, ended := waits(srv)
	addr := serve(t, srv)
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	go func() {
		deadline, bounded := receive(t, running).Context().Deadline()
		if left := time.Until(deadline); !bounded || left > time.Hour || left < 59*time.Minute {
			t.Errorf("the handler has %v left, bounded %v", left, bounded)
		}
		cancel()
	}()
	wantCode(t, sess.Pull("/wait", nil, nil, tp.WithContext(ctx)).Rerror(), tp.CodeCanceled, "")
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("ended with %v", err)
	}

	w := dialWire(t, addr)
	pull := jsonPull(1, "/wait", "")
	pull.meta = tp.MetaTimeoutKey + "=20"
	w.send(pull)
	if got := string(receive(t, running).GetMeta(tp.MetaTimeoutKey)); got != "20" {
		t.Errorf("the meta that came says %q", got)
	}
	if err := receive(t, ended); err != context.DeadlineExceeded {
		t.Errorf("ended with %v", err)
	}
	w.next()
	for _, wrong := range []string{"0", "-5", "x", "", "99999999999999999999", "1.5"} {
		pull.meta = tp.MetaTimeoutKey + "=" + wrong
		w.send(pull)
		if _, bounded := receive(t, running).Context().Deadline(); bounded {
			t.Errorf("%s=%q is a deadline", tp.MetaTimeoutKey, wrong)
		}
	}
	_ = w.Close()
	for range 6 {
		receive(t, ended)
	}
}

// What is sent with a deadline says so, and the user's own meta is not touched.
func TestTimeoutOnTheWire(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	sess, w := dialedWire(t, p)
	pull := func(setting ...socket.PacketSetting) frame {
		done := make(chan *tp.PullCmd, 1)
		sess.GoPull("/x", nil, nil, done, setting...)
		f := w.next()
		w.send(f.replyTo("", "null"))
		cmd := receive(t, done)
		noRerror(t, cmd.Rerror())
		if cmd.Output().HasMeta() && cmd.Output().Meta().Has(tp.MetaTimeoutKey) {
			t.Error("the user's packet has the timeout")
		}
		return f
	}
	if f := pull(); strings.Contains(f.meta, tp.MetaTimeoutKey) {
		t.Errorf("without a deadline the meta is %q", f.meta)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := pull(tp.WithContext(ctx), tp.WithAddMeta("a", "b"))
	text, ok := strings.CutPrefix(f.meta, "a=b&"+tp.MetaTimeoutKey+"=")
	if ms, err := strconv.Atoi(text); !ok || err != nil || ms > 60_000 || ms < 1 {
		t.Errorf("with a minute to go the meta is %q", f.meta)
	}
	noRerror(t, sess.Push("/x", nil, tp.WithContext(ctx)))
	if f := w.next(); strings.Contains(f.meta, tp.MetaTimeoutKey) {
		t.Errorf("a push says %q", f.meta)
	}
}

// A pull that nobody waits for any more when its handler has a turn is not
// executed.
func TestOverduePullsAreNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newPeer(t, tp.PeerConfig{})
		ran := make(chan string, 10)
		tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchOrdered), "work", func(ctx tp.PullCtx, args *string) (string, *tp.Rerror) {
			ran <- *args
			time.Sleep(time.Second)
			return *args, nil
		})
		sess := pipe(t, srv, newPeer(t, tp.PeerConfig{}))
		noRerror(t, sess.Pull("/work", "first", nil).Rerror())
		done := make(chan *tp.PullCmd, 3)
		sess.GoPull("/work", "second", nil, done)
		deadline, stop := context.WithTimeout(t.Context(), time.Second/2)
		defer stop()
		sess.GoPull("/work", "late", nil, done, tp.WithContext(deadline))
		given, giveUp := context.WithCancel(t.Context())
		sess.GoPull("/work", "given up", nil, done, tp.WithContext(given))
		synctest.Wait()
		giveUp()
		for range 3 {
			<-done
		}
		noRerror(t, sess.Pull("/work", "last", nil).Rerror())
		for _, want := range []string{"first", "second", "last"} {
			if got := <-ran; got != want {
				t.Errorf("%q ran, want %q", got, want)
			}
		}
	})
}

// A Context that was kept has ended when the exchange is over, also one that is
// asked for only then.
func TestContextEndsWithItsPull(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	kept := make(chan tp.PullCtx, 2)
	tp.RegPull(srv.PullRouter, "keep", func(ctx tp.PullCtx, ask *bool) (string, *tp.Rerror) {
		if *ask {
			if err := ctx.Context().Err(); err != nil {
				t.Error(err)
			}
		}
		kept <- ctx
		return "", nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for _, ask := range []bool{true, false} {
		noRerror(t, sess.Pull("/keep", ask, nil).Rerror())
		ctx := receive(t, kept).Context()
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			t.Fatalf("asked for before %v: still there", ask)
		}
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
	}
}

// A side that never announced the types above 3 never sees one, whatever the
// other side would like to tell it.
func TestNoControlTypesFor2017(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	echo(p)
	sess, w := dialedWire(t, p)
	types := make(chan byte, 100)
	go func() {
		defer close(types)
		for {
			f, err := w.read()
			if err != nil {
				return
			}
			types <- f.ptype
			if f.uri == "/answered" {
				w.send(f.replyTo("", "null"), jsonPull(9, "/echo", "1"))
			}
		}
	}()
	noRerror(t, sess.Pull("/answered", nil, nil).Rerror())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantCode(t, sess.Pull("/never", nil, nil, tp.WithContext(ctx)).Rerror(), tp.CodeTimeout, "")
	noRerror(t, sess.Push("/x", nil))
	_ = sess.Close()
	n := 0
	for ptype := range types {
		if n++; ptype < tp.TypePull || ptype > tp.TypePush {
			t.Errorf("a packet of type %d", ptype)
		}
		if n == 4 {
			_ = w.Close()
		}
	}
	if n < 4 {
		t.Errorf("%d packets came, want two pulls, a reply and a push", n)
	}
}

// A pull that is given up before the other side has said anything is cancelled when it
// has, and not if it turns out to know no CANCEL.
func TestCancelWithinTheFirstRoundTrip(t *testing.T) {
	for _, knows := range []bool{true, false} {
		sess, w := dialedWire(t, newPeer(t, tp.PeerConfig{}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *tp.PullCmd, 1)
		sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
		pull := w.next()
		cancel()
		wantCode(t, receive(t, done).Rerror(), tp.CodeCanceled, "")
		if knows {
			w.send(frame{ptype: tp.TypePing})
		} else {
			w.send(frame{ptype: tp.TypePush, uri: "/x"})
		}
		noRerror(t, sess.Push("/last", nil))
		for last, cancelled := false, !knows; !last || !cancelled; {
			f := w.next()
			last = last || f.uri == "/last"
			cancelled = cancelled || f.ptype == tp.TypeCancel && f.seq == pull.seq
			if f.ptype > tp.TypePush && !knows {
				t.Errorf("a packet of type %d", f.ptype)
			}
		}
	}
}

// Deadlines, cancels and goodbyes go over any Proto: a type is a field of a packet.
func TestControlOverAnyProto(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	running, ended := waits(srv)
	echo(srv)
	addr := serve(t, srv, newLineProto)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr, newLineProto)
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
	if deadline, bounded := receive(t, running).Context().Deadline(); !bounded || time.Until(deadline) > time.Hour {
		t.Errorf("the handler's deadline is %v, %v", deadline, bounded)
	}
	cancel()
	wantCode(t, receive(t, done).Rerror(), tp.CodeCanceled, "")
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("the handler's context ended with %v", err)
	}
	if err := srv.Close(); err != nil { // by GOAWAY
		t.Error(err)
	}
	receive(t, sess.CloseNotify())
}

// asksEarly asks for a context before there is a packet.
type asksEarly struct{}

func (asksEarly) Name() string { return "asks-early" }

func (asksEarly) PreReadHeader(ctx tp.ReadCtx) *tp.Rerror {
	ctx.Context()
	return nil
}

// The context that a PreReadHeader hook has seen is not that of the pull which came
// then: it knows neither its deadline nor its number.
func TestContextBeforeTheHeader(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{}, asksEarly{})
	running, ended := waits(srv)
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
	if _, bounded := receive(t, running).Context().Deadline(); !bounded {
		t.Error("the caller's deadline is lost")
	}
	cancel()
	receive(t, done)
	if err := receive(t, ended); err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
}
