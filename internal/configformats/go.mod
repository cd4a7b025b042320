// A test of PeerConfig in YAML and INI, in a module of its own, so that the
// parsers stay out of the library's build list.
//
// The root module is not required here on purpose: go.work provides it. A
// require line would need a version that the module proxy has (for v0.0.0 the
// go command asks there, workspace or not, and fails), and a replace line is
// not wanted. For the same reason `go mod tidy` cannot be used here: it does
// not look at go.work. A dependency is added by a line below and
//
//	GOWORK=off go mod download MODULE
//
// which fills in go.sum, and `go test ./...`, which fills in go.work.sum.
module github.com/henrylee2cn/teleport/internal/configformats

go 1.25.0

require (
	gopkg.in/ini.v1 v1.67.3
	gopkg.in/yaml.v3 v3.0.1
)
