// Package machine says where a report was made.
package machine

import (
	"bufio"
	"debug/buildinfo"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// peers are the modules whose versions a report names.
var peers = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "storj.io/drpc",
	"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2",
}

// Describe returns a Report without runs, of what these programs will do.
func Describe(programs []string) *result.Report {
	return &result.Report{
		Date:     time.Now().UTC().Format(time.RFC3339),
		CPU:      cpu(),
		Cores:    runtime.NumCPU(),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Go:       runtime.Version(),
		Versions: versions(programs),
	}
}

func versions(programs []string) map[string]string {
	found := map[string]string{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			continue // a report without versions is better than none
		}
		for _, m := range info.Deps {
			if slices.Contains(peers, m.Path) {
				found[m.Path] = m.Version
			}
		}
	}
	return found
}

// cpu returns the name of the processor where /proc has it.
func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
