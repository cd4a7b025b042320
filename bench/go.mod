// The benchmark, in a module of its own, so that what teleport is compared with
// stays out of the library's build list.
//
// The root module is not required here on purpose: go.work provides it, as for
// internal/configformats, whose go.mod says more. A dependency is added by a
// line below, and what `go mod tidy` would add to it with a replace line for
// the root, which is taken out again afterwards.
//
// The versions are the newest that build with the Go that the root promises:
// go.work ties the modules together, and would raise it for all.
module github.com/henrylee2cn/teleport/bench

go 1.25.0

require (
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.11
)

require (
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800 // indirect
)
