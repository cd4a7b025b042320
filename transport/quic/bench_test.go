package quic_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport/quic"
)

// BenchmarkPull pulls an echo over QUIC, and over TLS on TCP to compare with.
func BenchmarkPull(b *testing.B) {
	serverTLS, clientTLS := certificates()
	clientTLS = clientTLS.Clone()
	clientTLS.ServerName = "127.0.0.1"
	for _, over := range []struct {
		name   string
		listen func() (net.Listener, error)
		dial   func(addr string) (net.Conn, error)
	}{
		{
			"quic",
			func() (net.Listener, error) { return quic.New(nil).Listen("127.0.0.1:0", serverTLS) },
			func(addr string) (net.Conn, error) { return quic.New(nil).Dial(b.Context(), addr, clientTLS) },
		},
		{
			"tls",
			func() (net.Listener, error) { return tls.Listen("tcp", "127.0.0.1:0", serverTLS) },
			func(addr string) (net.Conn, error) { return tls.Dial("tcp", addr, clientTLS) },
		},
	} {
		lis, err := over.listen()
		if err != nil {
			b.Fatal(err)
		}
		server, client := tp.NewPeer(&tp.PeerConfig{}), tp.NewPeer(&tp.PeerConfig{})
		tp.RegPull(server.PullRouter, "echo", func(_ tp.PullCtx, body *[]byte) ([]byte, *tp.Rerror) { return *body, nil })
		serve(b, server, lis)
		conn, err := over.dial(lis.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		sess := client.ServeConn(conn)
		b.Cleanup(func() { closePeer(b, client) })
		for _, size := range []struct {
			name  string
			bytes int
		}{{"581B", 581}, {"1MiB", 1 << 20}} {
			body := bytes.Repeat([]byte("x"), size.bytes)
			pull := func() {
				if _, rerr := tp.Pull[[]byte](sess, "/echo", body); rerr != nil {
					b.Error(rerr)
				}
			}
			b.Run(over.name+"/"+size.name+"/1", func(b *testing.B) {
				b.SetBytes(int64(size.bytes))
				for b.Loop() {
					pull()
				}
			})
			if size.bytes < 1000 {
				b.Run(over.name+"/"+size.name+"/100", func(b *testing.B) {
					b.SetBytes(int64(size.bytes))
					b.SetParallelism(50)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							pull()
						}
					})
				})
			}
		}
	}
}
