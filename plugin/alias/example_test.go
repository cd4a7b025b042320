package alias_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/alias"
)

func Example() {
	aliases := alias.New(map[string]string{"/sum": "/math/add"})
	server := tp.NewPeer(&tp.PeerConfig{}, aliases)
	defer server.Close()
	tp.RegPull(server.PullRouter, "math/add", func(_ tp.PullCtx, args *[2]int) (int, *tp.Rerror) {
		return args[0] + args[1], nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.ServeListener(lis)

	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	fmt.Println(tp.Pull[int](sess, "/sum", [2]int{1, 2}))
	fmt.Println(aliases.Set("/plus", "/math/add"))
	fmt.Println(tp.Pull[int](sess, "/plus", [2]int{3, 4}))
	// Output:
	// 3 <nil>
	// <nil>
	// 7 <nil>
}
