package tp_test

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// One HTTP server has the page, its script, and the sessions of the browsers that show it.
func Example_webSocket() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	peer := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
	tp.RegPull(peer.PullRouter.Group("math"), "add", exampleAdd)

	sessions, err := websocket.NewListener(&websocket.Config{
		Origins: []string{"app.example.com"}, // beside pages of this server itself
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/tp", sessions)
	mux.HandleFunc("/teleport.js", websocket.ServeScript)
	mux.Handle("/", http.FileServer(http.Dir("public")))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	lis, err := net.Listen("tcp", "127.0.0.1:0") // or ":80"
	if err != nil {
		log.Fatal(err)
	}
	go web.Serve(lis)
	go peer.ServeListener(sessions)

	client := tp.NewPeer(&tp.PeerConfig{Logger: quiet})
	sess, rerr := client.Dial("ws://" + lis.Addr().String() + "/tp")
	if rerr != nil {
		log.Fatal(rerr)
	}
	sum, rerr := tp.Pull[int](sess, "/math/add", [2]int{1, 2})
	fmt.Println(sum, rerr)

	_ = peer.Close() // drains the sessions
	_ = web.Close()
	_ = client.Close()
	// Output:
	// 3 <nil>
}
