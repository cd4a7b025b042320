// The packet format and the codec of Apache Thrift, in a module of its own, so that
// thrift stays out of the library's build list.
//
// The root module is not required here on purpose: go.work provides it, as for
// internal/configformats, whose go.mod says more.
//
// thrift needs a newer Go than the root promises.
module github.com/henrylee2cn/teleport/proto/thriftproto

go 1.26.0

require (
	github.com/apache/thrift v0.25.0
	github.com/henrylee2cn/goutil v0.0.0-20210127050712-89660552f6f8
	github.com/valyala/bytebufferpool v1.0.0
)

require (
	github.com/golang/protobuf v1.5.4 // indirect
	github.com/henrylee2cn/ameda v1.4.8 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/modern-go/concurrent v0.0.0-20180228061459-e0a39a4cb421 // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

