//go:build unix

package socket_test

import (
	"io"
	"math"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// Many conns that claim as much as they may, and send next to nothing of it,
// take memory for what they sent: in all, and above all while they wait for the
// rest.
func TestClaimsOfManyConns(t *testing.T) {
	const conns, sent = 1000, 100
	claim := append(unhex("ffffffff 6600"), make([]byte, sent-6)...)
	near, far := manyConns(t, conns)
	if len(near) < 100 {
		t.Skipf("the system allows only %d conns", len(near))
	}
	memory := func() (m runtime.MemStats) {
		runtime.GC() // twice, for what was pooled
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	before := memory()
	var waiting atomic.Int32 // conns that have read all that came
	ended := make(chan error, len(near))
	for i, conn := range near {
		c := socket.NewConn(conn, socket.Options{PacketLimit: math.MaxUint32})
		read := false
		c.OnReadAttempt(func(ready, _ bool) {
			if ready && !read {
				read = true
			} else if !ready && read {
				waiting.Add(1)
			}
		})
		_, err := far[i].Write(claim)
		noError(t, err)
		go func() { ended <- c.ReadPacket(rawPacket()) }()
	}
	for end := time.Now().Add(20 * time.Second); int(waiting.Load()) < len(near); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d conns wait for the rest", waiting.Load(), len(near))
		}
	}
	during := memory()
	for _, conn := range far {
		noError(t, conn.(*net.TCPConn).CloseWrite())
	}
	for range near {
		wantError(t, <-ended, io.ErrUnexpectedEOF)
	}
	held := (int(during.HeapAlloc) - int(before.HeapAlloc)) / len(near)
	total := int(during.TotalAlloc-before.TotalAlloc) / len(near)
	t.Logf("%d conns hold %d bytes each, and allocated %d", len(near), held, total)
	const most = 2*sent + 64<<10
	if held > most {
		t.Errorf("conns that sent %d bytes hold %d bytes of memory each, want at most %d", sent, held, most)
	}
	if total > most && !raceEnabled { // the race detector makes pools forget
		t.Errorf("conns that sent %d bytes allocated %d bytes each, want at most %d", sent, total, most)
	}
}

// manyConns returns both ends of n TCP conns, or of as many as the system allows.
// They are closed at the end.
func manyConns(t *testing.T, n int) (near, far []net.Conn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	t.Cleanup(func() {
		lis.Close()
		for _, c := range append(near, far...) {
			c.Close()
		}
	})
	for range n {
		a, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			return near, far
		}
		b, err := lis.Accept()
		if err != nil {
			a.Close()
			return near, far
		}
		near, far = append(near, a), append(far, b)
	}
	return near, far
}
