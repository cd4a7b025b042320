//go:build unix

package tp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// How a process hands its listeners to the next is the convention of systemd,
// see sd_listen_fds(3): LISTEN_FDS of them are the file descriptors from 3 on,
// and LISTEN_FDNAMES says what they are. But nobody can know the LISTEN_PID of a
// process before it is there. So that no other process takes the variables for
// its own, restartEnv has the pid of the parent instead. After the listeners
// come the two pipes of the handshake.
const (
	firstListenFd = 3
	restartEnv    = "TP_LISTEN_PPID"
)

// inherit reads, once, what the process was given.
func (s *processState) inherit() {
	s.inheritOnce.Do(func() {
		s.notifySocket = takeEnv("NOTIFY_SOCKET")
		restarted := os.Getenv(restartEnv) == strconv.Itoa(os.Getppid())
		if !restarted && os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
			return
		}
		for _, name := range []string{"LISTEN_PID", "LISTEN_PIDFDID", restartEnv} {
			takeEnv(name)
		}
		names := strings.Split(takeEnv("LISTEN_FDNAMES"), ":")
		n, err := strconv.Atoi(takeEnv("LISTEN_FDS"))
		if err != nil || n < 0 {
			n = 0
		}
		names = append(names, make([]string, n)...) // systemd need not name them
		for i := range n {
			in, err := s.inheritFd(firstListenFd+i, names[i], restarted)
			if err != nil {
				Warnf("the inherited file descriptor %d, %q, is no listener for package net and left alone: %v", firstListenFd+i, names[i], err)
				continue
			}
			s.inherited = append(s.inherited, in)
		}
		if restarted {
			s.readyPipe = inheritPipe(firstListenFd+n, "ready")
			s.turnPipe = inheritPipe(firstListenFd+n+1, "turn")
			s.turn = make(chan struct{})
			go s.awaitTurn() // ends when the process before has handed over, or ended
		}
	})
}

// inheritFd makes a listener of a file descriptor that the process has.
func (s *processState) inheritFd(fd int, name string, restarted bool) (*inheritedListener, error) {
	syscall.CloseOnExec(fd)
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return nil, errors.Join(errors.New("it does not listen"), err)
	}
	file := os.NewFile(uintptr(fd), name)
	lis, err := net.FileListener(file)
	if err != nil {
		s.strange = append(s.strange, file)
		return nil, err
	}
	_ = file.Close() // the listener has one of its own
	in := &inheritedListener{lis: lis}
	if restarted {
		in.readName(name)
	} else {
		in.name = name
	}
	return in, nil
}

func inheritPipe(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

// awaitTurn lets the process accept when that before has handed over. One that
// has ended does so too.
func (s *processState) awaitTurn() {
	_, _ = s.turnPipe.Read(make([]byte, 1))
	s.mu.Lock()
	for _, lis := range s.shared {
		lis.setUnlink(true)
	}
	s.mu.Unlock()
	close(s.turn)
	// The process before tells systemd first, and then closes the pipe: this one may
	// not be heard until it is known as the main one.
	_, _ = io.Copy(io.Discard, s.turnPipe)
	_ = s.turnPipe.Close()
	s.notify(fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()))
}

// takeEnv returns a variable of the environment and removes it there, so that
// programs which this one starts do not take it for theirs.
func takeEnv(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name)
	return value
}
