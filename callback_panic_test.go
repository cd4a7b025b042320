package tp_test

import (
	"io"
	"sync/atomic"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// brokenLogger is a Logger that panics.
type brokenLogger struct{ calls atomic.Int64 }

func (b *brokenLogger) fail() { b.calls.Add(1); panic("the log is broken") }

func (b *brokenLogger) Printf(string, ...interface{})    { b.fail() }
func (b *brokenLogger) Fatalf(string, ...interface{})    { b.fail() }
func (b *brokenLogger) Panicf(string, ...interface{})    { b.fail() }
func (b *brokenLogger) Criticalf(string, ...interface{}) { b.fail() }
func (b *brokenLogger) Errorf(string, ...interface{})    { b.fail() }
func (b *brokenLogger) Warnf(string, ...interface{})     { b.fail() }
func (b *brokenLogger) Noticef(string, ...interface{})   { b.fail() }
func (b *brokenLogger) Infof(string, ...interface{})     { b.fail() }
func (b *brokenLogger) Debugf(string, ...interface{})    { b.fail() }
func (b *brokenLogger) Tracef(string, ...interface{})    { b.fail() }

// A Logger that panicked ended the process: in the reader, in a worker, and where
// the panic of a handler or a hook is logged.
func TestPanicOfALogger(t *testing.T) {
	tp.SetRawlogLevel("OFF") // the default logger is told of it
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	broken := new(brokenLogger)
	hook := oneHook("broken", "PostWriteReply", func(interface{}) *tp.Rerror { panic("as asked") })
	srv := newPeer(t, tp.PeerConfig{Logger: broken, PrintBody: true, CountTime: true}, hook)
	echo(srv)
	tp.RegPull(srv.PullRouter, "panic", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { panic("as asked") })
	cli := newPeer(t, tp.PeerConfig{Logger: broken, PrintBody: true})
	addr := serve(t, srv)
	sess := dial(t, cli, addr)
	w := dialWire(t, addr)
	for range 3 {
		wantCode(t, sess.Pull("/panic", nil, nil).Rerror(), tp.CodeInternalServerError, "")
		wantCode(t, sess.Pull("/nowhere", nil, nil).Rerror(), tp.CodeNotFound, "")
		noRerror(t, sess.Push("/nowhere", nil))
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
		w.send(frame{ptype: tp.TypeReply, seq: 9, codec: 'j', body: "1"}, jsonPull(1, "/echo", "1"))
		if f := w.next(); f.body != "1" {
			t.Errorf("got %+v", f)
		}
	}
	dialWire(t, addr).sendBytes([]byte("GET / HTTP/1.1\r\n\r\n"))
	eventually(t, "the one that is no peer is gone", func() bool { return srv.CountSession() == 2 })
	if broken.calls.Load() < 15 {
		t.Errorf("only %d lines were logged", broken.calls.Load())
	}

	ofProcess := new(brokenLogger)
	tp.SetLogger(ofProcess)
	defer tp.SetLogger(nil)
	tp.Infof("nothing comes of it")
	if ofProcess.calls.Load() == 0 {
		t.Error("it was not called")
	}
}

// What a handler gives to the library runs in the handler: its panic is the
// handler's, and the session and its peer go on.
func TestPanicOfACallback(t *testing.T) {
	srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{})
	echo(cli)
	echo(srv)
	broken := func(*socket.Packet) { panic("as asked") }
	for name, call := range map[string]func(tp.Session){
		"broadcast": func(tp.Session) {
			_, _ = srv.Broadcast("/x", 1, func(tp.Session) bool { panic("as asked") })
		},
		"range":      func(tp.Session) { srv.RangeSession(func(tp.Session) bool { panic("as asked") }) },
		"pull":       func(s tp.Session) { s.Pull("/echo", nil, nil, broken) },
		"push":       func(s tp.Session) { _ = s.Push("/x", nil, broken) },
		"prepared":   func(tp.Session) { _, _ = srv.PreparePush("/x", 1, broken) },
		"go_pull":    func(s tp.Session) { s.GoPull("/echo", nil, nil, make(chan *tp.PullCmd, 1), broken) },
		"typed_pull": func(s tp.Session) { _, _ = tp.Pull[int](s, "/echo", nil, broken) },
		"listener":   func(tp.Session) { _ = srv.ServeListener(nil) },
	} {
		tp.RegPull(srv.PullRouter, name, func(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
			call(ctx.Session())
			return 1, nil
		})
	}
	sess := dial(t, cli, serve(t, srv))
	back := only(t, srv)
	for range 3 {
		for _, h := range srv.PullRouter.Handlers() {
			if h.Name() == "/echo" {
				continue
			}
			wantCode(t, sess.Pull(h.Name(), nil, nil).Rerror(), tp.CodeInternalServerError, "")
			noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
			noRerror(t, back.Pull("/echo", nil, nil).Rerror())
		}
	}
	if n, rerr := srv.Broadcast("/x", 1, nil); rerr != nil || n.Sent != 1 {
		t.Errorf("a broadcast after it: %+v, %v", n, rerr)
	}
}

// Dialling again runs functions of the user in a goroutine of the library: there
// the panic of a ProtoFunc ended the process, while that of OnRedial was logged.
func TestPanicInARedial(t *testing.T) {
	at := newStation(t)
	srv := at.open(nil)
	log := new(logBook)
	var protos, told atomic.Int32
	cli := newPeer(t, tp.PeerConfig{Logger: log, RedialTimes: -1, OnRedial: func(tp.Session, *tp.Rerror) {
		told.Add(1)
		panic("as told")
	}})
	sess := dial(t, cli, at.addr(), func(rw io.ReadWriter) socket.Proto {
		if protos.Add(1) == 2 {
			panic("as asked")
		}
		return socket.NewFastProto(rw)
	})
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	crash(t, srv)
	at.open(nil)
	eventually(t, "the loss is seen", func() bool { return protos.Load() > 1 })
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	eventually(t, "OnRedial was called for both attempts", func() bool { return told.Load() == 2 })
	for _, text := range []string{"as asked", "as told"} {
		eventually(t, "the log has "+text, func() bool { return log.contains("ERROR", text) })
	}
	_ = cli.Close()
}

// A Dial whose ProtoFunc panics leaves no connection behind.
func TestPanicInProtoFuncOfDial(t *testing.T) {
	addr, accept := wireServer(t)
	cli := newPeer(t, tp.PeerConfig{})
	wantPanic(t, func() { _, _ = cli.Dial(addr, func(io.ReadWriter) socket.Proto { panic("as asked") }) }, "as asked")
	accept().wantClosed()
}
