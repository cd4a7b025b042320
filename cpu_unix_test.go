//go:build unix

package tp_test

import (
	"syscall"
	"time"
)

// processCPU returns how much processor time this process has taken.
func processCPU() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
