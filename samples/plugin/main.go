// Command plugin hooks into the exchanges of two peers: an access log for all
// pulls of the server, a token check for some of them, and a client that
// shows the token without its callers' doing.
package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

const token = "open sesame"

func main() {
	// A plugin of the peer sees every exchange; one of a group or handler
	// only those, and after routing. Here /admin/stop is guarded.
	srv := tp.NewPeer(&tp.PeerConfig{}, accessLog{})
	defer srv.Close()
	tp.RegPull(srv.PullRouter, "time", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		return "noon", nil
	})
	admin := srv.PullRouter.Group("admin", tokenCheck{token})
	tp.RegPull(admin, "stop", func(tp.PullCtx, *struct{}) (string, *tp.Rerror) {
		return "stopping", nil
	})

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.ServeListener(lis)

	for _, cli := range []*tp.Peer{
		tp.NewPeer(&tp.PeerConfig{}),
		tp.NewPeer(&tp.PeerConfig{}, tokenBearer{token}),
	} {
		sess, rerr := cli.Dial(lis.Addr().String())
		if rerr != nil {
			log.Fatal(rerr)
		}
		for _, uri := range []string{"/time", "/admin/stop", "/nowhere"} {
			reply, rerr := tp.Pull[string](sess, uri, nil)
			if rerr != nil {
				fmt.Printf("client: %s: %s\n", uri, rerr.Message)
			} else {
				fmt.Printf("client: %s: %s\n", uri, reply)
			}
		}
		cli.Close()
	}
}

// accessLog prints a line for each pull that is answered.
type accessLog struct{}

type startKey struct{}

// Name must be unique among the plugins of a peer, group or handler.
func (accessLog) Name() string { return "access log" }

// PostReadPullHeader runs in the goroutine that reads, so it must not block.
// The exchange's context carries the start to the hook below.
func (accessLog) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror {
	ctx.SetContext(context.WithValue(ctx.Context(), startKey{}, time.Now()))
	return nil
}

// PreWriteReply sees every reply, those of pulls without a handler too. (After
// it, in PostWriteReply, the client may have the reply before the line.)
func (accessLog) PreWriteReply(ctx tp.WriteCtx) *tp.Rerror {
	status := "ok"
	if rerr := tp.NewRerrorFromMeta(ctx.Output().Meta()); rerr != nil {
		status = fmt.Sprint(rerr.Code)
	}
	start, _ := ctx.Context().Value(startKey{}).(time.Time)
	fmt.Printf("server: pull %q, %s, in %v\n", ctx.Output().Uri(), status, time.Since(start))
	return nil
}

// tokenCheck refuses pulls without the token.
type tokenCheck struct{ token string }

func (tokenCheck) Name() string { return "token check" }

// PreReadPullBody runs before a stranger's body is decoded. An error that a
// hook returns is the answer, and the handler does not run.
func (c tokenCheck) PreReadPullBody(ctx tp.ReadCtx) *tp.Rerror {
	if subtle.ConstantTimeCompare(ctx.Input().Meta().Peek("token"), []byte(c.token)) != 1 {
		return tp.NewRerror(tp.CodeUnauthorized, "a valid token is needed")
	}
	return nil
}

// tokenBearer adds the token to every pull of a peer.
type tokenBearer struct{ token string }

func (tokenBearer) Name() string { return "token bearer" }

func (b tokenBearer) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	ctx.Output().Meta().Set("token", b.token)
	return nil
}

// A hook with a slip in its name or signature would be no hook: the compiler
// is asked to find out.
var (
	_ tp.PostReadPullHeaderPlugin = accessLog{}
	_ tp.PreWriteReplyPlugin      = accessLog{}
	_ tp.PreReadPullBodyPlugin    = tokenCheck{}
	_ tp.PreWritePullPlugin       = tokenBearer{}
)
