module github.com/henrylee2cn/teleport

go 1.25.0

require (
	github.com/coder/websocket v1.8.15
	github.com/go-playground/form/v4 v4.2.1
	github.com/goccy/go-json v0.12.0
	github.com/henrylee2cn/goutil v0.0.0-20210127050712-89660552f6f8
	github.com/json-iterator/go v1.1.12
	github.com/klauspost/compress v1.20.3
	github.com/sony/gobreaker/v2 v2.4.0
	github.com/valyala/bytebufferpool v1.0.0
	github.com/vmihailenco/msgpack/v5 v5.4.1
	golang.org/x/net v0.58.0
	golang.org/x/time v0.15.0
	google.golang.org/protobuf v1.36.11
)

require (
	github.com/henrylee2cn/ameda v1.4.8 // indirect
	github.com/modern-go/concurrent v0.0.0-20180228061459-e0a39a4cb421 // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)
