package tp_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
)

// exampleDial returns a session of a new client with server, and what closes both.
func exampleDial(server *tp.Peer) (sess tp.Session, stop func()) {
	client := tp.NewPeer(&tp.PeerConfig{})
	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		tp.Panicf("dial: %v", rerr)
	}
	return sess, func() {
		client.Close()
		server.Close()
	}
}

// Calc serves "/calc/add" and "/calc/sub" below the path of its router.
type Calc struct{ tp.PullCtx }

// Add adds.
func (c *Calc) Add(args *[2]int) (int, *tp.Rerror) { return args[0] + args[1], nil }

// Sub subtracts.
func (c *Calc) Sub(args *[2]int) (int, *tp.Rerror) { return args[0] - args[1], nil }

func ExampleRouter_Group() {
	server := tp.NewPeer(&tp.PeerConfig{})
	group := server.PullRouter.Group("v1")
	group.Reg(new(Calc))
	group.Group("math").RegFunc("neg", func(_ tp.PullCtx, args *int) (int, *tp.Rerror) { return -*args, nil })
	for _, h := range server.PullRouter.Handlers() {
		fmt.Println(h.Name(), h.ArgElemType(), h.ReplyType())
	}
	server.Close()
	// Output:
	// /v1/calc/add [2]int int
	// /v1/calc/sub [2]int int
	// /v1/math/neg int int
}

func ExampleRegPull() {
	server := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(server.PullRouter, "div", func(_ tp.PullCtx, args *[2]float64) (float64, *tp.Rerror) {
		if args[1] == 0 {
			return 0, tp.NewRerror(1001, "division by zero")
		}
		return args[0] / args[1], nil
	})
	sess, stop := exampleDial(server)
	defer stop()
	fmt.Println(tp.Pull[float64](sess, "/div", [2]float64{1, 4}))
	fmt.Println(tp.Pull[float64](sess, "/div", [2]float64{1, 0}))
	// Output:
	// 0.25 <nil>
	// 0 {"code":1001,"message":"division by zero","detail":""}
}

func ExampleRouter_SetUnknown() {
	server := tp.NewPeer(&tp.PeerConfig{})
	server.PullRouter.SetUnknown(func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		var args map[string]int
		if _, err := ctx.Bind(&args); err != nil {
			return nil, tp.NewRerror(tp.CodeBadPacket, "bind", err.Error())
		}
		return fmt.Sprintf("nobody serves %s with %v", ctx.Path(), args), nil
	})
	server.PullRouter.Group("private").SetUnknown(func(tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		return nil, tp.NewRerror(tp.CodeUnauthorized, "keep out")
	})
	sess, stop := exampleDial(server)
	defer stop()
	fmt.Println(tp.Pull[string](sess, "/a/b", map[string]int{"n": 1}))
	fmt.Println(tp.Pull[string](sess, "/private/x", nil))
	// Output:
	// nobody serves /a/b with map[n:1] <nil>
	//  {"code":401,"message":"keep out","detail":""}
}

// A counter that answers in the goroutine that reads saves the hand-over; an
// account whose exchanges come one after the other needs no lock.
func ExampleRouter_Dispatch() {
	server := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(server.PullRouter.Dispatch(tp.DispatchInline), "ping", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		return "pong", nil
	})
	account := server.PullRouter.Group("account").Dispatch(tp.DispatchOrdered)
	tp.RegPull(account, "add", func(ctx tp.PullCtx, args *int) (int, *tp.Rerror) {
		var balance int
		if old, ok := ctx.Public().Load("balance"); ok {
			balance = old.(int)
		}
		balance += *args
		ctx.Public().Store("balance", balance) // of this session
		return balance, nil
	})
	sess, stop := exampleDial(server)
	defer stop()
	fmt.Println(tp.Pull[string](sess, "/ping", nil))
	fmt.Println(tp.Pull[int](sess, "/account/add", 10))
	fmt.Println(tp.Pull[int](sess, "/account/add", -3))
	// Output:
	// pong <nil>
	// 10 <nil>
	// 7 <nil>
}

// Both sides may push; the handler's Session pushes back.
func ExampleSession_push() {
	server := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPush(server.PushRouter, "say", func(ctx tp.PushCtx, args *string) {
		ctx.Session().Push("/heard?by=server", "you said "+*args)
	})
	client := tp.NewPeer(&tp.PeerConfig{})
	heard := make(chan string)
	tp.RegPush(client.PushRouter, "heard", func(ctx tp.PushCtx, args *string) {
		heard <- ctx.Query().Get("by") + ": " + *args
	})
	sess, rerr := client.Dial(exampleListen(server))
	if rerr != nil {
		tp.Panicf("dial: %v", rerr)
	}
	fmt.Println(sess.Push("/say", "hello"))
	fmt.Println(<-heard)
	client.Close()
	server.Close()
	// Output:
	// <nil>
	// server: you said hello
}

func ExampleRerror_ToError() {
	server := tp.NewPeer(&tp.PeerConfig{})
	sess, stop := exampleDial(server)
	defer stop()
	load := func() error { return sess.Pull("/load", nil, nil).Rerror().ToError() }
	if err := load(); err != nil {
		fmt.Println(err)
		fmt.Println(tp.ToRerror(fmt.Errorf("start: %w", err)).Code == tp.CodeNotFound)
	}
	// Output:
	// Not Found: no handler of /load (404)
	// true
}
