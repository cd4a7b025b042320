package tp_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// tokenPlugin lets in only who knows the token. Both sides have it: the
// one that dials sends it, the one that accepts checks it.
type tokenPlugin string

func (tokenPlugin) Name() string { return "token" }

var ( // a misspelt hook would be no hook
	_ tp.PostDialPlugin   = tokenPlugin("")
	_ tp.PostAcceptPlugin = tokenPlugin("")
)

func (t tokenPlugin) PostDial(sess tp.PreSession) *tp.Rerror {
	err := sess.Send(socket.NewPacket(
		socket.WithBodyCodec(codec.ID_STRING),
		socket.WithBody(string(t)),
	))
	if err != nil {
		return tp.ToRerror(err)
	}
	in := socket.NewPacket()
	if err := sess.Receive(in); err != nil {
		return tp.ToRerror(err)
	}
	return tp.NewRerrorFromMeta(in.Meta()) // nil when there is none
}

func (t tokenPlugin) PostAccept(sess tp.PreSession) *tp.Rerror {
	var got string
	if err := sess.Receive(socket.NewPacket(socket.WithBody(&got))); err != nil {
		return tp.ToRerror(err)
	}
	var veto *tp.Rerror
	out := socket.NewPacket()
	if got != string(t) { // a real secret calls for crypto/subtle, and TLS
		veto = tp.NewRerror(tp.CodeUnauthorized, "wrong token")
		veto.SetToMeta(out.Meta()) // the veto itself does not travel
	}
	if err := sess.Send(out); err != nil {
		return tp.ToRerror(err)
	}
	return veto
}

// The client that is refused learns why: Dial fails with the server's error.
func Example_auth() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, tokenPlugin("open sesame"))
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	addr := exampleListen(server)

	for _, t := range []tokenPlugin{"open sesame", "let me in"} {
		client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, t)
		sess, rerr := client.Dial(addr)
		if rerr == nil {
			var sum int
			rerr = sess.Pull("/add", [2]int{1, 2}, &sum).Rerror()
		}
		fmt.Println(t, rerr)
		_ = client.Close()
	}
	// Output:
	// open sesame <nil>
	// let me in {"code":401,"message":"wrong token","detail":""}
}
