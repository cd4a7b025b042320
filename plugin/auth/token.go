package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	tp "github.com/henrylee2cn/teleport"
)

// Token returns a TokenFunc that always shows the same.
func Token(token string) TokenFunc {
	return func(context.Context, tp.PreSession) (string, error) { return token, nil }
}

// Tokens returns a CheckFunc that knows tokens and whose they are, and refuses all
// others with 401. How long it takes tells nothing about them but how many there
// are: it compares with each, by their SHA-256. It copies the map. It panics if a
// token is empty, since that is what shows who has none.
func Tokens(principals map[string]any) CheckFunc {
	type known struct {
		sum       [sha256.Size]byte
		principal any
	}
	all := make([]known, 0, len(principals))
	for token, principal := range principals {
		if token == "" {
			panic("auth: Tokens: one of the tokens is empty")
		}
		all = append(all, known{sha256.Sum256([]byte(token)), principal})
	}
	return func(_ context.Context, token string, _ tp.PreSession) (any, *tp.Rerror) {
		sum := sha256.Sum256([]byte(token))
		found := -1
		for i := range all {
			found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], all[i].sum[:]), i, found)
		}
		if found < 0 {
			return nil, tp.NewRerror(tp.CodeUnauthorized, tp.CodeText(tp.CodeUnauthorized), "the token is not valid")
		}
		return all[found].principal, nil
	}
}
