package auth_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/golang-jwt/jwt/v5"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
)

// exampleServe serves p on a free port of loopback, until p is closed.
func exampleServe(p *tp.Peer) (addr string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tp.Panicf("%v", err)
	}
	go p.ServeListener(lis)
	return lis.Addr().String()
}

// whoami answers who calls.
func whoami(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
	name, _ := auth.Principal[string](ctx)
	return "you are " + name, nil
}

func Example() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewServer(auth.ServerConfig{
		Check: auth.Tokens(map[string]any{"s3cret": "ann"}),
	}))
	defer server.Close()
	tp.RegPull(server.PullRouter, "whoami", whoami)
	addr := exampleServe(server)

	for _, token := range []string{"s3cret", "guess"} {
		client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewClient(auth.ClientConfig{
			Token: auth.Token(token),
		}))
		sess, rerr := client.Dial(addr)
		if rerr == nil {
			fmt.Println(tp.Pull[string](sess, "/whoami", nil))
		} else {
			fmt.Println(rerr)
		}
		_ = client.Close()
	}
	// Output:
	// you are ann <nil>
	// {"code":401,"message":"Unauthorized","detail":"the token is not valid"}
}

// checkJWT returns a check of JSON Web Tokens that were signed with key by HMAC
// SHA-256, for the audience, and that have not expired. What it is not told to
// insist on, the parser lets pass: the algorithm (a token can ask for "none"), that
// there is an expiry at all, and whom it is for.
func checkJWT(key []byte, audience string) auth.CheckFunc {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithAudience(audience),
	)
	return func(_ context.Context, token string, _ tp.PreSession) (any, *tp.Rerror) {
		var claims jwt.RegisteredClaims
		_, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return key, nil })
		if err != nil || claims.Subject == "" {
			return nil, tp.NewRerror(tp.CodeUnauthorized, tp.CodeText(tp.CodeUnauthorized), "the token is not valid")
		}
		return claims.Subject, nil
	}
}

// Tokens with an identity provider's signature. A client makes one here itself, for
// each connection, so that none is old.
func Example_jwt() {
	quiet, _ := tp.NewLogger(nil, "OFF")
	key := []byte("32 bytes that nobody else knows.")
	server := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewServer(auth.ServerConfig{
		Check: checkJWT(key, "game"),
	}))
	defer server.Close()
	tp.RegPull(server.PullRouter, "whoami", whoami)
	addr := exampleServe(server)

	call := func(what string, method jwt.SigningMethod, key any, claims jwt.RegisteredClaims) {
		client := tp.NewPeer(&tp.PeerConfig{Logger: quiet}, auth.NewClient(auth.ClientConfig{
			Token: func(context.Context, tp.PreSession) (string, error) {
				return jwt.NewWithClaims(method, claims).SignedString(key)
			},
		}))
		defer client.Close()
		sess, rerr := client.Dial(addr)
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
