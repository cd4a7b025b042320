package heartbeat_test

import (
	"fmt"
	"net"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/heartbeat"
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

func Example() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	closed := make(chan string, 1)
	pong := heartbeat.NewPong(heartbeat.PongConfig{
		MaxSilence: 2 * time.Second,
		OnSilent:   func(sess tp.Session, _ time.Duration) { closed <- sess.RemoteIp() },
	})
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, pong)
	defer server.Close()
	pong.Route(server)
	addr := exampleServe(server)

	// One client has heartbeats, the other one neither those nor PINGs.
	ping := heartbeat.NewPing(heartbeat.PingConfig{Interval: 100 * time.Millisecond})
	lively := tp.NewPeer(&tp.PeerConfig{Logger: quiet, KeepAliveInterval: -1}, ping)
	defer lively.Close()
	sess, rerr := lively.Dial(addr)
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	silent := tp.NewPeer(&tp.PeerConfig{Logger: quiet, KeepAliveInterval: -1})
	defer silent.Close()
	other, rerr := silent.Dial(addr)
	if rerr != nil {
		fmt.Println(rerr)
		return
	}

	fmt.Println(<-closed == other.LocalIp(), sess.Health())
	_ = ping.SetInterval(10 * time.Second) // while it runs
	// Output: true true
}
