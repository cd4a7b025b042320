package tp_test

import (
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// headerWatch tells what PreReadHeader finds in the input.
type headerWatch struct{ inputs chan string }

func (headerWatch) Name() string { return "header watch" }

func (w headerWatch) PreReadHeader(ctx tp.ReadCtx) *tp.Rerror {
	w.inputs <- ctx.Input().String()
	return nil
}

func TestPreReadHeaderInputIsEmpty(t *testing.T) {
	watch := headerWatch{make(chan string, 8)}
	_, other := dialBare(t, newPeer(t, tp.PeerConfig{}, watch))
	want := receive(t, watch.inputs)
	for _, p := range []*socket.Packet{
		socket.NewPacket(socket.WithPtype(tp.TypePong), socket.WithSeq(7)),
		socket.NewPacket(socket.WithPtype(tp.TypeReply), socket.WithUri("/late"), socket.WithBody("late")),
		socket.NewPacket(socket.WithPtype(tp.TypePush), socket.WithUri("/nowhere")),
	} {
		if err := other.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, watch.inputs); got != want {
			t.Errorf("after a %s: the input is %s, want %s", tp.TypeText(p.Ptype()), got, want)
		}
	}
}
