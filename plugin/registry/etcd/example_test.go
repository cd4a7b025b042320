package etcd_test

import (
	"fmt"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
	"github.com/henrylee2cn/teleport/plugin/registry/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A server that announces itself in etcd, and a client that finds it there. It is not
// run here: there is no etcd at that address.
func Example() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"10.0.0.1:2379", "10.0.0.2:2379"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close() // after the peers
	reg, err := etcd.New(etcd.Config{Client: client})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := tp.NewPeer(&tp.PeerConfig{ListenAddrs: []string{"0.0.0.0:9090"}}, registry.Announce(registry.AnnounceConfig{
		Registry: reg,
		Service:  "orders",
	}))
	defer server.Close()
	go func() { _ = server.Listen() }() // announces; Close withdraws

	orders, err := registry.NewClient(tp.NewPeer(&tp.PeerConfig{}), registry.ClientConfig{Registry: reg, Service: "orders"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer orders.Close()
	var total int
	fmt.Println(orders.Pull("/orders/total", "user-42", &total).Rerror())
}
