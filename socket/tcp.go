package socket

import (
	"net"
	"sync/atomic"
	"time"
)

// Settings of TCP conns, for the whole process.
var (
	tcpReadBuffer  atomic.Int64
	tcpWriteBuffer atomic.Int64
	tcpDelay       atomic.Bool
	tcpKeepAlive   atomic.Int64 // nanoseconds of silence; 0 is the default, negative is off
)

const (
	defaultKeepAlive = 30 * time.Second
	// keepAliveInterval and keepAliveCount give a silent peer 20 s more.
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 4
)

// SetTCPReadBuffer sets the size in bytes of the kernel's receive buffer of
// TCP conns that become sockets from now on; 0 leaves it to the kernel.
func SetTCPReadBuffer(bytes int) { tcpReadBuffer.Store(int64(bytes)) }

// SetTCPWriteBuffer sets the size in bytes of the kernel's send buffer of TCP
// conns that become sockets from now on; 0 leaves it to the kernel.
func SetTCPWriteBuffer(bytes int) { tcpWriteBuffer.Store(int64(bytes)) }

// SetNoDelay says whether TCP conns that become sockets from now on send
// small segments at once (true, the default) or gather them by Nagle's
// algorithm.
func SetNoDelay(noDelay bool) { tcpDelay.Store(!noDelay) }

// SetKeepAlive sets after how much silence the kernel probes whether the other
// side is alive, for TCP conns that become sockets from now on: 0 is the
// default of 30 s, negative is off. An unanswered probe is repeated every 5 s;
// after the fourth the conn is dead. On Linux, bytes that the other side does
// not acknowledge for as long end the conn too (TCP_USER_TIMEOUT).
func SetKeepAlive(idle time.Duration) { tcpKeepAlive.Store(int64(idle)) }

// tuneTCP applies the settings to c, or to the TCP conn below it, as below a TLS conn.
// None of them is worth failing for: the conn works without.
func tuneTCP(c net.Conn) {
	tcp, ok := lowest(c).(*net.TCPConn)
	if !ok {
		return
	}
	if n := int(tcpReadBuffer.Load()); n > 0 {
		_ = tcp.SetReadBuffer(n)
	}
	if n := int(tcpWriteBuffer.Load()); n > 0 {
		_ = tcp.SetWriteBuffer(n)
	}
	if tcpDelay.Load() {
		_ = tcp.SetNoDelay(false) // true is what net does
	}
	idle := time.Duration(tcpKeepAlive.Load())
	if idle < 0 {
		_ = tcp.SetKeepAlive(false)
		return
	}
	if idle == 0 {
		idle = defaultKeepAlive
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: idle, Interval: keepAliveInterval, Count: keepAliveCount,
	})
	setUserTimeout(tcp, idle+keepAliveCount*keepAliveInterval)
}
