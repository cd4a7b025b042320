package retry_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/retry"
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

// A gateway answers 502 at first. Reading a price twice does no harm, buying would.
func Example() {
	var calls atomic.Int32
	answer := func(tp.PullCtx, *string) (int, *tp.Rerror) {
		if calls.Add(1) == 1 {
			return 0, tp.NewRerror(tp.CodeBadGateway, "Bad Gateway")
		}
		return 250, nil
	}
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "price", answer)
	tp.RegPull(server.PullRouter, "buy", answer)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(exampleServe(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}

	retrier := retry.New(retry.Config{Attempts: 4})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(retry.Pull[int](retrier, sess, "/price", "tea", tp.WithContext(ctx), tp.WithIdempotent()))
	calls.Store(0)
	_, rerr = retry.Pull[int](retrier, sess, "/buy", "tea", tp.WithContext(ctx))
	fmt.Println(rerr.Code, rerr.MaybeSent())
	// Output:
	// 250 <nil>
	// 502 true
}
