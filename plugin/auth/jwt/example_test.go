package jwt_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/golang-jwt/jwt/v5"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
)

// Tokens are mostly made by an identity provider. Here a client makes one by itself, for
// each connection, so that none is old.
func Example() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	key := []byte("32 bytes that nobody else knows.")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewServer(auth.ServerConfig{
		Check: checkJWT(key, "game"),
	}))
	defer server.Close()
	tp.RegPull(server.PullRouter, "whoami", func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
		name, _ := auth.Principal[string](ctx)
		return "you are " + name, nil
	})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.ServeListener(lis)

	call := func(what string, method jwt.SigningMethod, key any, claims jwt.RegisteredClaims) {
		client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewClient(auth.ClientConfig{
			Token: func(context.Context, tp.PreSession) (string, error) {
				return jwt.NewWithClaims(method, claims).SignedString(key)
			},
		}))
		defer client.Close()
		sess, rerr := client.Dial(lis.Addr().String())
		if rerr != nil {
			fmt.Println(what, rerr.Code)
			return
		}
		fmt.Println(tp.Pull[string](sess, "/whoami", nil))
	}
	soon, past := jwt.NewNumericDate(time.Now().Add(time.Minute)), jwt.NewNumericDate(time.Now().Add(-time.Minute))
	call("good", jwt.SigningMethodHS256, key, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}, ExpiresAt: soon})
	call("expired", jwt.SigningMethodHS256, key, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}, ExpiresAt: past})
	call("for ever", jwt.SigningMethodHS256, key, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}})
	call("another audience", jwt.SigningMethodHS256, key, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"bank"}, ExpiresAt: soon})
	call("another key", jwt.SigningMethodHS256, []byte("guess"), jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}, ExpiresAt: soon})
	call("not signed", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}, ExpiresAt: soon})
	call("another algorithm", jwt.SigningMethodHS512, key, jwt.RegisteredClaims{Subject: "ann", Audience: []string{"game"}, ExpiresAt: soon})
	// Output:
	// you are ann <nil>
	// expired 401
	// for ever 401
	// another audience 401
	// another key 401
	// not signed 401
	// another algorithm 401
}
