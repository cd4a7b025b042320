package etcd_test

import (
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// etcdServer is an etcd of one member in this process.
type etcdServer struct {
	t         *testing.T
	etcd      *embed.Etcd // nil while it is stopped
	dir       string
	addr      url.URL // for clients
	peerAddr  url.URL
	endpoints []string
}

func newEtcd(t *testing.T) *etcdServer {
	t.Helper()
	s := &etcdServer{t: t, dir: t.TempDir(), addr: freeAddr(t), peerAddr: freeAddr(t)}
	s.endpoints = []string{s.addr.Host}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func freeAddr(t *testing.T) url.URL {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return url.URL{Scheme: "http", Host: lis.Addr().String()}
}

// start starts it with the data that it has, on its addresses.
func (s *etcdServer) start() {
	s.t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = s.dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{s.addr}, []url.URL{s.addr}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{s.peerAddr}, []url.URL{s.peerAddr}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.UnsafeNoFsync = true
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.etcd = e
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		s.t.Fatal(err)
	case <-time.After(patience):
		s.t.Fatal("etcd is not ready")
	}
}

func (s *etcdServer) stop() {
	if s.etcd != nil {
		s.etcd.Close()
		s.etcd = nil
	}
}

// client returns a connection to it.
func (s *etcdServer) client() *clientv3.Client {
	s.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: s.endpoints, Logger: zap.NewNop(), DialOptions: []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond}}),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// registry returns one that is quick to try again.
func (s *etcdServer) registry() *etcd.Registry {
	s.t.Helper()
	r, err := etcd.New(etcd.Config{Client: s.client(), RetryPause: 20 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// quiet returns a peer that logs to nowhere and is closed at the test's end.
func quiet(t testing.TB, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	logger, err := tp.NewLogger(io.Discard, "OFF")
	if err != nil {
		t.Fatal(err)
	}
	p := tp.NewPeer(&tp.PeerConfig{Logger: logger}, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func receive[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("nothing came in %v", patience)
	}
	return v
}
