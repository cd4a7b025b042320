// Package pb has the protobuf messages of the bench, and its services.
//
// The code was generated with protoc 3.21.12 (Debian's protobuf-compiler),
// protoc-gen-go 1.36.12, protoc-gen-go-grpc 1.6.2 and protoc-gen-go-drpc 1.0.0.
package pb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative --go-drpc_out=. --go-drpc_opt=paths=source_relative,json=false msg.proto
