package tp_test

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

func TestListen(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"127.0.0.1:0", "127.0.0.1:0"}})
	echo(p)
	listened := make(chan error, 1)
	go func() { listened <- p.Listen() }()
	eventually(t, "it listens", func() bool { return len(p.Addrs()) == 2 })
	cli := newPeer(t, tp.PeerConfig{})
	for _, addr := range p.Addrs() {
		if addr.(*net.TCPAddr).Port == 0 {
			t.Errorf("Addrs has %v", addr)
		}
		noRerror(t, dial(t, cli, addr.String()).Pull("/echo", nil, nil).Rerror())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, listened); err != tp.ErrListenClosed || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen returned %v", err)
	}
	if err := p.Listen(); !errors.Is(err, tp.ErrListenClosed) {
		t.Errorf("Listen of a closed peer returned %v", err)
	}
}

// Listen returns after the drain, not before.
func TestListenReturnsAfterTheDrain(t *testing.T) {
	p, begun, release := slowPeer(t, tp.PeerConfig{ListenAddrs: []string{"127.0.0.1:0"}})
	listened := make(chan error, 1)
	go func() { listened <- p.Listen() }()
	eventually(t, "it listens", func() bool { return len(p.Addrs()) == 1 })
	done := make(chan *tp.PullCmd, 1)
	dial(t, newPeer(t, tp.PeerConfig{}), p.Addrs()[0].String()).GoPull("/slow", nil, nil, done)
	receive(t, begun)
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	eventually(t, "the listener is closed", func() bool { return len(p.Addrs()) == 0 })
	select {
	case err := <-listened:
		t.Errorf("Listen returned %v with a pull in flight", err)
	default:
	}
	close(release)
	noRerror(t, receive(t, done).Rerror())
	if err := receive(t, closed); err != nil {
		t.Error(err)
	}
	if err := receive(t, listened); err != tp.ErrListenClosed {
		t.Errorf("Listen returned %v", err)
	}
}

// All addresses or none: a failure names its address and frees the others.
func TestListenAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	p := newPeer(t, tp.PeerConfig{ListenAddrs: []string{free.Addr().String(), taken.Addr().String()}})
	err = p.Listen()
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("Listen returned %v, want the address %v", err, taken.Addr())
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the other port is still taken: %v", err)
	}
	_ = again.Close()
	if err := newPeer(t, tp.PeerConfig{}).Listen(); err == nil || !strings.Contains(err.Error(), "ListenAddrs") {
		t.Errorf("without addresses, Listen returned %v", err)
	}
}

// flakyListener fails its first accepts, as one does that is out of file
// descriptors.
type flakyListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptLoopSurvives(t *testing.T) {
	book := new(logBook)
	p := newPeer(t, tp.PeerConfig{Logger: book})
	echo(p)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: lis}
	flaky.failures.Store(3)
	served := make(chan error, 1)
	go func() { served <- p.ServeListener(flaky) }()
	cli := newPeer(t, tp.PeerConfig{})
	for range 3 {
		noRerror(t, dial(t, cli, lis.Addr().String()).Pull("/echo", nil, nil).Rerror())
	}
	if n := strings.Count(book.String(), "too many open files"); n != 3 {
		t.Errorf("%d of 3 failures are in the log", n)
	}
	_ = lis.Close() // not by the peer: that is an error
	if err := receive(t, served); err == nil || errors.Is(err, tp.ErrListenClosed) {
		t.Errorf("ServeListener returned %v", err)
	}
	wantPanic(t, func() { _ = p.ServeListener(nil) }, "listener is nil")
}

// A pause after failures does not hold up Close.
func TestAcceptPauseEndsWithClose(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: lis}
	flaky.failures.Store(1 << 30)
	served := make(chan error, 1)
	go func() { served <- p.ServeListener(flaky) }()
	time.Sleep(20 * time.Millisecond)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, served); !errors.Is(err, tp.ErrListenClosed) {
		t.Errorf("ServeListener returned %v", err)
	}
}
