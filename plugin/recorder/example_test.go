package recorder_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
	"github.com/henrylee2cn/teleport/plugin/recorder"
	"github.com/henrylee2cn/teleport/socket"
)

func Example() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutWhatVaries})
	log := recorder.New(recorder.Config{
		Handler: handler,
		Bodies:  1 << 10,
		Meta:    true,
		Slow:    time.Minute,
	})
	server := tp.NewPeer(&tp.PeerConfig{}, log)
	tp.RegPull(server.PullRouter, "greet", func(_ tp.PullCtx, name *string) (string, *tp.Rerror) {
		return "Hello, " + *name + "!", nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.ServeListener(lis)

	client := tp.NewPeer(&tp.PeerConfig{})
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	sess.Pull("/nowhere", nil, nil)
	sess.Pull("/greet?lang=en", "Ann", nil, socket.WithAddMeta("token", "s3cret"))

	_ = client.Close()
	_ = server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(log.Close(ctx))
	// Output:
	// level=WARN msg=handled kind=pull uri=/nowhere seq=0 code=404 error="Not Found: no handler of /nowhere" meta="" reply_body=null
	// level=INFO msg=handled kind=pull uri="/greet?lang=en" route=/greet seq=1 code=0 meta="token=%5Bredacted%5D" body="\"Ann\"" reply_body="\"Hello, Ann!\""
	// <nil>
}

// With plugin/auth, the log tells who calls.
func ExampleConfig_attrs() {
	log := recorder.New(recorder.Config{
		Handler: slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutWhatVaries}),
		Attrs: func(ctx tp.ExchangeCtx) []slog.Attr {
			user, _ := auth.Principal[string](ctx.Session())
			return []slog.Attr{slog.String("user", user)}
		},
	})
	server := tp.NewPeer(&tp.PeerConfig{}, log, auth.NewServer(auth.ServerConfig{
		Check: auth.Tokens(map[string]any{"s3cret": "ann"}),
	}))
	tp.RegPull(server.PullRouter, "add", func(_ tp.PullCtx, n *[2]int) (int, *tp.Rerror) { return n[0] + n[1], nil })
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.ServeListener(lis)

	client := tp.NewPeer(&tp.PeerConfig{}, auth.NewClient(auth.ClientConfig{Token: auth.Token("s3cret")}))
	sess, rerr := client.Dial(lis.Addr().String())
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	sess.Pull("/add", [2]int{1, 2}, nil)

	_ = client.Close()
	_ = server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(log.Close(ctx))
	// Output:
	// level=INFO msg=handled kind=pull uri=/add route=/add seq=0 code=0 user=ann
	// <nil>
}

// withoutWhatVaries leaves out what is another in each run.
func withoutWhatVaries(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "session", "ip", "cost", "in", "out", "reply_meta":
		return slog.Attr{}
	}
	return a
}
