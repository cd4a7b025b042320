package tp_test

import (
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

func TestIsOkAfterGoAway(t *testing.T) {
	sess, other := dialBare(t, newPeer(t, tp.PeerConfig{}))
	if !sess.IsOk() {
		t.Error("a new session is not ok")
	}
	if err := other.WritePacket(socket.NewPacket(socket.WithPtype(tp.TypeGoAway))); err != nil {
		t.Fatal(err)
	}
	// The other side has not closed yet, so the session is not over.
	eventually(t, "the session is not ok", func() bool { return !sess.IsOk() })
	wantCode(t, sess.Push("/a", 1), tp.CodeConnClosed, "closing")
}
