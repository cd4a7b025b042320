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

// process knows the peers that are not closed, and whether the process ends.
var process processState

type processState struct {
	mu      sync.Mutex // protects following
	peers   map[*Peer]bool
	timeout time.Duration
	ending  bool
}

func (s *processState) add(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers == nil {
		s.peers = make(map[*Peer]bool)
	}
	s.peers[p] = true
}

func (s *processState) remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}

// end marks the process as ending. It reports false when it was already.
func (s *processState) end() (peers []*Peer, timeout time.Duration, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, s.ending = !s.ending, true
	for p := range s.peers {
		peers = append(peers, p)
	}
	if timeout = s.timeout; timeout <= 0 {
		timeout = defaultShutdownTimeout
	}
	return peers, timeout, first
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

// SetShutdown sets how the process ends by GraceSignal or Shutdown: the bound
// of the drain (0 or less is the default of 15 s), what runs before the peers
// are closed, and what runs after it. Both may be nil. Call it before
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
			Reboot()
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
func Shutdown(timeout ...time.Duration) {
	peers, bound, first := process.end()
	if !first {
		select {}
	}
	if len(timeout) > 0 && timeout[0] > 0 {
		bound = timeout[0]
	}
	code := 0
	failed := func(what string, err error) {
		if err != nil {
			Errorf("shutdown: %s: %v", what, err)
			code = 1
		}
	}
	if FirstSweep != nil {
		failed("FirstSweep", FirstSweep())
	}
	failed("closing the peers", shutdownPeers(peers, bound))
	if BeforeExiting != nil {
		failed("BeforeExiting", BeforeExiting())
	}
	Infof("shutdown: done")
	os.Exit(code)
}

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

// Reboot is not supported yet: it logs that, and the process goes on.
func Reboot(timeout ...time.Duration) {
	Errorf("reboot: not supported yet; the process goes on")
}
