//go:build !unix

package tp

import (
	"fmt"
	"runtime"
	"time"
)

func (s *processState) inherit() {}

// mayRestart returns an error: no listener can be handed to another process.
func (s *processState) mayRestart() error {
	return fmt.Errorf("there is no graceful restart on %s: end the process and start it again", runtime.GOOS)
}

func (s *processState) replace(time.Duration) error { return s.mayRestart() }
