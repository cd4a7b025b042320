package tp_test

import (
	"context"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// All that can be asked of a pull can be asked of one that found no session.
func TestFailedPull(t *testing.T) {
	t.Parallel()
	var at overs
	var book logBook
	p := newPeer(t, tp.PeerConfig{Logger: &book, PrintBody: true, CountTime: true}, at.plugin())
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var reply int
	cmd := p.FailedPull("/a/b?c=d", 7, &reply, tp.NewRerror(tp.CodeDialFailed, "no one is there"),
		tp.WithContext(ctx), tp.WithAddMeta("k", "v"))
	wantCode(t, cmd.Rerror(), tp.CodeDialFailed, "no one is there")
	if got, rerr := cmd.Result(); got != &reply || rerr == nil {
		t.Errorf("Result is %v, %v", got, rerr)
	}
	if cmd.Output().Uri() != "/a/b?c=d" || cmd.Output().Body() != 7 || string(cmd.Output().Meta().Peek("k")) != "v" {
		t.Errorf("the packet is %v", cmd.Output())
	}
	if cmd.Context() != ctx || cmd.Peer() != p || cmd.CostTime() < 0 || cmd.InputMeta().Len() != 0 || cmd.InputBodyCodec() != 0 || cmd.Ip() != "" {
		t.Error("it is not one without a reply")
	}
	at.want(t, "launched pull /a/b 105")
	if !book.contains("pulled", "/a/b", "no one is there") {
		t.Errorf("the log says %s", book.String())
	}

	sess := cmd.Session()
	if sess.IsOk() || sess.Health() || sess.RemoteIp() != "" || sess.LocalIp() != "" || sess.Peer() != p {
		t.Error("the session is not one that is closed")
	}
	receive(t, sess.CloseNotify())
	wantCode(t, sess.Pull("/x", 1, nil).Rerror(), tp.CodeConnClosed, "")
	wantCode(t, sess.Push("/x", 1), tp.CodeConnClosed, "")
	sess.Public().Store("a", 1)
	sess.SetReadTimeout(time.Second)
	sess.SetWriteTimeout(time.Second)
	sess.SetId("other")
	if err := sess.Close(); err != nil || p.CountSession() != 0 {
		t.Errorf("Close: %v, with %d sessions", err, p.CountSession())
	}
}
