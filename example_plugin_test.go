package tp_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
)

// aliasPlugin serves pulls of a URI by the handler of another.
type aliasPlugin map[string]string

var _ tp.PostReadPullHeaderPlugin = aliasPlugin{} // a misspelt hook would be no hook

func (aliasPlugin) Name() string { return "aliases" }

func (a aliasPlugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	if uri, ok := a[ctx.Input().Uri()]; ok {
		ctx.Input().SetUri(uri)
	}
	return nil
}

// The hook comes before routing, so the plugin belongs to the peer.
func Example_plugin() {
	server := tp.NewPeer(&tp.PeerConfig{}, aliasPlugin{"/sum": "/add"})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	fmt.Println(sess.Pull("/sum", [2]int{1, 2}, &sum).Rerror(), sum)
	// Output: <nil> 3
}
