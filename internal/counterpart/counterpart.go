// Package counterpart finds the programs of others that tests talk to.
package counterpart

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Find returns the path of the first of the programs that is in PATH. If there is none
// it skips the test, and says so on standard error, where go test hides no line; with
// TP_NEED_ALL in the environment, as in .ci/run, the test fails. The package is what
// Debian calls it.
func Find(t testing.TB, debian string, programs ...string) string {
	t.Helper()
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing := fmt.Sprintf("%s IS SKIPPED: there is no %s in PATH (Debian: apt-get install %s)", t.Name(), programs[0], debian)
	if os.Getenv("TP_NEED_ALL") != "" {
		t.Fatal(missing)
	}
	fmt.Fprintln(os.Stderr, missing)
	t.Skip(missing)
	return ""
}
