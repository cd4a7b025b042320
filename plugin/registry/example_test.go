package registry_test

import (
	"fmt"
	"net"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
)

// A server announces itself, a client finds it. Both have the same registry: one in
// memory here, elsewhere that of plugin/registry/etcd.
func Example() {
	reg := registry.NewStatic()

	server := tp.NewPeer(&tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{
		Registry: reg,
		Service:  "greeter",
	}))
	tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
		return "Hello, " + *name + "!", nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeListener(lis)
	}()

	peer := tp.NewPeer(&tp.PeerConfig{})
	client, err := registry.NewClient(peer, registry.ClientConfig{Registry: reg, Service: "greeter"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tp.Pull[string](client, "/greet", "Ann", tp.WithIdempotent()))

	_ = client.Close()
	_ = peer.Close()
	_ = server.Close() // withdraws first
	<-ended
	// Output: Hello, Ann! <nil>
}

// Calls of one user go to the same server as long as it is there.
func ExampleWithKey() {
	a := registry.Instance{Service: "sessions", Addr: "127.0.0.1:1"}
	b := registry.Instance{Service: "sessions", Addr: "127.0.0.1:2"}
	peer := tp.NewPeer(&tp.PeerConfig{})
	defer peer.Close()
	client, err := registry.NewClient(peer, registry.ClientConfig{
		Registry:    registry.NewStatic(a, b),
		Service:     "sessions",
		Choice:      registry.ConsistentHash,
		WaitTimeout: -1,
		OnError:     func(error) {},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	rerr := client.Pull("/session/get", nil, nil, registry.WithKey("user-42")).Rerror()
	fmt.Println(rerr.Code == tp.CodeDialFailed, rerr.MaybeSent()) // there are no such servers
	// Output: true false
}
