package tp_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
)

// announce pushes text to all sessions that are in the room.
func announce(peer *tp.Peer, room, text string) (tp.BroadcastCount, *tp.Rerror) {
	return peer.Broadcast("/news", text, func(sess tp.Session) bool {
		in, _ := sess.Public().Load("room")
		return in == room
	})
}

// tell pushes text to sessions that the program knows. It returns how many
// could not take it.
func tell(peer *tp.Peer, members []tp.Session, text string) (missed int, rerr *tp.Rerror) {
	push, rerr := peer.PreparePush("/news", text)
	if rerr != nil { // it cannot be encoded: nobody gets it
		return 0, rerr
	}
	for _, sess := range members {
		if push.Send(sess) != nil { // closed, or it does not read
			missed++
		}
	}
	return missed, nil
}

// exampleClient returns a client that sends the news which it is pushed on
// heard, and dials addr.
func exampleClient(addr string, heard chan<- string) (*tp.Peer, tp.Session) {
	client := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPush(client.PushRouter, "news", func(_ tp.PushCtx, text *string) { heard <- *text })
	sess, rerr := client.Dial(addr)
	if rerr != nil {
		tp.Panicf("dial: %v", rerr)
	}
	return client, sess
}

// Of three clients two have entered the room that the text is for.
func ExamplePeer_Broadcast() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "enter", func(ctx tp.PullCtx, room *string) (string, *tp.Rerror) {
		ctx.Public().Store("room", *room) // of this session
		return "welcome to " + *room, nil
	})
	addr := exampleListen(server)

	heard := make(chan string)
	for _, room := range []string{"blue", "red", "blue"} {
		client, sess := exampleClient(addr, heard)
		defer client.Close()
		fmt.Println(tp.Pull[string](sess, "/enter", room))
	}
	count, rerr := announce(server, "blue", "dinner is ready")
	fmt.Printf("%+v %v\n", count, rerr)
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	// Output:
	// welcome to blue <nil>
	// welcome to red <nil>
	// welcome to blue <nil>
	// {Sent:2 Full:0 Failed:0} <nil>
	// dinner is ready
	// dinner is ready
}

// A session that has left is no reason not to tell the others.
func ExamplePreparedPush_Send() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	entered := make(chan tp.Session, 1)
	tp.RegPull(server.PullRouter, "enter", func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
		entered <- ctx.Session()
		return "welcome", nil
	})
	addr := exampleListen(server)

	heard := make(chan string)
	var members []tp.Session
	for range 3 {
		client, sess := exampleClient(addr, heard)
		defer client.Close()
		fmt.Println(tp.Pull[string](sess, "/enter", nil))
		members = append(members, <-entered)
	}
	members[1].Close()
	fmt.Println(tell(server, members, "dinner is ready"))
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	// Output:
	// welcome <nil>
	// welcome <nil>
	// welcome <nil>
	// 1 <nil>
	// dinner is ready
	// dinner is ready
}
