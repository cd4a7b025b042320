package tp_test

import (
	"context"
	"net/http"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func warmUp() error { return nil }

func ExampleHoldReady() {
	peer := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"0.0.0.0:9090"}})
	ready := tp.HoldReady()
	go func() {
		if err := warmUp(); err != nil {
			tp.Fatalf("cannot serve: %v", err) // the old process goes on
		}
		ready()
	}()
	tp.Fatalf("%v", peer.Listen())
}

func ExampleInheritListener() {
	lis, err := tp.InheritListener("tcp", "0.0.0.0:8080")
	if err != nil {
		tp.Fatalf("%v", err)
	}
	admin := new(http.Server)
	go func() { _ = admin.Serve(lis) }()
	// The peers are drained by themselves, other servers are not.
	tp.SetShutdown(20*time.Second, func() error { return admin.Shutdown(context.Background()) }, nil)
}
