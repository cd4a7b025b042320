package tp_test

import (
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// serveUntilSignal serves until SIGINT or SIGTERM, then finishes what is under way.
func serveUntilSignal(peer *tp.Peer) {
	tp.SetShutdown(20*time.Second, nil, nil)
	go tp.GraceSignal()
	tp.Fatalf("%v", peer.Listen()) // Listen does not return while the process ends
}

func ExampleGraceSignal() {
	peer := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"0.0.0.0:9090"}})
	tp.RegPull(peer.PullRouter, "add", exampleAdd)
	serveUntilSignal(peer)
}
