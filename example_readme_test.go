package tp_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
)

// Arith handles pulls: its method Add serves "/arith/add".
type Arith struct{ tp.PullCtx }

// Add answers the pull, after a push to the session that pulled.
func (a *Arith) Add(args *[2]int) (int, *tp.Rerror) {
	a.Session().Push("/news", "someone adds")
	return args[0] + args[1], nil
}

func Example() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	server.PullRouter.Reg(new(Arith))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tp.Fatalf("listen: %v", err)
	}
	go server.ServeListener(lis)

	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	news := make(chan string, 1)
	tp.RegPush(client.PushRouter, "news", func(_ tp.PushCtx, text *string) { news <- *text })
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		tp.Fatalf("dial: %v", rerr)
	}
	var sum int
	if rerr := sess.Pull("/arith/add", [2]int{1, 2}, &sum).Rerror(); rerr != nil {
		tp.Fatalf("pull: %v", rerr)
	}
	fmt.Println("1 + 2 =", sum)
	fmt.Println("news:", <-news)
	// Output:
	// 1 + 2 = 3
	// news: someone adds
}
