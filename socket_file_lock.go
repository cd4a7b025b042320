//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package tp

import (
	"os"
	"syscall"
)

// tryLock locks the file against other processes, and reports whether it need not be
// tried again.
func tryLock(file *os.File) bool {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return err != syscall.EWOULDBLOCK && err != syscall.EINTR
}
