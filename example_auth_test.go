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

func (t tokenPlugin) PostDial(sess tp.PreSession) *tp.Rerror {
	return tp.ToRerror(sess.Send(socket.NewPacket(
		socket.WithBodyCodec(codec.ID_STRING),
		socket.WithBody(string(t)),
	)))
}

func (t tokenPlugin) PostAccept(sess tp.PreSession) *tp.Rerror {
	var got string
	if err := sess.Receive(socket.NewPacket(socket.WithBody(&got))); err != nil {
		return tp.ToRerror(err)
	}
	if got != string(t) { // a real secret calls for crypto/subtle, and TLS
		return tp.NewRerror(tp.CodeUnauthorized, "wrong token")
	}
	sess.Public().Store("authorized", true)
	return nil
}

// A session that is refused is closed, which its next pull tells.
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
		fmt.Println(t, rerr == nil)
		_ = client.Close()
	}
	// Output:
	// open sesame true
	// let me in false
}
