package overload_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/overload"
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

// Reports are expensive: two at once, and then one in an hour.
func Example() {
	limits := overload.New(overload.Limits{
		Conns: 1000,
		Rate:  overload.Rate{PerSecond: 5000},
		Routes: map[string]overload.Rate{
			"/report/*": {PerSecond: 1.0 / 3600, Burst: 2},
		},
	})
	server := tp.NewPeer(&tp.PeerConfig{}, limits)
	defer server.Close()
	tp.RegPull(server.PullRouter.Group("report"), "year", func(_ tp.PullCtx, year *int) (string, *tp.Rerror) {
		return fmt.Sprint("the report of ", *year), nil
	})
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(exampleServe(server))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}

	for _, year := range []int{2024, 2025, 2026} {
		report, rerr := tp.Pull[string](sess, "/report/year", year)
		if rerr != nil {
			fmt.Println(rerr.Code, rerr.MaybeSent())
			continue
		}
		fmt.Println(report)
	}
	fmt.Println(limits.Counters().Routes["/report/*"])

	_ = limits.SetLimits(overload.Limits{}) // while it runs
	fmt.Println(tp.Pull[string](sess, "/report/year", 2026))
	// Output:
	// the report of 2024
	// the report of 2025
	// 503 false
	// {2 1}
	// the report of 2026 <nil>
}
