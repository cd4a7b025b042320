// Package pb has the protobuf messages of the bench. The services that carry them
// are generated from echo.proto into the programs that have them.
//
// The code was generated with protoc 3.21.12 (Debian's protobuf-compiler),
// protoc-gen-go 1.36.12, protoc-gen-go-grpc 1.6.2 and protoc-gen-go-drpc 1.0.0.
package pb

//go:generate protoc --go_out=. --go_opt=paths=source_relative msg.proto
//go:generate protoc --go-grpc_out=../../stacks/grpc --go-grpc_opt=paths=source_relative,Mecho.proto=github.com/henrylee2cn/teleport/bench/stacks/grpc;main echo.proto
//go:generate protoc --go-drpc_out=../../stacks/drpc --go-drpc_opt=paths=source_relative,json=false,Mecho.proto=github.com/henrylee2cn/teleport/bench/stacks/drpc;main echo.proto
