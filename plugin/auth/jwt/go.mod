// The example of JSON Web Tokens, in a module of its own, so that golang-jwt stays out of
// the library's build list.
//
// The root module is not required here on purpose, and `go mod tidy` cannot be used: see
// internal/configformats/go.mod.
module github.com/henrylee2cn/teleport/plugin/auth/jwt

go 1.25.0

require github.com/golang-jwt/jwt/v5 v5.3.1
