//go:build unix

package tp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// exitPause is how long a new process may take to end, by itself after it has
// closed its pipe or when it was killed.
const exitPause = 5 * time.Second

// started is how the process was started. The program may change any of it
// before there is a peer, so it is kept from the beginning.
var started = newInvocation()

type invocation struct {
	args   []string
	dir    string
	dirErr error
}

func newInvocation() invocation {
	dir, err := os.Getwd()
	return invocation{slices.Clone(os.Args), dir, err}
}

// path returns the file that the process was started from. It may be another
// one by now, also because a symbolic link leads elsewhere.
func (s invocation) path() (string, error) {
	if len(s.args) == 0 {
		return os.Executable()
	}
	name := s.args[0]
	if !strings.Contains(name, "/") {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		return os.Executable() // the name was only one
	}
	if !filepath.IsAbs(name) {
		if s.dirErr != nil {
			return "", s.dirErr
		}
		name = filepath.Join(s.dir, name)
	}
	return exec.LookPath(name)
}

// replace starts the next process and hands over to it. With an error it has
// ended that.
func (s *processState) replace(bound time.Duration) error {
	next, err := s.startNext()
	if err != nil {
		return err
	}
	defer next.closePipes()
	if err := s.handOverWithin(next, bound); err != nil {
		return fmt.Errorf("the new process %d %w", next.cmd.Process.Pid, err)
	}
	return nil
}

// mayRestart returns an error where the end of this process would end the next
// one as well.
func (s *processState) mayRestart() error {
	pid := strconv.Itoa(os.Getpid())
	if pid == "1" {
		return errors.New("this is process 1: the container would end with it; run the program under an init process")
	}
	if s.notifySocket == "" && os.Getenv("SYSTEMD_EXEC_PID") == pid {
		return errors.New("the systemd service would end with this process: its unit needs Type=notify")
	}
	return nil
}

// nextProcess is the new process, until it is ready.
type nextProcess struct {
	cmd    *exec.Cmd
	shared []*sharedListener
	ready  *os.File      // read from
	turn   *os.File      // written to
	said   chan bool     // whether it has said that it is ready, and not closed the pipe
	exited chan struct{} // closed when it has ended
}

// startNext starts the new process. Its two goroutines end with it, and with
// closePipes.
func (s *processState) startNext() (*nextProcess, error) {
	path, err := started.path()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.shared = slices.DeleteFunc(s.shared, (*sharedListener).closed)
	n := &nextProcess{
		shared: slices.Clone(s.shared),
		said:   make(chan bool, 1),
		exited: make(chan struct{}),
	}
	s.mu.Unlock()
	n.cmd = &exec.Cmd{
		Path: path, Args: started.args, Dir: started.dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	defer func() { // what the new process has now
		for _, file := range n.cmd.ExtraFiles {
			_ = file.Close()
		}
	}()
	names := make([]string, len(n.shared))
	for i, lis := range n.shared {
		file, err := lis.file()
		if err != nil {
			return nil, fmt.Errorf("the listener %s: %w", addrText(lis.lis.Addr()), err)
		}
		n.cmd.ExtraFiles = append(n.cmd.ExtraFiles, file)
		names[i] = lis.fdName()
	}
	n.cmd.Env = append(environment(),
		restartEnv+"="+strconv.Itoa(os.Getpid()),
		"LISTEN_FDS="+strconv.Itoa(len(names)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"))
	if s.notifySocket != "" {
		n.cmd.Env = append(n.cmd.Env, "NOTIFY_SOCKET="+s.notifySocket)
	}
	if err := n.openPipes(); err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		n.closePipes()
		return nil, err
	}
	go func() {
		got, _ := n.ready.Read(make([]byte, 1))
		n.said <- got == 1
	}()
	go func() {
		_ = n.cmd.Wait()
		close(n.exited)
	}()
	return n, nil
}

// environment returns that of the process, without what another must not take
// for its own.
func environment() []string {
	pid := strconv.Itoa(os.Getpid())
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", restartEnv:
			return true
		case "WATCHDOG_PID": // without it, it is for every process of the service
			return value == pid
		}
		return false
	})
}

// file returns a file of the listener's socket. That of its method File would
// make the socket block, in this process too.
func (l *sharedListener) file() (file *os.File, err error) {
	raw, err := l.lis.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	dupErr := raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock() // no other child may get it
		defer syscall.ForkLock.RUnlock()
		var dup int
		if dup, err = syscall.Dup(int(fd)); err == nil {
			syscall.CloseOnExec(dup)
			file = os.NewFile(uintptr(dup), l.addr)
		}
	})
	return file, errors.Join(dupErr, err)
}

func (n *nextProcess) openPipes() error {
	ready, itsReady, err := os.Pipe()
	if err != nil {
		return err
	}
	itsTurn, turn, err := os.Pipe()
	if err != nil {
		_, _ = ready.Close(), itsReady.Close()
		return err
	}
	n.ready, n.turn = ready, turn
	n.cmd.ExtraFiles = append(n.cmd.ExtraFiles, itsReady, itsTurn)
	return nil
}

func (n *nextProcess) closePipes() { _, _ = n.ready.Close(), n.turn.Close() }

// handOverWithin waits until the new process is ready and hands over. With an
// error the new process has been ended.
func (s *processState) handOverWithin(n *nextProcess, bound time.Duration) error {
	timeout := time.NewTimer(bound)
	defer timeout.Stop()
	select {
	case ready := <-n.said:
		if !ready {
			n.end(exitPause) // it ends by itself, most probably
			return fmt.Errorf("ended before it was ready: %v", n.cmd.ProcessState)
		}
		if err := s.handOver(n); err != nil {
			n.end(0)
			return err
		}
		pid := n.cmd.Process.Pid
		s.notify(fmt.Sprintf("MAINPID=%d", pid))
		Infof("reboot: process %d has taken over", pid)
		return nil
	case <-n.exited:
		return fmt.Errorf("ended before it was ready: %v", n.cmd.ProcessState)
	case <-timeout.C:
		n.end(0)
		return fmt.Errorf("was not ready in %v", bound)
	case <-s.ended:
		n.end(0)
		return errors.New("is not needed: this one is ending")
	}
}

// handOver lets the new process accept, and marks this one as ending.
func (s *processState) handOver(n *nextProcess) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return errors.New("is not needed: this one is ending")
	}
	for _, lis := range n.shared { // the socket file is the other's
		lis.setUnlink(false)
	}
	if _, err := n.turn.Write([]byte{handshakeByte}); err != nil { // its room is never full
		for _, lis := range n.shared {
			lis.setUnlink(true)
		}
		return fmt.Errorf("ended when it was ready: %w", err)
	}
	s.endLocked()
	return nil
}

// end kills the new process if it does not end by itself, and waits for its end.
func (n *nextProcess) end(pause time.Duration) {
	for _, kill := range []bool{false, true} {
		if kill {
			_ = n.cmd.Process.Kill() // our own child, and not waited for
			pause = exitPause
		}
		select {
		case <-n.exited:
			return
		case <-time.After(pause):
		}
	}
	Errorf("reboot: the new process %d was killed and has not ended in %v", n.cmd.Process.Pid, exitPause)
}
