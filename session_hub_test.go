package tp_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// By default the id is the address; a suffix tells two apart that have the
// same, as the sessions of pipes do.
func TestDefaultIds(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, p))
	back := only(t, p)
	if back.Id() != sess.LocalIp() || sess.Id() != sess.LocalIp() {
		t.Errorf("ids %q and %q, want %q", back.Id(), sess.Id(), sess.LocalIp())
	}
	for _, want := range []string{"pipe", "pipe#2", "pipe#3"} {
		if s := servePipe(t, p); s.Id() != want {
			t.Errorf("id %q, want %q", s.Id(), want)
		} else if found, ok := p.GetSession(want); !ok || found != s {
			t.Errorf("%q is not found", want)
		}
	}
	if n := p.CountSession(); n != 4 {
		t.Errorf("CountSession %d, want 4", n)
	}
}

// servePipe returns a session of p whose other end is nobody's.
func servePipe(t testing.TB, p *tp.Peer) tp.Session {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	go func() { _, _ = io.Copy(io.Discard, far) }()
	return p.ServeConn(near)
}

// The hub removed the new session when it replaced an old one. Now the newest
// wins, and the loser closes by itself and can tell why.
func TestSetIdReplaces(t *testing.T) {
	replaced := make(chan string, 10)
	p := newPeer(t, tp.PeerConfig{}, &sessionHooks{gone: func(s tp.PostSession) {
		replaced <- fmt.Sprintf("%s %v", s.Id(), s.Replaced())
	}})
	addr := serve(t, p)
	cli := newPeer(t, tp.PeerConfig{})
	var last, newest tp.Session
	for i := range 4 {
		other := dial(t, cli, addr)
		eventually(t, "it is there", func() bool { newest, _ = p.GetSession(other.LocalIp()); return newest != nil })
		newest.SetId("")
		newest.SetId("me")
		newest.SetId("me")
		if found, ok := p.GetSession("me"); !ok || found != newest || newest.Id() != "me" {
			t.Fatalf("%d: GetSession found %v, want the newest", i, found)
		}
		if _, ok := p.GetSession(other.LocalIp()); ok {
			t.Error("it is found by its old id too")
		}
		if last != nil {
			receive(t, last.CloseNotify())
			if got := receive(t, replaced); got != "me true" {
				t.Errorf("PostDisconnect saw %q", got)
			}
			if found, ok := p.GetSession("me"); !ok || found != newest {
				t.Error("the end of the loser removed the winner")
			}
		}
		last = newest
	}
	_ = newest.Close()
	if got := receive(t, replaced); got != "me false" {
		t.Errorf("of the last, PostDisconnect saw %q", got)
	}
	if _, ok := p.GetSession("me"); ok || p.CountSession() != 0 {
		t.Error("it is still found")
	}
}

// The same in PostAccept, before the session is found at all.
func TestSetIdInPostAccept(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{}, &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		s.SetId("me")
		return nil
	}})
	first := servePipe(t, p)
	second := servePipe(t, p)
	if found, _ := p.GetSession("me"); found != second || p.CountSession() != 1 {
		t.Errorf("found %v of %d, want the second", found, p.CountSession())
	}
	receive(t, first.CloseNotify())
	if !first.(tp.PostSession).Replaced() || second.(tp.PostSession).Replaced() {
		t.Error("Replaced is wrong")
	}
}

// Two sessions take each other's id from their handlers, many times.
func TestSetIdCrosswise(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	tp.RegPull(p.PullRouter, "take", func(ctx tp.PullCtx, id *string) (string, *tp.Rerror) {
		ctx.Session().SetId(*id)
		return ctx.Session().Id(), nil
	})
	addr := serve(t, p)
	cli := newPeer(t, tp.PeerConfig{})
	for range 50 {
		a, b := dial(t, cli, addr), dial(t, cli, addr)
		noRerror(t, a.Pull("/take", "a", nil).Rerror())
		noRerror(t, b.Pull("/take", "b", nil).Rerror())
		var wg sync.WaitGroup
		for s, other := range map[tp.Session]string{a: "b", b: "a"} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_ = s.Pull("/take", other, nil) // the one that lost may be closing
			}()
		}
		wg.Wait()
		_, hasA := p.GetSession("a")
		_, hasB := p.GetSession("b")
		if !hasA && !hasB {
			t.Fatal("both ids are lost")
		}
		_, _ = a.Close(), b.Close()
		receive(t, a.CloseNotify())
		receive(t, b.CloseNotify())
	}
}

func TestRangeSession(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	for range 20 {
		servePipe(t, p)
	}
	calls := 0
	p.RangeSession(func(tp.Session) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Errorf("it went on for %d calls", calls)
	}
	p.RangeSession(func(s tp.Session) bool {
		s.SetId(s.Id() + "'")
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		return true
	})
	if n := p.CountSession(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// The sessions of pipes all have one address. Their ids differ, and those that
// become free are used again.
func TestIdsOfOneAddress(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{CloseTimeout: -1})
	serve := func() tp.Session {
		a, b := net.Pipe()
		t.Cleanup(func() { _ = b.Close() })
		return p.ServeConn(a)
	}
	var sessions []tp.Session
	for n := 1; n <= 1000; n++ {
		want := fmt.Sprintf("pipe#%d", n)
		if n == 1 {
			want = "pipe"
		}
		sess := serve()
		if sess.Id() != want {
			t.Fatalf("session %d has the id %q", n, sess.Id())
		}
		sessions = append(sessions, sess)
	}
	gone := map[string]bool{}
	for _, n := range []int{0, 3, 70, 999} {
		_ = sessions[n].Close()
		gone[sessions[n].Id()] = true
	}
	if sess := serve(); !gone[sess.Id()] {
		t.Errorf("the next has the id %q, want one that is free", sess.Id())
	}
}
