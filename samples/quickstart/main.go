// Command quickstart has a server and a client in one process: a pull, a push
// from the server, and a pull that fails.
package main

import (
	"fmt"
	"log"
	"net"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	// The server: a peer with handlers, on a port that the kernel chooses.
	srv := tp.NewPeer(&tp.PeerConfig{})
	defer srv.Close()
	tp.RegPull(srv.PullRouter, "divide", divide) // it serves "/divide"

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.ServeListener(lis) // ends with srv.Close

	// The client is a peer too, so it may have handlers of its own.
	cli := tp.NewPeer(&tp.PeerConfig{})
	defer cli.Close()
	news := make(chan string, 1)
	tp.RegPush(cli.PushRouter, "news", func(_ tp.PushCtx, text *string) { news <- *text })

	sess, rerr := cli.Dial(lis.Addr().String())
	if rerr != nil {
		log.Fatal(rerr)
	}

	result, rerr := tp.Pull[int](sess, "/divide", [2]int{42, 6})
	if rerr != nil {
		log.Fatal(rerr)
	}
	fmt.Println("pull:", result)
	fmt.Println("push:", <-news)

	_, rerr = tp.Pull[int](sess, "/divide", [2]int{42, 0})
	fmt.Println("error:", rerr.Code, rerr.Message)
}

// divide answers a pull. While it does, it pushes to the one who asked: the
// session works in both directions.
func divide(ctx tp.PullCtx, args *[2]int) (int, *tp.Rerror) {
	a, b := args[0], args[1]
	if b == 0 {
		return 0, tp.NewRerror(1001, "cannot divide by zero") // 1000 and above are yours
	}
	if rerr := ctx.Session().Push("/news", fmt.Sprintf("dividing %d by %d", a, b)); rerr != nil {
		return 0, rerr
	}
	return a / b, nil
}
