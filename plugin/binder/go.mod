// The binder, in a module of its own, so that the validator and what it needs stay out
// of the library's build list.
//
// The root module is not required here on purpose, and `go mod tidy` cannot be used: see
// internal/configformats/go.mod.
module github.com/henrylee2cn/teleport/plugin/binder

go 1.26.0

require (
	github.com/go-playground/validator/v10 v10.30.6
	github.com/henrylee2cn/goutil v0.0.0-20210127050712-89660552f6f8
)

require (
	github.com/gabriel-vasile/mimetype v1.4.16 // indirect
	github.com/go-playground/locales v0.14.2 // indirect
	github.com/go-playground/universal-translator v0.18.2 // indirect
	github.com/leodido/go-urn v1.5.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
