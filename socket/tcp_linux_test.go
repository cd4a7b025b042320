package socket_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

const tcpUserTimeout = 0x12 // of tcp(7); package syscall lacks it

// sockopt returns a setting of the conn, as the kernel has it.
func sockopt(t *testing.T, c net.Conn, level, name int) (value int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	noError(t, err)
	noError(t, raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) }))
	noError(t, err)
	return value
}

func TestTCPSettings(t *testing.T) {
	defer func() {
		socket.SetTCPReadBuffer(0)
		socket.SetTCPWriteBuffer(0)
		socket.SetNoDelay(true)
		socket.SetKeepAlive(0)
	}()
	type want struct{ noDelay, keepAlive, idle, userTimeout, readBuffer, writeBuffer int }
	const off = -1 // not looked at
	tests := []struct {
		name string
		set  func()
		want want
	}{
		{"default", func() {}, want{1, 1, 30, 50_000, off, off}},
		{"keep-alive", func() { socket.SetKeepAlive(7 * time.Second) }, want{1, 1, 7, 27_000, off, off}},
		{"no keep-alive", func() { socket.SetKeepAlive(-1) }, want{1, 0, off, 0, off, off}},
		{"default again", func() { socket.SetKeepAlive(0) }, want{1, 1, 30, 50_000, off, off}},
		{"delay", func() { socket.SetNoDelay(false) }, want{0, 1, 30, 50_000, off, off}},
		{"no delay", func() { socket.SetNoDelay(true) }, want{1, 1, 30, 50_000, off, off}},
		{"buffers", func() { socket.SetTCPReadBuffer(20_000); socket.SetTCPWriteBuffer(30_000) }, want{1, 1, 30, 50_000, 40_000, 60_000}}, // Linux doubles them
	}
	for _, test := range tests {
		test.set()
		for name, pair := range map[string]func(testing.TB) (a, b net.Conn){"tcp": tcpPair, "tls": tlsPair} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				a, b := pair(t)
				defer b.Close()
				c := socket.NewSocket(a)
				defer c.Close()
				if below, ok := a.(interface{ NetConn() net.Conn }); ok {
					a = below.NetConn()
				}
				check := func(what string, level, name, want int) {
					t.Helper()
					if want != off {
						equal(t, what, sockopt(t, a, level, name), want)
					}
				}
				check("TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, test.want.noDelay)
				check("SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, test.want.keepAlive)
				check("TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, test.want.idle)
				check("TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, tcpUserTimeout, test.want.userTimeout)
				check("SO_RCVBUF", syscall.SOL_SOCKET, syscall.SO_RCVBUF, test.want.readBuffer)
				check("SO_SNDBUF", syscall.SOL_SOCKET, syscall.SO_SNDBUF, test.want.writeBuffer)
				if test.want.keepAlive == 1 {
					check("TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5)
					check("TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 4)
				}
			})
		}
	}
}
