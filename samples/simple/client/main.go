// Command client talks to samples/simple/server.
package main

import (
	"flag"
	"fmt"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address of the server")
	flag.Parse()

	if rerr := run(*addr); rerr != nil {
		tp.Fatalf("%v", rerr)
	}
}

// run is apart from main, since Fatalf would skip its deferred Close.
func run(addr string) *tp.Rerror {
	peer := tp.NewPeer(&tp.PeerConfig{
		DefaultPullTimeout: 5 * time.Second, // a pull has no bound otherwise
	})
	defer peer.Close()
	notices := make(chan string, 1)
	peer.PushRouter.Reg(&Notice{notices: notices})

	sess, rerr := peer.Dial(addr)
	if rerr != nil {
		return rerr
	}

	// The query goes with the URI, the arguments in the body.
	var reply struct{ Greeting, Lang string }
	rerr = sess.Pull("/v1/home/hello?lang=en", map[string]string{"name": "Ann"}, &reply).Rerror()
	if rerr != nil {
		return rerr
	}
	fmt.Printf("hello: %s (%s)\n", reply.Greeting, reply.Lang)
	fmt.Println("notice:", <-notices)

	// An error of the handler arrives as it was made.
	rerr = sess.Pull("/v1/home/hello", nil, nil).Rerror()
	fmt.Printf("error: code %d, %s, %s\n", rerr.Code, rerr.Message, rerr.Detail)

	// tp.Pull is the same with the reply as a result.
	text, rerr := tp.Pull[string](sess, "/nowhere", []int{1, 2})
	if rerr != nil {
		return rerr
	}
	fmt.Println("unknown:", text)

	// A push is not waited for, but Close sends what is queued.
	return sess.Push("/v1/report/done", "Ann has seen everything")
}

// Notice is a controller of the pushes that the server sends.
type Notice struct {
	tp.PushCtx
	notices chan<- string
}

// Say handles pushes of /notice/say.
func (n *Notice) Say(text *string) {
	n.notices <- *text
}
