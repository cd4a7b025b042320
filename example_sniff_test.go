package tp_test

import (
	"fmt"
	"io"
	"net/http"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/sniff"
)

// One address serves sessions and an HTTP server. With TLS files in the PeerConfig, both
// are behind TLS.
func Example_onePort() {
	peer := tp.NewPeer(&tp.PeerConfig{})
	defer peer.Close()
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
	site := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "welcome")
	})}
	defer site.Close()
	go site.Serve(web)
	go peer.ServeListener(port)

	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		tp.Fatalf("%v", rerr)
	}
	fmt.Println(tp.Pull[int](sess, "/add", [2]int{1, 2}))

	resp, err := http.Get("http://" + lis.Addr().String())
	if err != nil {
		tp.Fatalf("%v", err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	http.DefaultClient.CloseIdleConnections()
	fmt.Println(string(page))
	// Output:
	// 3 <nil>
	// welcome
}
