package auth_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
)

// exampleServe serves p on a free port of loopback, until p is closed.
func exampleServe(p *tp.Peer) (addr string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tp.Panicf("%v", err)
	}
	go p.ServeListener(lis)
	return lis.Addr().String()
}

// whoami answers who calls.
func whoami(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
	name, _ := auth.Principal[string](ctx)
	return "you are " + name, nil
}

func Example() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewServer(auth.ServerConfig{
		Check: auth.Tokens(map[string]any{"s3cret": "ann"}),
	}))
	defer server.Close()
	tp.RegPull(server.PullRouter, "whoami", whoami)
	addr := exampleServe(server)

	for _, token := range []string{"s3cret", "guess"} {
		client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewClient(auth.ClientConfig{
			Token: auth.Token(token),
		}))
		sess, rerr := client.Dial(addr)
		if rerr == nil {
			fmt.Println(tp.Pull[string](sess, "/whoami", nil))
		} else {
			fmt.Println(rerr)
		}
		_ = client.Close()
	}
	// Output:
	// you are ann <nil>
	// {"code":401,"message":"Unauthorized","detail":"the token is not valid"}
}
