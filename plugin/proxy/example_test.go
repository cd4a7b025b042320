package proxy_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/proxy"
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

// A client talks with a backend that it does not know, and the backend with it.
func Example() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	backend := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
	defer backend.Close()
	tp.RegPull(backend.PullRouter, "greet", func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
		name, rerr := tp.Pull[string](ctx.Session(), "/name", nil, proxy.ToClient(ctx))
		return fmt.Sprintf("Hello, %s at %s!", name, ctx.GetMeta(proxy.MetaRealIP)), rerr
	})

	front := tp.NewPeer(&tp.PeerConfig{Logger: quiet, SlowPolicy: tp.SlowClose})
	defer front.Close()
	back := tp.NewPeer(&tp.PeerConfig{Logger: quiet, RedialTimes: -1})
	defer back.Close()
	toBackend, rerr := back.Dial(exampleServe(backend))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	p := proxy.New(proxy.Config{
		Backend: func(ctx tp.UnknownPushCtx) (proxy.Launcher, *tp.Rerror) {
			if ctx.Path() == "/admin" {
				return nil, tp.NewRerror(tp.CodeUnauthorized, "not from outside")
			}
			return toBackend, nil
		},
	})
	p.Front(front)
	p.Back(back)

	client := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
	defer client.Close()
	tp.RegPull(client.PullRouter, "name", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) { return "Ann", nil })
	sess, rerr := client.Dial(exampleServe(front))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	fmt.Println(tp.Pull[string](sess, "/greet", nil))
	fmt.Println(sess.Pull("/admin", nil, nil).Rerror())
	// Output:
	// Hello, Ann at 127.0.0.1! <nil>
	// {"code":401,"message":"not from outside","detail":"not executed: proxy: refused"}
}
