package tp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// Strings and []byte changed when the next packet arrived: 6,048 of 6,400
// echoed bodies were someone else's.
func TestBytesBelongToWhoeverGotThem(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{})
	const conns, callers, each = 8, 64, 100
	var sessions []tp.Session
	for range conns {
		sessions = append(sessions, dial(t, cli, addr))
	}
	got := make([][][]byte, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				reply, rerr := tp.Pull[[]byte](sessions[c%conns], "/echo", bodyOf(c, i))
				if rerr != nil {
					t.Errorf("caller %d, pull %d: %v", c, i, rerr)
					return
				}
				got[c] = append(got[c], reply)
			}
		}()
	}
	wg.Wait()
	for c := range got {
		for i, body := range got[c] {
			if !bytes.Equal(body, bodyOf(c, i)) {
				t.Fatalf("caller %d, pull %d: the body is now %.40q", c, i, body)
			}
		}
	}
}

// The same for what a handler keeps, whatever it is decoded from.
func TestArgsBelongToTheHandler(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	type args struct {
		Text string
		Raw  []byte
		Any  interface{}
	}
	const pulls = 300
	texts, structs := make(chan string, pulls), make(chan args, pulls)
	tp.RegPull(srv.PullRouter, "text", func(ctx tp.PullCtx, s *string) (string, *tp.Rerror) {
		texts <- *s
		return *s, nil
	})
	tp.RegPull(srv.PullRouter, "struct", func(ctx tp.PullCtx, a *args) (string, *tp.Rerror) {
		structs <- *a
		return "", nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	replies := make(map[string]string)
	for i := range pulls {
		text := string(bodyOf(i, 3))
		reply, rerr := tp.Pull[string](sess, "/text", text, tp.WithBodyCodec('s'))
		noRerror(t, rerr)
		replies[text] = reply
		noRerror(t, sess.Pull("/struct", args{text, []byte(text), text}, nil).Rerror())
	}
	for i := range pulls {
		want := string(bodyOf(i, 3))
		if got := <-texts; got != want || replies[want] != want {
			t.Fatalf("string %d is now %.40q, its reply %.40q", i, got, replies[want])
		}
		if got := <-structs; got.Text != want || string(got.Raw) != want || got.Any != want {
			t.Fatalf("struct %d is now %.40q", i, got)
		}
	}
}

func bodyOf(caller, i int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%d/%d,", caller, i)), 20+i)
}

// An unknown URI, nil args or a nil reply hung the caller.
func TestPullWithNothingReturns(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	type nothing struct{}
	tp.RegPull(srv.PullRouter, "nil", func(tp.PullCtx, *nothing) (*nothing, *tp.Rerror) { return nil, nil })
	tp.RegPull(srv.PullRouter, "any", func(tp.PullCtx, *interface{}) (interface{}, *tp.Rerror) { return nil, nil })
	tp.RegPull(srv.PullRouter, "err", func(tp.PullCtx, *nothing) (*nothing, *tp.Rerror) {
		return nil, tp.NewRerror(1234, "no", "")
	})
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	var reply nothing
	for _, c := range []struct {
		uri         string
		args, reply interface{}
		code        int32
	}{
		{"/unknown", "x", &reply, tp.CodeNotFound},
		{"/unknown", nil, nil, tp.CodeNotFound},
		{"/nil", nil, &reply, 0},
		{"/nil", nil, nil, 0},
		{"/nil", (*nothing)(nil), nil, 0},
		{"/any", nil, nil, 0},
		{"/err", nil, &reply, 1234},
		{"/err", nil, nil, 1234},
		{"/echo", nil, nil, 0},
		{"/echo", []byte{}, nil, 0},
		{"", nil, nil, tp.CodeBadPacket},
	} {
		for _, codec := range []byte{0, 'j', 's', 'p'} {
			if _, isNil := c.args.(*nothing); isNil && codec == 's' || (isNil || c.args == "x") && codec == 'p' {
				continue // the codec has no such args
			}
			if c.uri == "/nil" && (codec == 's' || codec == 'p') {
				c.code = tp.CodeInternalServerError // nor have they such replies, which is an answer too
			}
			what := fmt.Sprintf("%s, args %v, codec %d", c.uri, c.args, codec)
			done := make(chan *tp.Rerror, 1)
			go func() { done <- sess.Pull(c.uri, c.args, c.reply, tp.WithBodyCodec(codec)).Rerror() }()
			rerr := receive(t, done)
			switch {
			case c.code == 0 && rerr != nil:
				t.Errorf("%s: got %v", what, rerr)
			case c.code != 0 && (rerr == nil || rerr.Code != c.code):
				t.Errorf("%s: got %v, want code %d", what, rerr, c.code)
			}
		}
	}
}

// An undecodable reply was read as success.
func TestPullReplyThatCannotBeDecoded(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "text", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) { return "no number", nil })
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	n := 7
	wantCode(t, sess.Pull("/text", nil, &n).Rerror(), tp.CodeBadPacket, "*int")
	if text, rerr := tp.Pull[string](sess, "/text", nil); rerr != nil || text != "no number" {
		t.Errorf("then got %q, %v: the session must live", text, rerr)
	}
	broken, w := dialedWire(t, newPeer(t, tp.PeerConfig{}))
	for _, bad := range []struct {
		codec byte
		body  string
	}{
		{'j', `{"a":`}, {'j', "\x00\xff"}, {'p', "\xff"}, {'x', "what codec?"},
	} {
		cmd := make(chan *tp.PullCmd, 1)
		broken.GoPull("/x", nil, &struct{ A int }{}, cmd)
		f := w.next()
		f.codec = bad.codec
		w.send(f.replyTo("", bad.body))
		if rerr := receive(t, cmd).Rerror(); rerr == nil || rerr.Code != tp.CodeBadPacket {
			t.Errorf("reply %+v: got %v, want code %d", bad, rerr, tp.CodeBadPacket)
		}
	}
}

// Duplicate replies crashed the process. Late ones and ones to no pull are
// nothing either.
func TestPullRepliesThatNobodyWaitsFor(t *testing.T) {
	sess, w := dialedWire(t, newPeer(t, tp.PeerConfig{}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *tp.PullCmd, 3)
	sess.GoPull("/late", nil, nil, done, tp.WithContext(ctx))
	late := w.next()
	cancel()
	rerr := receive(t, done).Rerror()
	wantCode(t, rerr, tp.CodeCanceled, "")
	if err := rerr.ToError(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v is no context.Canceled", err)
	}
	w.send(late.replyTo("", "1"), frame{seq: 99, ptype: tp.TypeReply, uri: "/never", codec: 'j', body: "2"})
	for want := range 3 {
		var got int
		sess.GoPull("/twice", nil, &got, done)
		reply := w.next().replyTo("", strconv.Itoa(want))
		again := reply
		again.body = "100"
		w.send(reply, again, again, late.replyTo("", "101"))
		noRerror(t, receive(t, done).Rerror())
		if got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if len(done) > 0 {
		t.Errorf("done got %v once more", <-done)
	}
}

func TestPullDeadline(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	release := make(chan struct{})
	tp.RegPull(srv.PullRouter, "wait", func(tp.PullCtx, *interface{}) (string, *tp.Rerror) {
		<-release
		return "late", nil
	})
	echo(srv)
	addr := serve(t, srv)
	defer close(release) // before the peers drain
	sess := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	cmd := sess.Pull("/wait", nil, nil, tp.WithContext(ctx))
	wantCode(t, cmd.Rerror(), tp.CodeTimeout, "")
	if err := cmd.Rerror().ToError(); !errors.Is(err, context.DeadlineExceeded) || !err.(net.Error).Timeout() {
		t.Errorf("%v is no deadline error", err)
	}
	wantCode(t, sess.Pull("/wait", nil, nil, tp.WithContext(ctx)).Rerror(), tp.CodeTimeout, "")
	if got, rerr := tp.Pull[string](sess, "/echo", "x", tp.WithContext(t.Context())); rerr != nil || got != "x" {
		t.Errorf("then got %q, %v: the session must live", got, rerr)
	}

	impatient := dial(t, newPeer(t, tp.PeerConfig{DefaultPullTimeout: 30 * time.Millisecond}), addr)
	wantCode(t, impatient.Pull("/wait", nil, nil).Rerror(), tp.CodeTimeout, "")
	done := make(chan *tp.PullCmd, 1)
	impatient.GoPull("/wait", nil, nil, done)
	wantCode(t, receive(t, done).Rerror(), tp.CodeTimeout, "")
	noRerror(t, impatient.Pull("/echo", nil, nil).Rerror())
}

// A pull is bounded by its context also while the other side takes nothing,
// so that even its own packet does not leave.
func TestPullDeadlineWhileWriting(t *testing.T) {
	for _, kind := range []string{"tcp", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			p := newPeer(t, tp.PeerConfig{DefaultWriteTimeout: patience})
			var sess tp.Session
			if kind == "tcp" {
				sess, _ = dialedWire(t, p)
			} else {
				near, far := net.Pipe()
				t.Cleanup(func() { _ = far.Close() })
				sess = p.ServeConn(near)
			}
			body := make([]byte, 15<<20)
			done := make(chan *tp.Rerror, 1)
			for range 3 { // the first is too much for the kernel, the others wait behind it
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				go func() { done <- sess.Pull("/x", body, nil, tp.WithContext(ctx)).Rerror() }()
				select {
				case rerr := <-done:
					wantCode(t, rerr, tp.CodeTimeout, "")
				case <-time.After(patience / 2):
					t.Fatal("the deadline does not end the pull")
				}
			}
		})
	}
}

// GoPull sends each PullCmd on done once, whatever becomes of it.
func TestGoPullDeliversOnce(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	tp.RegPull(srv.PullRouter, "hang", func(ctx tp.PullCtx, _ *interface{}) (string, *tp.Rerror) {
		<-ctx.Context().Done()
		return "", nil
	})
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{}, &vetoPulls{uri: "/vetoed"})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, uri string
		args      interface{}
		reply     interface{}
		end       func(tp.Session)
		setting   func() socket.PacketSetting
		code      int32
	}{
		{name: "fine", uri: "/echo", code: 0},
		{name: "no uri", uri: "", code: tp.CodeBadPacket},
		{name: "unknown", uri: "/unknown", code: tp.CodeNotFound},
		{name: "args that cannot be encoded", uri: "/echo", args: make(chan int), code: tp.CodeBadPacket},
		{name: "too large", uri: "/echo", args: make([]byte, 17<<20), code: tp.CodeBadPacket},
		{name: "a reply that cannot be decoded", uri: "/echo", args: []byte(`"x"`), reply: new(int), code: tp.CodeBadPacket},
		{name: "veto", uri: "/vetoed", code: 4321},
		{name: "ended context", uri: "/echo", setting: func() socket.PacketSetting { return tp.WithContext(cancelled) }, code: tp.CodeCanceled},
		{name: "deadline", uri: "/hang", setting: func() socket.PacketSetting {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			t.Cleanup(cancel)
			return tp.WithContext(ctx)
		}, code: tp.CodeTimeout},
		{name: "lost connection", uri: "/hang", end: func(tp.Session) {
			srv.RangeSession(func(s tp.Session) bool { s.SetReadTimeout(time.Nanosecond); return true })
		}, code: tp.CodeConnClosed},
		{name: "closed session", uri: "/echo", code: tp.CodeConnClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			sess := dial(t, cli, addr)
			if c.name == "closed session" {
				if err := sess.Close(); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan *tp.PullCmd, 2)
			var setting socket.PacketSetting
			if c.setting != nil {
				setting = c.setting()
			}
			sess.GoPull(c.uri, c.args, c.reply, done, setting)
			if c.end != nil {
				only(t, srv)
				c.end(sess)
				_ = sess.Push("/wake", nil) // the timeout is set with the next wait, which may have been
			}
			cmd := receive(t, done)
			switch {
			case c.code == 0:
				noRerror(t, cmd.Rerror())
			case cmd.Rerror() == nil || cmd.Rerror().Code != c.code:
				t.Errorf("got %v, want code %d", cmd.Rerror(), c.code)
			}
			_ = sess.Close()
			receive(t, sess.CloseNotify())
			if len(done) > 0 {
				t.Error("it came twice")
			}
		})
	}
	wantPanic(t, func() { dial(t, cli, addr).GoPull("/echo", nil, nil, nil) }, "done is nil")
}

// vetoPulls refuses to send pulls of uri.
type vetoPulls struct{ uri string }

func (v *vetoPulls) Name() string { return "veto-pulls" }

func (v *vetoPulls) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	if ctx.Output().Uri() == v.uri {
		return tp.NewRerror(4321, "vetoed", "")
	}
	return nil
}

// A full done holds up nobody, and nothing is lost.
func TestGoPullWithFullDone(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	const n = 200
	done := make(chan *tp.PullCmd)
	for i := range n {
		sess.GoPull("/echo", i, new(int), done)
	}
	for i := range n {
		if got, rerr := tp.Pull[int](sess, "/echo", i); rerr != nil || got != i {
			t.Fatalf("with a full done, Pull got %d, %v", got, rerr)
		}
	}
	seen := make(map[int]bool)
	for range n {
		reply, rerr := receive(t, done).Result()
		noRerror(t, rerr)
		seen[*reply.(*int)] = true
	}
	if len(seen) != n {
		t.Errorf("%d different replies came, want %d", len(seen), n)
	}
}

// What cannot be decoded into is refused before anything is sent: the handler
// must not run for a reply that nobody can get.
func TestPullReplyMustBeAPointer(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "run", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		t.Error("the handler ran")
		return 0, nil
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	wantCode(t, sess.Pull("/run", 1, 5).Rerror(), tp.CodeBadPacket, "the reply is of type int: pass a pointer")
	wantCode(t, sess.Pull("/run", 1, (*int)(nil)).Rerror(), tp.CodeBadPacket, "the reply is a nil *int: pass a pointer")
	done := make(chan *tp.PullCmd, 1)
	sess.GoPull("/run", 1, 5, done)
	wantCode(t, receive(t, done).Rerror(), tp.CodeBadPacket, "pass a pointer")
}

// A pull that the link's end finishes while it is being sent must fail: the
// other side answers nothing here, so no pull can have succeeded.
func TestPullFailsWhenTheLinkEndsMeanwhile(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	p := newPeer(t, tp.PeerConfig{})
	for range 50 {
		sess := dial(t, p, lis.Addr().String())
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var begun, ended sync.WaitGroup
		for range 8 {
			begun.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				begun.Done()
				for range 100 {
					if rerr := sess.Pull("/a", 1, nil).Rerror(); rerr == nil {
						t.Error("a pull without an answer has succeeded")
					}
				}
			}()
		}
		begun.Wait()
		_ = conn.Close()
		ended.Wait()
	}
}

// A handler that passes on the error of a pull of its own, which was not sent or not
// executed, was executed itself.
func TestMaybeSentOfAnErrorThatIsPassedOn(t *testing.T) {
	back := newPeer(t, tp.PeerConfig{})
	tp.RegPull(back.PullRouter, "late", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
		return 0, tp.NewRerror(tp.CodeTimeout, "Timeout", "not executed: its turn came too late")
	})
	downstream := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, back))
	closed := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, back))
	_ = closed.Close()
	<-closed.CloseNotify()
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter, "pass", func(_ tp.PullCtx, uri *string) (int, *tp.Rerror) {
		if *uri == "" {
			return 0, closed.Pull("/late", nil, nil).Rerror()
		}
		return 0, downstream.Pull(*uri, nil, nil).Rerror()
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for uri, want := range map[string]string{"": "not sent: ", "/late": "its turn came too late"} {
		rerr := sess.Pull("/pass", uri, nil).Rerror()
		if rerr == nil || !rerr.MaybeSent() || !strings.Contains(rerr.Detail, want) {
			t.Errorf("got %v", rerr)
		}
	}
}

// A proxy, which is a handler of unknown paths, knows what it did not pass on.
func TestMaybeSentOfAnErrorOfAnUnknownHandler(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	srv.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		return nil, tp.NewRerror(tp.CodeBadGateway, "Bad Gateway", ctx.RawQuery()+": there is no backend")
	})
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	for query, maybe := range map[string]bool{"not executed": false, "not sent": true, "so": true} {
		rerr := sess.Pull("/x?"+query, nil, nil).Rerror()
		wantCode(t, rerr, tp.CodeBadGateway, query+": there is no backend")
		if rerr.MaybeSent() != maybe {
			t.Errorf("%s: MaybeSent of %v is %v", query, rerr, !maybe)
		}
	}
}
