// The plugin of OpenTelemetry, in a module of its own, so that its API stays out of
// the library's build list.
//
// The root module is not required here on purpose: go.work provides it, as for
// internal/configformats, whose go.mod says more. A dependency is added by a
// line below, and what `go mod tidy` would add to it with a replace line for
// the root, which is taken out again afterwards.
module github.com/henrylee2cn/teleport/plugin/otel

go 1.26.0

require (
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.47.0
	go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp v1.47.0
	go.opentelemetry.io/otel/metric v1.47.0
	go.opentelemetry.io/otel/sdk v1.47.0
	go.opentelemetry.io/otel/sdk/metric v1.47.0
	go.opentelemetry.io/otel/trace v1.47.0
	go.opentelemetry.io/proto/otlp v1.11.1
	google.golang.org/protobuf v1.36.12
)
