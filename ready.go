package tp

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// leftoverPause is how long inherited listeners that nobody has asked for are
// kept when all peers listen.
const leftoverPause = 2 * time.Second

// notifyTimeout bounds a message to the service manager.
const notifyTimeout = time.Second

// readiness is whether the process has begun to serve. The lock of the
// processState guards it.
type readiness struct {
	holds    int         // of HoldReady
	begun    bool        // something is served, or a hold was released
	leftover *time.Timer // closes the inherited listeners that are left; nil before
	said     bool
}

// HoldReady keeps the process from being ready until release is called: to warm
// up, or because peers that it will have are not made yet. Call it first, before
// any peer listens. Releasing again does nothing.
//
// A process is ready when it serves, every peer that has ListenAddrs and is not
// closed listens, every inherited listener is in use, and nothing is held. It
// becomes so by a Listen, ServeListener, InheritListener or release. An
// inherited listener that nobody has asked for two seconds after the rest is so
// is closed, with a warning. A new process says then to the one that Reboot was
// called in that it may end; under systemd a process says READY=1. A program
// without listeners is ready by HoldReady()().
func HoldReady() (release func()) {
	process.inherit()
	process.mu.Lock()
	defer process.mu.Unlock()
	process.readiness.holds++
	return sync.OnceFunc(func() {
		process.change(func() {
			process.readiness.holds--
			process.readiness.begun = true
		})
	})
}

// serves takes note that a listener is served.
func (s *processState) serves() { s.change(func() { s.readiness.begun = true }) }

// listens takes note that all ListenAddrs of the peer are served.
func (s *processState) listens(p *Peer) {
	s.change(func() {
		if _, open := s.peers[p]; open {
			s.peers[p] = false
		}
		s.readiness.begun = true
	})
}

// change changes something that the process may have waited for to be ready,
// and says so if it is.
func (s *processState) change(fn func()) {
	s.mu.Lock()
	fn()
	ready := s.becomesReady()
	s.mu.Unlock()
	if ready {
		s.sayReady()
	}
}

// becomesReady reports whether the process is ready and has not been before. mu
// is held.
func (s *processState) becomesReady() bool {
	r := &s.readiness
	if r.said || s.ending || s.notReadyBesides() != "" {
		return false
	}
	if len(s.inherited) > 0 {
		if r.leftover == nil {
			r.leftover = time.AfterFunc(leftoverPause, func() { s.change(s.closeLeftover) })
		} else {
			r.leftover.Reset(leftoverPause)
		}
		return false
	}
	r.said = true
	return true
}

// closeLeftover closes the inherited listeners that nobody has asked for, unless
// there is a reason again to wait. mu is held.
func (s *processState) closeLeftover() {
	if s.notReadyBesides() != "" {
		return
	}
	for _, in := range s.inherited {
		Warnf("the inherited listener %s is closed: nothing listens there", in)
		_ = in.lis.Close()
	}
	s.inherited = nil
}

// notReady says what the process waits for. mu is held.
func (s *processState) notReady() string {
	if why := s.notReadyBesides(); why != "" {
		return why
	}
	return fmt.Sprintf("nothing listens on %s, which it inherited", s.inherited[0])
}

// notReadyBesides is notReady but for the inherited listeners.
func (s *processState) notReadyBesides() string {
	if s.readiness.holds > 0 {
		return "it is held by HoldReady"
	}
	for p, waits := range s.peers {
		if waits {
			return "a peer does not listen yet on " + strings.Join(p.cfg.ListenAddrs, ", ")
		}
	}
	if !s.readiness.begun {
		return "it serves nothing"
	}
	return ""
}

// sayReady tells who waits for it.
func (s *processState) sayReady() {
	if s.readyPipe != nil {
		// Its reader answers, or is gone: see awaitTurn.
		_, _ = s.readyPipe.Write([]byte{handshakeByte})
		_ = s.readyPipe.Close()
		return
	}
	s.notify("READY=1")
}

// notify sends the state to the service manager, if there is one that waits for
// it: see sd_notify(3).
func (s *processState) notify(state string) {
	s.inherit()
	if s.notifySocket == "" {
		return
	}
	conn, err := net.Dial("unixgram", s.notifySocket)
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(notifyTimeout))
		_, err = conn.Write([]byte(state))
		_ = conn.Close()
	}
	if err != nil {
		Warnf("cannot tell the service manager %q: %v", state, err)
	}
}
