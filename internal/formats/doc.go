// Package formats tests that each codec and each filter works between two peers, and
// measures what it costs: the tables of doc/codecs.md and doc/filters.md are from
//
//	go test -run '^$' -bench . -benchmem ./internal/formats
//
// Order is the message of protocol buffers in that. Its code was generated with protoc
// 3.21.12 (Debian's protobuf-compiler) and protoc-gen-go 1.36.12.
package formats

//go:generate protoc --go_out=. --go_opt=paths=source_relative order.proto
