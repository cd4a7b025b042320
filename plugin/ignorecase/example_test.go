package ignorecase_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/ignorecase"
)

func Example() {
	server := tp.NewPeer(&tp.PeerConfig{}, ignorecase.New())
	defer server.Close()
	tp.RegPull(server.PullRouter, "getUser", func(_ tp.PullCtx, id *int) (string, *tp.Rerror) {
		return fmt.Sprint("user ", *id), nil
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
	for _, uri := range []string{"/getUser", "/GetUser", "/GETUSER"} {
		fmt.Println(tp.Pull[string](sess, uri, 7))
	}
	// Output:
	// user 7 <nil>
	// user 7 <nil>
	// user 7 <nil>
}
