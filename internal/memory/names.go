package memory

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
)

// names are the Listeners of Listen that are not closed.
var names sync.Map // Addr -> *Listener

var errNoName = errors.New("the name is empty: it is what follows \"mem://\"")

// Listen returns a Listener of the name, which this process finds by Dial until it is
// closed. A name that is taken is syscall.EADDRINUSE, as a port would be.
func Listen(name string) (*Listener, error) {
	addr := Addr("mem://" + name)
	if name == "" {
		return nil, addr.opError("listen", errNoName)
	}
	l := newListener(addr)
	if _, taken := names.LoadOrStore(addr, l); taken {
		return nil, addr.opError("listen", syscall.EADDRINUSE)
	}
	return l, nil
}

// Dial is that of the Listener of the name. If there is none it is
// syscall.ECONNREFUSED, as where no process listens on a port.
func Dial(ctx context.Context, name string) (net.Conn, error) {
	addr := Addr("mem://" + name)
	if name == "" {
		return nil, addr.opError("dial", errNoName)
	}
	l, ok := names.Load(addr)
	if !ok {
		return nil, addr.opError("dial", syscall.ECONNREFUSED)
	}
	conn, err := l.(*Listener).Dial(ctx)
	if errors.Is(err, net.ErrClosed) { // meanwhile; what the caller has is not closed
		err = addr.opError("dial", syscall.ECONNREFUSED)
	}
	return conn, err
}
