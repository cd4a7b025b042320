// Package etcd is the driver of package registry for etcd: instances are keys with a
// lease, and a watch tells of them.
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"10.0.0.1:2379"}})
//	reg, err := etcd.New(etcd.Config{Client: client})
//	server := tp.NewPeer(&cfg, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "orders"}))
//
// An instance is the key "/teleport/SERVICE/ID", where the ID is escaped as a segment
// of a path of a URL, and the value is the JSON of registry.Instance. So
//
//	etcdctl get --prefix /teleport/orders/
//
// shows what is there. A user of etcd with roles needs to read and write that prefix.
package etcd
