//go:build unix

package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// An idle conn costs no buffer: a server may have a million of them.
func TestReadIdleHoldsNoBuffer(t *testing.T) {
	for _, kind := range connKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			c, peer := kind.conns(t)
			type attempt struct{ ready, buffered bool }
			attempts := make(chan attempt, 100)
			c.OnReadAttempt(func(ready, buffered bool) { attempts <- attempt{ready, buffered} })
			packets := make(chan error)
			var readers sync.WaitGroup
			readers.Go(func() {
				for range 3 {
					packets <- c.ReadPacket(rawPacket())
				}
			})
			for range 3 {
				equal(t, "idle", <-attempts, attempt{false, false})
				_, err := peer.Write(frame)
				noError(t, err)
				equal(t, "busy", <-attempts, attempt{true, true})
				noError(t, <-packets)
			}
			readers.Wait()
		})
	}
}

// Await is over when a part of a packet is there, and tells what ReadPacket
// would tell.
func TestAwait(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, peer := kind.conns(t)
			go func() {
				peer.Write(slices.Concat(frame, frame, frame[:3]))
				peer.Write(frame[3:])
				peer.Close()
			}()
			for range 3 {
				noError(t, c.Await())
				noError(t, c.ReadPacket(rawPacket()))
			}
			equal(t, "arrived", c.Arrived(), false)
			err := c.Await()
			if err == nil {
				err = c.ReadPacket(rawPacket())
			}
			equal(t, "end", err, io.EOF)
		})
	}
}

// What has arrived is there to be read without waiting.
func TestArrived(t *testing.T) {
	c, peer := tcp.conns(t)
	equal(t, "arrived", c.Arrived(), false)
	_, err := peer.Write(slices.Concat(frame, frame))
	noError(t, err)
	noError(t, c.Await())
	equal(t, "arrived", c.Arrived(), true)
	noError(t, c.ReadPacket(rawPacket()))
	equal(t, "arrived after the first", c.Arrived(), true)
	noError(t, c.ReadPacket(rawPacket()))
	equal(t, "arrived after both", c.Arrived(), false)
}

// A Proto of the user's may have read ahead, also one that embeds ours: to wait
// for the kernel would be to wait for ever.
func TestAwaitLeavesProtosAlone(t *testing.T) {
	c, _ := tcp.conns(t, func(rw io.ReadWriter) socket.Proto {
		return struct{ *socket.FastProto }{socket.NewFastProto(rw).(*socket.FastProto)}
	})
	noError(t, c.Await()) // nothing is sent
}

func TestAwaitIsBounded(t *testing.T) {
	c, _ := tcp.conns(t)
	c.SetReadTimeout(time.Millisecond)
	wantError(t, c.Await(), os.ErrDeadlineExceeded)
	c.SetReadTimeout(0)
	time.AfterFunc(10*time.Millisecond, func() { c.Close() })
	if err := c.Await(); !errors.Is(err, net.ErrClosed) || err != socket.ErrProactivelyCloseSocket {
		t.Errorf("closed by this side: got %v", err)
	}
}

// So it is with one of which something was unread.
func TestUnreadIdleHoldsNoBuffer(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	c := socket.NewConn(socket.Unread(near, slices.Clone(frame)), socket.Options{})
	attempts := make(chan bool, 100)
	c.OnReadAttempt(func(ready, buffered bool) { attempts <- ready || buffered })
	noError(t, c.ReadPacket(rawPacket()))
	read := make(chan error)
	go func() { read <- c.ReadPacket(rawPacket()) }()
	equal(t, "holds a buffer", <-attempts, false)
	_, err := far.Write(frame)
	noError(t, err)
	noError(t, <-read)
}
