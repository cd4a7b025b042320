package binder_test

import (
	"fmt"
	"net"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/binder"
	"github.com/henrylee2cn/teleport/socket"
)

// ListArgs has a field of the body, and others of the query and the meta data.
type ListArgs struct {
	Words string        `json:"words" validate:"required"`
	Page  int           `param:"query:page" default:"1" validate:"min=1,max=1000"`
	Tags  []string      `param:"query:tag"`
	Wait  time.Duration `param:"query:wait" default:"5s" validate:"max=1m"`
	User  string        `param:"meta:user,required"`
}

func Example() {
	server := tp.NewPeer(&tp.PeerConfig{}, binder.New(binder.Config{}))
	defer server.Close()
	tp.RegPull(server.PullRouter, "list", func(_ tp.PullCtx, args *ListArgs) (string, *tp.Rerror) {
		return fmt.Sprintf("%+v", *args), nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.ServeListener(lis)

	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	words := map[string]string{"words": "old maps"}
	fmt.Println(tp.Pull[string](sess, "/list?tag=sea&tag=map", words, socket.WithAddMeta("user", "ann")))
	_, rerr = tp.Pull[string](sess, "/list?page=0&wait=1h", nil, socket.WithAddMeta("user", "ann"))
	fmt.Println(rerr.Code, rerr.Detail)
	_, rerr = tp.Pull[string](sess, "/list?page=x", words)
	fmt.Println(rerr.Code, rerr.Detail)
	// Output:
	// {Words:old maps Page:1 Tags:[sea map] Wait:5s User:ann} <nil>
	// 400 body "words": fails required; query "page": fails min=1; query "wait": fails max=1m
	// 400 query "page": is no int; meta "user": is missing
}
