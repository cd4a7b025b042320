// The conversation over all transports, formats, codecs and filters, in a module of
// its own, since it needs the dependencies of all of them. The root and the nested
// modules are not required here: go.work provides them, as internal/configformats
// explains.
module github.com/henrylee2cn/teleport/internal/matrix

go 1.25.0

require (
	github.com/apache/thrift v0.25.0
	google.golang.org/protobuf v1.36.11
)
