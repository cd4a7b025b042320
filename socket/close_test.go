package socket_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/henrylee2cn/teleport/socket"
)

// After Close everything fails with one error, which net.ErrClosed matches.
func TestClose(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			var failures int
			c, peer := kind.connsWith(t, socket.Options{OnWriteError: func(error) { failures++ }})
			reading := make(chan error)
			go func() { reading <- c.ReadPacket(rawPacket()) }()
			noError(t, c.Close())
			wantError(t, <-reading, socket.ErrProactivelyCloseSocket)
			noError(t, c.Close())
			_, readErr := c.Read(make([]byte, 1))
			_, writeErr := c.Write([]byte("x"))
			for name, err := range map[string]error{
				"ReadPacket":        c.ReadPacket(rawPacket()),
				"Read":              readErr,
				"WritePacket":       c.WritePacket(socket.NewPacket()),
				"QueuePacket":       c.QueuePacket(socket.NewPacket()),
				"QueuePacketNoWait": c.QueuePacketNoWait(socket.NewPacket()),
				"Write":             writeErr,
			} {
				if err != socket.ErrProactivelyCloseSocket {
					t.Errorf("%s: got %v, want ErrProactivelyCloseSocket", name, err)
				}
				wantError(t, err, net.ErrClosed)
			}
			c.FlushSoon()
			noError(t, c.Flush(context.Background())) // nothing is owed
			equal(t, "calls of OnWriteError", failures, 0)
			equal(t, "the other side", socket.NewConn(peer, socket.Options{}).ReadPacket(rawPacket()), io.EOF)
		})
	}
}

// Close may come at any time, from any number of goroutines.
func TestCloseConcurrently(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, conn := kind.conns(t)
			peer := socket.NewConn(conn, socket.Options{})
			var all sync.WaitGroup
			begun := make(chan struct{}, 1000)
			until := func(step func() error) {
				all.Go(func() {
					for {
						if err := step(); err != nil {
							wantClosed(t, err)
							return
						}
						select {
						case begun <- struct{}{}:
						default:
						}
					}
				})
			}
			for range 3 {
				until(func() error { return c.WritePacket(socket.NewPacket()) })
				until(func() error { return c.QueuePacket(socket.NewPacket()) })
			}
			until(func() error { return c.ReadPacket(rawPacket()) })
			all.Go(func() { // echo until the end, whatever that is
				for peer.ReadPacket(rawPacket()) == nil && peer.WritePacket(socket.NewPacket()) == nil {
				}
				peer.Close()
			})
			for range 100 {
				<-begun
			}
			for range 3 {
				all.Go(func() { noError(t, c.Close()) })
			}
			all.Wait()
		})
	}
}

func wantClosed(t *testing.T, err error) {
	if err != socket.ErrProactivelyCloseSocket {
		t.Errorf("got %v, want ErrProactivelyCloseSocket", err)
	}
}

// Those who wait for the queue wake up, and what the kernel takes after all is
// not counted twice.
func TestCloseWakesWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := gate()
		c := s.conn(socket.Options{QueueLimit: 1})
		errs := make(chan error)
		for range 3 {
			go func() { errs <- c.WritePacket(socket.NewPacket()) }()
		}
		synctest.Wait()
		noError(t, c.Close())
		for range 2 {
			wantError(t, <-errs, socket.ErrProactivelyCloseSocket)
		}
		open()
		noError(t, <-errs)
		equal(t, "queued", c.Queued(), 0)
	})
}

// EndWrite refuses what comes, and wakes who waits to write, but writes what is
// queued.
func TestEndWrite(t *testing.T) {
	for name, protoFunc := range map[string]socket.ProtoFunc{"appender": nil, "stage": newStagedFastProto} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, open := gate()
				c := s.conn(socket.Options{QueueLimit: 1}, protoFunc)
				errs := make(chan error)
				for range 3 {
					go func() { errs <- c.WritePacket(socket.NewPacket(socket.WithUri("/a"))) }()
				}
				synctest.Wait()
				c.EndWrite()
				for range 2 {
					wantError(t, <-errs, net.ErrClosed)
				}
				wantError(t, c.QueuePacketNoWait(socket.NewPacket()), net.ErrClosed)
				open()
				noError(t, <-errs)
				noError(t, c.Flush(context.Background()))
				equal(t, "arrived", uris(t, s.output()), "/a")
			})
		})
	}
}

// CloseWrite ends one direction: the other side reads io.EOF and may answer.
func TestCloseWrite(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, conn := kind.conns(t)
			if kind.name == "pipe" {
				equal(t, "CloseWrite", c.CloseWrite(), false)
				return
			}
			peer := socket.NewConn(conn, socket.Options{})
			noError(t, c.WritePacket(socket.NewPacket()))
			c.EndWrite()
			wantError(t, c.WritePacket(socket.NewPacket()), net.ErrClosed)
			noError(t, c.Flush(context.Background()))
			equal(t, "CloseWrite", c.CloseWrite(), true)
			noError(t, peer.ReadPacket(rawPacket()))
			equal(t, "end", peer.ReadPacket(rawPacket()), io.EOF)
			noError(t, peer.WritePacket(socket.NewPacket()))
			noError(t, c.ReadPacket(rawPacket()))
			noError(t, peer.Close())
			equal(t, "end", c.ReadPacket(rawPacket()), io.EOF)
		})
	}
}
