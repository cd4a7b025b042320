// Command server is an everyday server: a controller, handlers of what nobody
// else handles, pushes in both directions, and an orderly end. Its client is
// in samples/simple/client.
package main

import (
	"flag"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address to listen on")
	flag.Parse()

	// SIGINT and SIGTERM end the process: the listener closes, what is under
	// way is finished, for at most 20 seconds, and the exit code is 0.
	tp.SetShutdown(20*time.Second, nil, nil)
	go tp.GraceSignal()

	peer := tp.NewPeer(&tp.PeerConfig{
		SlowCometDuration: 500 * time.Millisecond, // slower exchanges are logged as warnings
		CountTime:         true,                   // the others are logged too
	})
	peer.PullRouter.Group("v1").Reg(&Home{visits: new(atomic.Int64)})
	peer.PullRouter.SetUnknown(unknownPull)
	peer.PushRouter.Group("v1").Reg(new(Report))

	// Listen would do with PeerConfig.ListenAddrs. A listener of one's own
	// tells the real address when the port is given as 0.
	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		tp.Fatalf("%v", err)
	}
	fmt.Println("listening on", lis.Addr())

	// It serves until it fails; while GraceSignal ends the process, it does not
	// return.
	tp.Fatalf("%v", peer.ServeListener(lis))
}

// Home is a controller: each exported method handles pulls, here of
// /v1/home/hello. Each pull is served by a copy of the registered struct, so
// what they share is behind a pointer.
type Home struct {
	tp.PullCtx
	visits *atomic.Int64
}

// Hello greets, and pushes a notice to the same session.
func (h *Home) Hello(args *struct{ Name string }) (map[string]any, *tp.Rerror) {
	if args.Name == "" {
		return nil, tp.NewRerror(1001, "who are you?", "Name is empty")
	}
	visit := h.visits.Add(1)
	// The client's controller Notice has a method Say. A push that fails is no
	// reason to fail the pull: the session is on its way out then.
	if rerr := h.Session().Push("/notice/say", fmt.Sprintf("you are visitor %d", visit)); rerr != nil {
		tp.Warnf("notice: %v", rerr)
	}
	return map[string]any{"greeting": "hello " + args.Name, "lang": h.Query().Get("lang")}, nil
}

// unknownPull answers the pulls that have no handler. Without it they are
// answered 404.
func unknownPull(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
	var body interface{}
	if _, err := ctx.Bind(&body); err != nil {
		return nil, tp.NewRerror(tp.CodeBadPacket, "cannot read the body", err.Error())
	}
	return fmt.Sprintf("nothing at %s, but here is your body again: %v", ctx.Path(), body), nil
}

// Report is a controller of pushes.
type Report struct {
	tp.PushCtx
}

// Done handles pushes of /v1/report/done. Pushes have no reply.
func (r *Report) Done(text *string) {
	fmt.Printf("report: %q\n", *text) // quoted: it is a stranger's
}
