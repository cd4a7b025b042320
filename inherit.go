package tp

import (
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// inheritance is what the process was given by the one that started it, an
// older one of the same program or systemd.
type inheritance struct {
	notifySocket string
	inherited    []*inheritedListener // that nobody has asked for
	strange      []*os.File           // no listeners: whoever knows them may use them, so they are not collected
	// Of a restart, and nil otherwise: where the process says that it is ready,
	// and where it is told that it may accept.
	readyPipe, turnPipe *os.File
	turn                chan struct{} // closed when it may
}

// handshakeByte is what goes through both pipes.
const handshakeByte = '\n'

// inheritedListener is a listener that nobody has asked for yet, or one that
// was given back.
type inheritedListener struct {
	lis  net.Listener
	name string // that systemd gave it
	// Of a restart: how the program asked for it the last time, and whether the
	// socket file is the program's to remove.
	network, addr string
	unlink        bool
}

// String returns the address, and the name if it has one.
func (in *inheritedListener) String() string {
	if in.name != "" {
		return in.name + " (" + addrText(in.lis.Addr()) + ")"
	}
	return addrText(in.lis.Addr())
}

// sharedListener is a listener that the next process is to have.
type sharedListener struct {
	lis           net.Listener // *net.TCPListener or *net.UnixListener
	network, addr string
	unlink        bool
	inherited     *inheritedListener // nil if it was opened by this process
}

// InheritListener returns the listener of this process for the address, which
// outlives it: that which Reboot or systemd handed on, or else a new one of
// net.Listen, which on Unix replaces a socket file that nobody listens on any more. A
// Reboot of this process hands it on. It is for listeners that
// Peer.Listen does not open itself: for ServeListener, an HTTP server, or a unix
// socket. The networks are those of net.Listen.
//
// An inherited listener fits when the process before asked for it with the same
// network and address, when systemd's FileDescriptorName is the address, or when
// it is bound to the address. All ways to write the unspecified address fit each
// other, so ":9090" may be bound to 0.0.0.0:9090. Each is used once.
//
// After a restart Accept waits until the process before has handed over, as the
// listeners of Peer.Listen do.
func InheritListener(network, addr string) (net.Listener, error) {
	process.inherit()
	lis, err := process.listen(network, addr)
	if err == nil {
		process.change(func() {})
	}
	return lis, err
}

// listen returns an inherited listener or opens one.
func (s *processState) listen(network, addr string) (net.Listener, error) {
	if in := s.take(network, addr); in != nil {
		s.share(&sharedListener{in.lis, network, addr, in.unlink, in})
		if s.turn == nil {
			return in.lis, nil
		}
		return &waitingListener{Listener: in.lis, turn: s.turn, closed: make(chan struct{})}, nil
	}
	lis, err := openListener(network, addr)
	if err != nil {
		return nil, err
	}
	s.share(&sharedListener{lis: lis, network: network, addr: addr, unlink: true})
	return lis, nil
}

// take returns the inherited listener that fits best, if there is one.
func (s *processState) take(network, addr string) *inheritedListener {
	s.mu.Lock()
	none := len(s.inherited) == 0
	s.mu.Unlock()
	if none {
		return nil
	}
	want := resolve(network, addr) // this may take long
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fits := range []func(*inheritedListener) bool{
		func(in *inheritedListener) bool { return in.network == network && in.addr == addr || in.name == addr },
		func(in *inheritedListener) bool { return sameAddr(network, want, in.lis.Addr(), false) },
		func(in *inheritedListener) bool { return sameAddr(network, want, in.lis.Addr(), true) },
	} {
		if i := slices.IndexFunc(s.inherited, fits); i >= 0 {
			in := s.inherited[i]
			s.inherited = slices.Delete(s.inherited, i, i+1)
			return in
		}
	}
	return nil
}

// resolve returns what a listener of the address is bound to, or nil.
func resolve(network, addr string) net.Addr {
	if strings.HasPrefix(network, "unix") {
		return &net.UnixAddr{Name: addr, Net: network}
	}
	if tcp, err := net.ResolveTCPAddr(network, addr); err == nil && tcp.Port != 0 {
		return tcp
	}
	return nil
}

// sameAddr reports whether a listener that is bound to got serves those who
// would connect to one of the network and address want.
func sameAddr(network string, want, got net.Addr, anyUnspecified bool) bool {
	if want, ok := want.(*net.UnixAddr); ok {
		got, ok := got.(*net.UnixAddr)
		return ok && got.Net == want.Net && got.Name == want.Name
	}
	a, ok := want.(*net.TCPAddr)
	if !ok {
		return false
	}
	b, ok := got.(*net.TCPAddr)
	if !ok || a.Port != b.Port || a.Zone != b.Zone ||
		network == "tcp4" && b.IP.To4() == nil || network == "tcp6" && b.IP.To4() != nil {
		return false
	}
	// ":9090" has no IP, and net.Listen binds it to [::]:9090 where there is IPv6.
	unspecified := len(a.IP) == 0 || a.IP.IsUnspecified()
	if unspecified && b.IP.IsUnspecified() {
		return anyUnspecified || len(a.IP) == 0 && b.IP.To4() == nil || a.IP.Equal(b.IP)
	}
	return a.IP.Equal(b.IP)
}

// share remembers a listener for the next process, and forgets those that are
// closed.
func (s *processState) share(lis *sharedListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = append(slices.DeleteFunc(s.shared, (*sharedListener).closed), lis)
}

// giveBack closes a listener of listen that cannot be used now. An inherited one
// may be asked for again.
func (s *processState) giveBack(lis net.Listener) {
	if waiting, ok := lis.(*waitingListener); ok {
		lis = waiting.Listener
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.shared, func(shared *sharedListener) bool { return shared.lis == lis })
	if i < 0 || s.shared[i].inherited == nil {
		_ = lis.Close()
		return
	}
	s.inherited = append(s.inherited, s.shared[i].inherited)
	s.shared = slices.Delete(s.shared, i, i+1)
}

// closed reports whether the listener is closed.
func (l *sharedListener) closed() bool {
	raw, err := l.lis.(syscall.Conn).SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// setUnlink sets whether closing the listener removes its socket file, if that
// is the program's to remove.
func (l *sharedListener) setUnlink(unlink bool) {
	if lis, ok := l.lis.(*net.UnixListener); ok && l.unlink {
		lis.SetUnlinkOnClose(unlink)
	}
}

// fdName returns what LISTEN_FDNAMES says of the listener. There may be no colon
// in it, which separates the names.
func (l *sharedListener) fdName() string {
	words := []string{l.network, l.addr}
	if l.unlink {
		words = append(words, "unlink")
	}
	for i := range words {
		words[i] = url.QueryEscape(words[i])
	}
	return strings.Join(words, " ")
}

// readName reads what fdName wrote.
func (in *inheritedListener) readName(name string) {
	words := strings.Split(name, " ")
	for i := range words {
		words[i], _ = url.QueryUnescape(words[i])
	}
	if len(words) >= 2 {
		in.network, in.addr = words[0], words[1]
		in.unlink = len(words) > 2
	}
}

// waitingListener is an inherited listener that accepts when the process before
// has handed over. What a process accepts and then fails to serve, because it
// never becomes ready, would be lost.
type waitingListener struct {
	net.Listener
	turn   <-chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept waits for the turn of this process, and then for a connection.
func (l *waitingListener) Accept() (net.Conn, error) {
	select {
	case <-l.turn:
	case <-l.closed:
	}
	return l.Listener.Accept()
}

// Close closes the listener.
func (l *waitingListener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.closed) })
	return err
}
