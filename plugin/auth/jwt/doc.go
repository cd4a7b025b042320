// Package jwt holds an example: sessions show JSON Web Tokens, by package auth and
// github.com/golang-jwt/jwt. It is a module of its own so that no user of the library gets
// that one.
package jwt
