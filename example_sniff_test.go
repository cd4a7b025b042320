package tp_test

import (
	"fmt"
	"io"
	"net/http"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/sniff"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// One address serves sessions, a web site, and the sessions of its pages over WebSockets.
// With TLS files in the PeerConfig, all are behind TLS.
func Example_onePort() {
	peer := tp.NewPeer(&tp.PeerConfig{})
	tp.RegPull(peer.PullRouter, "add", exampleAdd)

	lis, err := tp.InheritListener("tcp", "127.0.0.1:0") // a restart hands it on
	if err != nil {
		tp.Fatalf("%v", err)
	}
	web := sniff.NewBranch(lis.Addr())
	port, err := sniff.New(lis, &sniff.Config{
		Rules: []sniff.Rule{
			{Match: sniff.Fast},
			{Match: sniff.HTTP, Handle: web.Hand},
		},
		Silent: &sniff.Rule{}, // a client that only waits for pushes
	})
	if err != nil {
		tp.Fatalf("%v", err)
	}
	sockets, err := websocket.NewListener(nil)
	if err != nil {
		tp.Fatalf("%v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/tp", sockets)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") })
	site := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go site.Serve(web)
	go peer.ServeListener(port)
	go peer.ServeListener(sockets)

	client := tp.NewPeer(&tp.PeerConfig{})
	for _, addr := range []string{lis.Addr().String(), "ws://" + lis.Addr().String() + "/tp"} {
		sess, rerr := client.Dial(addr)
		if rerr != nil {
			tp.Fatalf("%v", rerr)
		}
		fmt.Println(tp.Pull[int](sess, "/add", [2]int{1, 2}))
	}
	resp, err := http.Get("http://" + lis.Addr().String())
	if err != nil {
		tp.Fatalf("%v", err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(page))

	client.Close()
	peer.Close() // drains the sessions
	site.Close()
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// 3 <nil>
	// 3 <nil>
	// welcome
}
