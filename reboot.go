package tp

import (
	"errors"
	"fmt"
	"time"
)

// defaultRebootTimeout bounds the wait for a new process that is ready.
const defaultRebootTimeout = 15 * time.Second

// Reboot replaces the process by a new one, which may run a new binary, without
// closing a listening socket. It starts the file that the process was started
// from, as it is now, with the same arguments, environment and working
// directory, and hands on the listeners of Peer.Listen and InheritListener. The
// new process must say that it is ready (see HoldReady) within timeout, 15 s if
// it is not given. Then this one ends like Shutdown, but for connections that it
// has just accepted: they are served and drained too. It exits with code 0 if
// nothing was cut off.
//
// When the new process ends, is not ready in time, or cannot be started,
// Reboot logs that as an error, kills it if it still runs, and returns: this
// process has gone on serving. It does so at once when another Reboot is under
// way, when the process is ending or not ready itself, and where a restart
// cannot work: on other systems than Unix, for process 1 of a container, and
// for the main process of a systemd service without Type=notify.
//
// A handler that calls it waits for itself: use a goroutine there.
func Reboot(timeout ...time.Duration) {
	bound := defaultRebootTimeout
	if len(timeout) > 0 && timeout[0] > 0 {
		bound = timeout[0]
	}
	if !process.restart(bound) {
		return
	}
	peers, drain := process.whatToEnd()
	endProcess("reboot", func() error { return shutdownPeers(peers, drain) })
}

// restart hands over to a new process, which ends this one: see endLocked. When
// it reports false nothing has changed, and it has logged why.
func (s *processState) restart(bound time.Duration) bool {
	failed, err := s.beginRestart()
	if err == nil {
		if err = s.replace(bound); err == nil {
			return true
		}
		defer failed() // a Shutdown that waits for it may exit
	}
	Errorf("reboot: %v; the process goes on", err)
	return false
}

// beginRestart returns why there can be no restart now, or the function that
// must be called when it has failed.
func (s *processState) beginRestart() (failed func(), err error) {
	s.inherit()
	if err := s.mayRestart(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending:
		return nil, errors.New("the process is ending")
	case s.restarting != nil:
		return nil, errors.New("another one is under way")
	case !s.readiness.said:
		return nil, fmt.Errorf("the process is not ready itself: %s", s.notReady())
	}
	done := make(chan struct{})
	s.restarting = done
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.restarting = nil
		close(done)
	}, nil
}

// awaitRestart waits until the restart that ending has called off is over.
func (s *processState) awaitRestart() {
	s.mu.Lock()
	restarting := s.restarting
	s.mu.Unlock()
	if restarting != nil {
		<-restarting
	}
}
