package tptest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest"
	"github.com/henrylee2cn/teleport/tptest/relay"
)

// greet is the handler that the examples test.
func greet(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
	return "Hello, " + *name + "!", nil
}

// quiet returns a peer that logs nothing.
func quiet(plugins ...tp.Plugin) *tp.Peer {
	return tp.NewPeer(&tp.PeerConfig{Logger: silence{}}, plugins...)
}

// A client behind a relay loses its connection in the middle of a reply.
func Example_relay() {
	server := quiet()
	defer server.Close()
	tp.RegPull(server.PullRouter, "greet", greet)
	var t testing.TB = new(exampleT) // the *testing.T of a test
	r, err := relay.New(tptest.Serve(t, server), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	client := quiet()
	defer client.Close()
	sess, rerr := client.Dial(r.Addr())
	if rerr != nil {
		fmt.Println(rerr)
		return
	}

	greeting, rerr := tp.Pull[string](sess, "/greet", "Ann")
	fmt.Println(greeting, rerr)

	r.Set(relay.Down, relay.Faults{Truncate: relay.At(r.Counts().Down + 10)})
	_, rerr = tp.Pull[string](sess, "/greet", "Bob")
	fmt.Println(rerr.Code == tp.CodeConnClosed)
	// Output:
	// Hello, Ann! <nil>
	// true
}

func ExamplePair() {
	var t testing.TB = new(exampleT) // the *testing.T of a test
	server, client := quiet(), quiet()
	tp.RegPull(server.PullRouter, "greet", greet)
	news := make(chan string, 1)
	tp.RegPush(client.PushRouter, "news", func(_ tp.PushCtx, text *string) { news <- *text })

	atClient, atServer := tptest.Pair(t, client, server)
	greeting, rerr := tp.Pull[string](atClient, "/greet", "Ann")
	fmt.Println(greeting, rerr)
	fmt.Println(atServer.Push("/news", "Ann is here"), <-news)

	t.(*exampleT).end() // a *testing.T does that by itself
	fmt.Println(atClient.Health(), atServer.Health())
	// Output:
	// Hello, Ann! <nil>
	// <nil> Ann is here
	// false false
}

// In memory both sides are made by ServeConn.
func ExampleListener() {
	server, client := quiet(), quiet()
	defer server.Close()
	defer client.Close()
	tp.RegPull(server.PullRouter, "greet", greet)
	lis := tptest.NewListener()
	go server.ServeListener(lis)

	conn, err := lis.Dial(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	sess := client.ServeConn(conn)
	fmt.Println(tp.Pull[string](sess, "/greet", "Ann"))
	// Output: Hello, Ann! <nil>
}

func ExampleRecorder() {
	var t testing.TB = new(exampleT) // the *testing.T of a test
	recorder := tptest.NewRecorder("recorder")
	server, client := quiet(recorder), quiet()
	tp.RegPull(server.PullRouter, "greet", greet)
	sess, _ := tptest.Pair(t, client, server)
	tp.Pull[string](sess, "/greet", "Ann")
	t.(*exampleT).end() // a *testing.T does that by itself

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	end, err := recorder.Wait(ctx, func(e tptest.Event) bool { return e.Hook == "PostDisconnect" })
	fmt.Println(end.SessionID == sess.LocalIp(), err)
	for _, e := range recorder.Events() {
		if e.URI == "/greet" {
			fmt.Println(e.Hook, e.Seq)
		}
	}
	// Output:
	// true <nil>
	// PostReg 0
	// PostReadPullHeader 0
	// PreReadPullBody 0
	// PostReadPullBody 0
	// PreWriteReply 0
	// PostWriteReply 0
	// PostExchange 0
}
