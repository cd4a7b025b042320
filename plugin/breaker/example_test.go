package breaker_test

import (
	"fmt"
	"net"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/breaker"
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

// A shop whose database is down answers slowly, and with errors. After five of them
// nobody waits for it any more.
func Example() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "price", func(tp.PullCtx, *string) (int, *tp.Rerror) {
		return 0, tp.NewRerror(tp.CodeInternalServerError, "no database")
	})
	addr := exampleServe(server)

	guard := breaker.New(breaker.Config{FailureRate: 0.5, MinPulls: 5, OpenFor: time.Minute})
	client := tp.NewPeer(&tp.PeerConfig{}, guard)
	defer client.Close()
	sess, rerr := client.Dial(addr)
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	for range 8 {
		_, rerr := tp.Pull[int](sess, "/price", "tea")
		fmt.Println(rerr.Code, guard.State(addr))
	}
	// Output:
	// 500 closed
	// 500 closed
	// 500 closed
	// 500 closed
	// 500 open
	// 503 open
	// 503 open
	// 503 open
}
