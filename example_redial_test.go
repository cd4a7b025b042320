package tp_test

import (
	"context"
	"fmt"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// newClient returns a peer whose sessions dial again, for ever.
func newClient() *tp.Peer {
	return tp.NewPeer(&tp.PeerConfig{
		RedialTimes: -1,
		OnRedial: func(sess tp.Session, rerr *tp.Rerror) {
			if rerr == nil {
				tp.Infof("session %s: connected again", sess.Id())
			}
		},
	})
}

// fetch reads, which may happen twice. It waits for a connection if there is none,
// and is sent again on the next one if its own is lost, within two seconds in all.
func fetch(sess tp.Session, key string) (string, *tp.Rerror) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return tp.Pull[string](sess, "/fetch", key, tp.WithContext(ctx), tp.WithIdempotent())
}

// pay must not happen twice. It says when nobody knows whether it has happened.
func pay(sess tp.Session, cents int) (unsure bool, rerr *tp.Rerror) {
	_, rerr = tp.Pull[string](sess, "/pay", cents)
	return rerr != nil && rerr.MaybeSent(), rerr
}

func ExampleWithIdempotent() {
	srv := tp.NewPeer(&tp.PeerConfig{})
	defer srv.Close()
	tp.RegPull(srv.PullRouter, "fetch", func(_ tp.PullCtx, key *string) (string, *tp.Rerror) {
		return "the value of " + *key, nil
	})
	tp.RegPull(srv.PullRouter, "pay", func(_ tp.PullCtx, cents *int) (string, *tp.Rerror) {
		return "", tp.NewRerror(1000, "too much", "")
	})
	cli := newClient()
	defer cli.Close()
	sess, rerr := cli.Dial(exampleListen(srv))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	fmt.Println(fetch(sess, "x"))
	unsure, rerr := pay(sess, 1)
	fmt.Println(unsure, rerr.Message)
	// Output:
	// the value of x <nil>
	// true too much
}

func ExamplePeer_Stats() {
	srv := tp.NewPeer(&tp.PeerConfig{})
	defer srv.Close()
	cli := tp.NewPeer(&tp.PeerConfig{})
	defer cli.Close()
	sess, rerr := cli.Dial(exampleListen(srv))
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	fmt.Println(sess.Pull("/nobody", nil, nil).Rerror().Code)
	stats := cli.Stats()
	fmt.Println(stats.Sessions, "session, dialled:", stats.Dialled, "- packets out:", stats.Traffic.PacketsOut > 0)
	fmt.Println("refused:", srv.Stats().Refused)
	// Output:
	// 404
	// 1 session, dialled: 1 - packets out: true
	// refused: map[]
}
