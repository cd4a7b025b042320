package tp

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"time"
)

// defaultShutdownTimeout bounds the drain of the process.
const defaultShutdownTimeout = 15 * time.Second

// FirstSweep and BeforeExiting are what Shutdown runs before and after it
// closes the peers: see SetShutdown.
var FirstSweep, BeforeExiting func() error

// process knows the peers that are not closed, the listeners that it inherited
// and hands on, and whether it is ready, restarts or ends.
var process = processState{peers: make(map[*Peer]bool), ended: make(chan struct{})}

type processState struct {
	inheritOnce sync.Once
	inheritance // set by inherit; but its listeners are protected by mu

	mu         sync.Mutex     // protects following
	peers      map[*Peer]bool // whether one has ListenAddrs and does not listen yet
	readiness  readiness
	shared     []*sharedListener // what a restart hands on, and what has been closed
	restarting chan struct{}     // closed when the restart under way has failed; nil if there is none
	timeout    time.Duration
	ending     bool
	ended      chan struct{} // closed when ending is set
}

func (s *processState) add(p *Peer) {
	s.inherit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[p] = len(p.cfg.ListenAddrs) > 0
}

// remove forgets a closed peer. That alone makes no process ready: it may be the
// first that one closes which has failed.
func (s *processState) remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}

// end marks the process as ending. It reports false when it was already.
func (s *processState) end() (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endLocked()
}

func (s *processState) endLocked() (first bool) {
	if s.ending {
		return false
	}
	s.ending = true
	close(s.ended)
	return true
}

// whatToEnd returns the peers and the bound of the drain.
func (s *processState) whatToEnd() (peers []*Peer, timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.peers {
		peers = append(peers, p)
	}
	if timeout = s.timeout; timeout <= 0 {
		timeout = defaultShutdownTimeout
	}
	return peers, timeout
}

// holdIfEnding does not return when the process is ending: what it still has
// to do is os.Exit's to end.
func (s *processState) holdIfEnding() {
	s.mu.Lock()
	ending := s.ending
	s.mu.Unlock()
	if ending {
		select {}
	}
}

// SetShutdown sets how the process ends by GraceSignal, Shutdown or Reboot: the
// bound of the drain (0 or less is the default of 15 s), what runs before the
// peers are closed, and what runs after it. Both may be nil. Call it before
// GraceSignal.
func SetShutdown(timeout time.Duration, firstSweep, beforeExiting func() error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.timeout = timeout
	FirstSweep, BeforeExiting = firstSweep, beforeExiting
}

// GraceSignal waits for signals and ends the process by them: SIGINT and
// SIGTERM call Shutdown, and a second one of them ends the process at once,
// with exit code 1. SIGUSR2, where there is one, calls Reboot. It does not
// return: run it in a goroutine.
func GraceSignal() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(endSignals, rebootSignals...)...)
	ending := false
	for s := range signals {
		if isReboot(s) {
			Infof("signal %v: restarting", s)
			go Reboot() // one that comes too many is refused
			continue
		}
		if ending {
			Errorf("signal %v again: ending without a drain", s)
			os.Exit(1)
		}
		ending = true
		Infof("signal %v: shutting down", s)
		go Shutdown()
	}
}

func isReboot(s os.Signal) bool {
	for _, r := range rebootSignals {
		if s == r {
			return true
		}
	}
	return false
}

// Shutdown ends the process: it runs FirstSweep, shuts down all peers side by
// side, bounded by timeout or else what SetShutdown set, runs BeforeExiting,
// and exits: with 0, or with 1 when something was cut off or a function failed.
// It does not return. When the process is ending already it only waits.
//
// A Reboot whose new process is not ready yet is called off by it, and the new
// process killed.
func Shutdown(timeout ...time.Duration) {
	if !process.end() {
		select {}
	}
	process.awaitRestart()
	process.notify("STOPPING=1")
	peers, bound := process.whatToEnd()
	if len(timeout) > 0 && timeout[0] > 0 {
		bound = timeout[0]
	}
	endProcess("shutdown", func() error { return shutdownPeers(peers, bound) })
}

// endProcess exits after what SetShutdown set and closing the peers.
func endProcess(why string, closePeers func() error) {
	code := 0
	failed := func(what string, err error) {
		if err != nil {
			Errorf("%s: %s: %v", why, what, err)
			code = 1
		}
	}
	if FirstSweep != nil {
		failed("FirstSweep", FirstSweep())
	}
	failed("closing the peers", closePeers())
	if BeforeExiting != nil {
		failed("BeforeExiting", BeforeExiting())
	}
	Infof("%s: done", why)
	os.Exit(code)
}

// shutdownPeers shuts all of them down side by side.
func shutdownPeers(peers []*Peer, bound time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	errs := make(chan error, len(peers))
	for _, p := range peers {
		go func() { errs <- p.Shutdown(ctx) }() // waited for below
	}
	for range peers {
		if one := <-errs; err == nil {
			err = one
		}
	}
	return err
}
