//go:build unix

package usage

import "syscall"

// Files returns how many files a process may open, as Go raises it at the
// start; 0 means that it is not known.
func Files() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(r.Max, 1<<30))
}
