// Package registry lets peers find each other: a server announces its addresses and
// routes, a client watches who is there and spreads its calls over them.
//
//	reg := registry.NewStatic() // or NewDNS, or that of package registry/etcd
//	server := tp.NewPeer(&cfg, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "orders"}))
//	...
//	client, err := registry.NewClient(peer, registry.ClientConfig{Registry: reg, Service: "orders"})
//	defer client.Close()
//	rerr := client.Pull("/orders/get", id, &order).Rerror()
//
// [Registry] is what a driver implements. [Static] is a list in memory, [DNS] reads
// SRV, A and AAAA records, and the module plugin/registry/etcd has the driver of
// etcd. [Announcer] is the plugin of the server, [Client] what calls.
package registry
