package matrix

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/httproto"
	"github.com/henrylee2cn/teleport/proto/jsonproto"
	"github.com/henrylee2cn/teleport/proto/sniff"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// One address serves FastProto, lines of JSON, HTTP and WebSockets, each with and
// without TLS, with the packages that are for them.
func TestOneAddress(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sockets := sniff.NewBranch(lis.Addr())
	port, err := sniff.New(lis, &sniff.Config{
		PlainToo: true,
		Rules: []sniff.Rule{
			{Match: sniff.Fast},
			{Match: sniff.JSON, Proto: jsonproto.NewProtoFunc()},
			{Match: sniff.WebSocket, Handle: sockets.Hand},
			{Match: sniff.HTTP, Proto: httproto.NewProtoFunc()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	web, err := websocket.Serve(sockets, &websocket.Config{Path: "/tp"})
	if err != nil {
		t.Fatal(err)
	}
	srv := tp.NewPeer(&tp.PeerConfig{})
	srv.SetTLSConfig(serverTLS(t))
	tp.RegPull(srv.PullRouter, "add", func(_ tp.PullCtx, args *[]int) (int, *tp.Rerror) {
		sum := 0
		for _, n := range *args {
			sum += n
		}
		return sum, nil
	})
	served := make(chan error, 2)
	for _, lis := range []net.Listener{port, web} {
		go func() { served <- srv.ServeListener(lis) }()
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-served; !errors.Is(err, tp.ErrListenClosed) {
				t.Error(err)
			}
		}
	})

	addr := lis.Addr().String()
	for _, secure := range []bool{false, true} {
		cli := tp.NewPeer(&tp.PeerConfig{DefaultPullTimeout: patience})
		defer cli.Close()
		page := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS(t), DisableKeepAlives: true}}
		schemes := map[string]string{"http": "http://", "ws": "ws://"}
		if secure {
			cli.SetTLSConfig(clientTLS(t))
			schemes = map[string]string{"http": "https://", "ws": "wss://"}
		}
		for name, dial := range map[string]func() (tp.Session, *tp.Rerror){
			"fast":      func() (tp.Session, *tp.Rerror) { return cli.Dial(addr) },
			"json":      func() (tp.Session, *tp.Rerror) { return cli.Dial(addr, jsonproto.NewProtoFunc()) },
			"http":      func() (tp.Session, *tp.Rerror) { return cli.Dial(addr, httproto.NewProtoFunc()) },
			"websocket": func() (tp.Session, *tp.Rerror) { return cli.Dial(schemes["ws"] + addr + "/tp") },
		} {
			sess, rerr := dial()
			if rerr != nil {
				t.Errorf("%s, TLS %t: %v", name, secure, rerr)
				continue
			}
			if sum, rerr := tp.Pull[int](sess, "/add", []int{1, 2, 3}); sum != 6 {
				t.Errorf("%s, TLS %t: %d, %v", name, secure, sum, rerr)
			}
		}
		resp, err := page.Post(schemes["http"]+addr+"/add", "application/json", strings.NewReader("[1,2,3]"))
		if err != nil {
			t.Errorf("HTTP, TLS %t: %v", secure, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != "6" {
			t.Errorf("HTTP, TLS %t: %s, %q, %v", secure, resp.Status, body, err)
		}
	}
	if _, err := tls.Dial("tcp", addr, &tls.Config{MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}
