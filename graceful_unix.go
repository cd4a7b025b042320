//go:build unix

package tp

import (
	"os"
	"syscall"
)

var (
	endSignals    = []os.Signal{os.Interrupt, syscall.SIGTERM}
	rebootSignals = []os.Signal{syscall.SIGUSR2}
)
