//go:build unix

package tp

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// probeTimeout bounds the look whether somebody listens on a socket file.
	probeTimeout = time.Second
	// fileLockTimeout bounds the wait for others that open a listener beside it.
	fileLockTimeout = time.Second
)

// openListener is net.Listen, but a socket file that nobody listens on any more is
// replaced: a process that was killed could not remove its own.
func openListener(network, addr string) (net.Listener, error) {
	if network != "unix" || addr == "" || strings.HasPrefix(addr, "@") { // "@" has no file
		return net.Listen(network, addr)
	}
	// Another process may be between taking the file and listening on it, or find the
	// same stale one.
	defer lockDir(filepath.Dir(addr))()
	lis, err := net.Listen(network, addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if err := removeStale(addr); err != nil {
			return nil, err
		}
		return net.Listen(network, addr)
	case errors.Is(err, syscall.EINVAL):
		return nil, fmt.Errorf("%w: the path has %d bytes, and the system takes about 100", err, len(addr))
	}
	return lis, err
}

// removeStale removes a socket file that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) { // it was closed meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there, and no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("somebody listens on %s: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // on Linux, one that is busy refuses nobody
		return fmt.Errorf("somebody may listen on %s: %w", path, err)
	}
	return os.Remove(path)
}

// lockDir keeps other processes that do so too from listening in the directory, until
// the function that it returns is called. It does without where that is not possible.
func lockDir(dir string) (unlock func()) {
	file, err := os.Open(dir)
	if err != nil {
		return nothing
	}
	for end := time.Now().Add(fileLockTimeout); !tryLock(file) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = file.Close() } // which unlocks it
}
