package jwt_test

import (
	"context"

	"github.com/golang-jwt/jwt/v5"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
)

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
