//go:build unix

package tp_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// staleSocket leaves a socket file behind, as a process that is killed does.
func staleSocket(t *testing.T, path string) {
	t.Helper()
	lis, err := net.Listen("unix", path)
	noError(t, err)
	lis.(*net.UnixListener).SetUnlinkOnClose(false)
	noError(t, lis.Close())
}

func TestStaleSocketFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	staleSocket(t, path)
	p := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"unix://" + path}})
	echo(p)
	listen(t, p, 1)
	noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}), "unix://"+path).Pull("/echo", nil, nil).Rerror())

	inherit := filepath.Join(t.TempDir(), "s")
	staleSocket(t, inherit)
	lis, err := tp.InheritListener("unix", inherit)
	noError(t, err)
	noError(t, lis.Close())
}

// What is served, or is no socket, is not touched.
func TestSocketFileOfAnotherIsLeft(t *testing.T) {
	dir := t.TempDir()
	live := filepath.Join(dir, "live")
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"unix://" + live}})
	echo(srv)
	listen(t, srv, 1)
	file, link, folder := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	noError(t, os.WriteFile(file, nil, 0o600))
	noError(t, os.Mkdir(folder, 0o700))
	stale := filepath.Join(dir, "stale")
	staleSocket(t, stale)
	noError(t, os.Symlink(stale, link))
	paths := []string{live, file, link, folder}
	if runtime.GOOS == "linux" { // elsewhere one that is busy refuses as one that is gone
		busy := filepath.Join(dir, "busy")
		defer fullSocket(t, busy)()
		paths = append(paths, busy)
	}
	for _, path := range paths {
		before, err := os.Lstat(path)
		noError(t, err)
		err = newPeer(t, tp.PeerConfig{ListenAddrs: []string{"unix://" + path}}).Listen()
		if err == nil || errors.Is(err, tp.ErrListenClosed) {
			t.Errorf("Listen on %s: %v", path, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was touched: %v", path, err)
		}
	}
	noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}), "unix://"+live).Pull("/echo", nil, nil).Rerror())
}

// fullSocket listens on a socket whose queue is full, until done is called.
func fullSocket(t *testing.T, path string) (done func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	noError(t, err)
	noError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	noError(t, syscall.Listen(fd, 0))
	conn, err := net.Dial("unix", path)
	noError(t, err)
	return func() { _, _ = conn.Close(), syscall.Close(fd) }
}

// Of many that find a stale file at once, one gets it and serves.
func TestStaleSocketFileOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 200 {
		staleSocket(t, path)
		var all sync.WaitGroup
		got := make(chan net.Listener, 8)
		for range cap(got) {
			all.Go(func() {
				if lis, err := tp.InheritListener("unix", path); err == nil {
					got <- lis
				}
			})
		}
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("%d listen on one socket file", len(got))
		}
		conn, err := net.Dial("unix", path)
		noError(t, err)
		_, _ = conn.Close(), (<-got).Close()
	}
}
