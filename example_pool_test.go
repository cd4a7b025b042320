package tp_test

import (
	"context"
	"fmt"

	tp "github.com/henrylee2cn/teleport"
)

func ExamplePeer_NewPool() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()

	pool, rerr := client.NewPool(exampleListen(server), 4)
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	defer pool.Close()
	var sum int
	fmt.Println(pool.Pull("/add", [2]int{1, 2}, &sum).Rerror(), sum)

	done := make(chan *tp.PullCmd, 100)
	for i := range cap(done) {
		pool.GoPull("/add", [2]int{i, i}, new(int), done)
	}
	for range cap(done) {
		if rerr := (<-done).Rerror(); rerr != nil {
			fmt.Println(rerr)
		}
	}
	fmt.Println("at most 4 sessions:", pool.Len() <= 4)

	sess, rerr := pool.Session(context.Background()) // for the typed Pull, or to keep an order
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	fmt.Println(tp.Pull[int](sess, "/add", [2]int{3, 4}))
	// Output:
	// <nil> 3
	// at most 4 sessions: true
	// 7 <nil>
}
