// Package result is what the bench measures, as it is kept.
package result

// Run is one measurement: one stack in one scenario, in one round.
type Run struct {
	Scenario string  `json:"scenario"` // its id, such as "S2" or "P2-S6"
	Stack    string  `json:"stack"`    // such as "raw", "tp", "grpc"
	Round    int     `json:"round"`
	Seconds  float64 `json:"seconds"`
	Calls    int64   `json:"calls"` // or messages delivered, in a broadcast
	PerSec   float64 `json:"per_sec"`

	// Latency in microseconds; 0 where there is none.
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`

	CPU          float64 `json:"cpu_s_per_million"` // of both processes
	ClientAllocs float64 `json:"client_allocs_per_call"`
	ServerAllocs float64 `json:"server_allocs_per_call"`
	ClientBytes  float64 `json:"client_bytes_per_call"`
	ServerBytes  float64 `json:"server_bytes_per_call"`
	ClientRSS    int64   `json:"client_rss"` // bytes, at the end
	ServerRSS    int64   `json:"server_rss"`

	// S7: bytes per idle session on each side.
	ClientSession    float64 `json:"client_session_bytes,omitempty"`     // heap+stack
	ServerSession    float64 `json:"server_session_bytes,omitempty"`     // heap+stack
	ServerSessionRSS float64 `json:"server_session_rss_bytes,omitempty"` // RSS
}

// Report is a whole run of the bench.
type Report struct {
	Date          string            `json:"date"` // RFC 3339
	CPU           string            `json:"cpu"`
	Cores         int               `json:"cores"`
	OS            string            `json:"os"`
	Go            string            `json:"go"`
	Versions      map[string]string `json:"versions"` // module -> version, of the peers measured
	Rounds        int               `json:"rounds"`
	SecondsPerRun float64           `json:"seconds_per_run"`
	Runs          []Run             `json:"runs"`
}
