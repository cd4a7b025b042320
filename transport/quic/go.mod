// The QUIC transport, in a module of its own, so that quic-go stays out of the
// library's build list.
//
// The root module is not required here on purpose: go.work provides it, as for
// internal/configformats, whose go.mod says more.
//
// quic-go needs a newer Go than the root promises.
module github.com/henrylee2cn/teleport/transport/quic

go 1.26.0

require (
	github.com/quic-go/quic-go v0.65.0
	golang.org/x/net v0.60.0
)

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

