package tp_test

import (
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// What the examples share.

// exampleAdd is a handler of pulls.
func exampleAdd(_ tp.PullCtx, args *[2]int) (int, *tp.Rerror) {
	return args[0] + args[1], nil
}

// exampleListen serves p on a free port of loopback, until p is closed.
func exampleListen(p *tp.Peer, protoFunc ...socket.ProtoFunc) (addr string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tp.Panicf("%v", err)
	}
	go p.ServeListener(lis, protoFunc...)
	return lis.Addr().String()
}
