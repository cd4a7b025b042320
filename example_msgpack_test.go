package tp_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	_ "github.com/henrylee2cn/teleport/codec/msgpack"
)

// The import registers the codec; a peer uses it by its name.
func Example_msgpack() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{DefaultBodyCodec: "msgpack"})
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	cmd := sess.Pull("/add", [2]int{1, 2}, &sum)
	fmt.Printf("%v %d %c\n", cmd.Rerror(), sum, cmd.InputBodyCodec())
	// Output: <nil> 3 m
}
