//go:build linux && !386 && !race && !msan && !asan

package socket_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// rush reads frames, a hundred at a time, until there is a rush, and goes on until
// stop is called.
func rush(t *testing.T) (stop func()) {
	t.Helper()
	c, peer := tcp.conns(t)
	var writing, reading atomic.Bool
	done := make(chan struct{}, 2)
	writing.Store(true)
	go func() {
		many := slices.Repeat(frame, 100)
		for writing.Load() {
			peer.Write(many)
			time.Sleep(100 * time.Microsecond)
		}
		peer.Close()
		done <- struct{}{}
	}()
	reading.Store(true)
	go func() {
		for p := rawPacket(); c.ReadPacket(p) == nil; p = rawPacket() {
			c.CountRead(1)
		}
		done <- struct{}{}
	}()
	await(t, "a rush", socket.InRush)
	return func() {
		writing.Store(false)
		<-done
		<-done
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is not: %s", what)
		}
	}
}

// A rush ends when there is little to read.
func TestRushEnds(t *testing.T) {
	stop := rush(t)
	stop()
	await(t, "an end of the rush", func() bool { return !socket.InRush() })
}

// In a rush, conns carry what they carry, say when they are at their end, and wait for
// room and for bytes.
func TestConnInRush(t *testing.T) {
	defer rush(t)()
	for _, kind := range connKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			c, peer := kind.conns(t)
			large := make([]byte, 1<<20)
			for i := range large {
				large[i] = byte(i * i >> 8)
			}
			sizes := []int{0, 1, 1000, 64 << 10, 1 << 20, 20}
			go func() {
				for _, size := range sizes {
					p := socket.NewPacket(socket.WithBody(large[:size]))
					p.SetUri("/rush")
					c.WritePacket(p)
				}
			}()
			other := socket.NewConn(peer, socket.Options{})
			for _, size := range sizes {
				time.Sleep(10 * time.Millisecond) // the kernel's buffers are full
				var body []byte
				noError(t, other.ReadPacket(socket.NewPacket(socket.WithBody(&body))))
				if !slices.Equal(body, large[:size]) {
					t.Fatalf("a body of %d bytes came as %d others", size, len(body))
				}
			}
			noError(t, c.Close())
			if err := other.ReadPacket(rawPacket()); err != io.EOF {
				t.Errorf("at the end: %v, want io.EOF", err)
			}
			var err error
			for range 100 { // the kernel has to hear of it first
				if err = other.WritePacket(rawPacket()); err != nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("a write after the end: %v", err)
			}
		})
	}
}

// A socket that somebody has set to blocking mode does not keep its processor.
func TestBlockingSocketInRush(t *testing.T) {
	defer rush(t)()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c, peer := tcp.conns(t)
	file, err := peer.(*net.TCPConn).File()
	noError(t, err)
	defer file.Close()
	raw, err := peer.(*net.TCPConn).SyscallConn()
	noError(t, err)
	noError(t, raw.Control(func(fd uintptr) { noError(t, syscall.SetNonblock(int(fd), false)) }))
	other := socket.NewConn(peer, socket.Options{})
	read := make(chan error, 1)
	go func() { read <- other.ReadPacket(rawPacket()) }()
	time.Sleep(20 * time.Millisecond) // it waits now, on the only processor if it can
	noError(t, c.WritePacket(rawPacket()))
	noError(t, <-read)
}

// The runtime still stops who runs for long, also when everything slept before: in a
// process with one processor, who runs on it waits for somebody else to run.
func TestRushPreempts(t *testing.T) {
	if os.Getenv("TP_SPIN") != "" {
		spin(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestRushPreempts$")
	child.Env = append(os.Environ(), "TP_SPIN=1", "GOMAXPROCS=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	noError(t, err)
	noError(t, child.Start())
	defer child.Wait()
	defer child.Process.Kill()
	addr, err := bufio.NewReader(out).ReadString('\n')
	noError(t, err)
	conn, err := net.Dial("tcp", strings.TrimSpace(addr))
	noError(t, err)
	c := socket.NewConn(conn, socket.Options{})
	defer c.Close()
	ask := func(uri string, n int) (in string) {
		t.Helper()
		for range n {
			p := rawPacket()
			p.SetUri(uri)
			noError(t, c.WritePacket(p))
		}
		noError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		for range n {
			p := rawPacket()
			noError(t, c.ReadPacket(p))
			in = p.Uri()
		}
		return in
	}
	for range 20 {
		await(t, "a rush of the other process", func() bool { return ask("/echo", 100) == "in a rush" })
		time.Sleep(3 * time.Millisecond) // it sleeps, and the rush is not over
		ask("/spin", 1)
	}
}

// spin is the other process.
func spin(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	fmt.Println(lis.Addr())
	conn, err := lis.Accept()
	noError(t, err)
	c := socket.NewConn(conn, socket.Options{})
	for p := rawPacket(); c.ReadPacket(p) == nil; p = rawPacket() {
		c.CountRead(1)
		if p.Uri() == "/spin" {
			var ran atomic.Bool
			time.AfterFunc(time.Millisecond, func() { ran.Store(true) })
			for !ran.Load() {
			}
		}
		reply := rawPacket()
		if reply.SetUri("no rush"); socket.InRush() {
			reply.SetUri("in a rush")
		}
		noError(t, c.WritePacket(reply))
	}
}
