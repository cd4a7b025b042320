// Package leak fails a test run that leaves goroutines behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines that are about to end may take.
const patience = 10 * time.Second

// Main runs the tests of a package and fails the run when goroutines of
// theirs are left at its end:
//
//	func TestMain(m *testing.M) { leak.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := await(patience); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "FAIL: %d goroutines are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// await returns the goroutines that are still there after at most d.
func await(d time.Duration) []string {
	for end := time.Now().Add(d); ; time.Sleep(10 * time.Millisecond) {
		left := others()
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// others returns the stacks of all goroutines but those of the runtime, of
// package testing, and the caller's.
func others() []string {
	buf := make([]byte, 1<<20)
	for n := runtime.Stack(buf, true); n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
	for _, stack := range strings.Split(string(buf), "\n\n")[1:] {
		if !expected(strings.TrimSpace(stack)) {
			left = append(left, stack)
		}
	}
	return left
}

func expected(stack string) bool {
	if stack == "" {
		return true
	}
	for _, part := range []string{
		"os/signal.signal_recv", "os/signal.loop", "runtime.ensureSigM",
		"testing.(*M).", "testing.runFuzzing", "testing.runFuzzTests",
	} {
		if strings.Contains(stack, part) {
			return true
		}
	}
	return false
}
