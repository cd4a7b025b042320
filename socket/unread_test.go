package socket_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// Packets are read alike wherever the part that was unread ends.
func TestUnread(t *testing.T) {
	twice := slices.Concat(frame, frame)
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			near, far := kind.pair(t)
			defer near.Close()
			defer far.Close()
			var c *socket.Conn
			for n := range len(twice) + 1 {
				c = socket.NewConn(socket.Unread(near, bytes.Clone(twice[:n])), socket.Options{})
				if below := c.NetConn(); below != near {
					t.Fatalf("the conn is a %T", below)
				}
				var writer sync.WaitGroup
				writer.Go(func() {
					if rest := twice[n:]; len(rest) > 0 { // a pipe waits for a reader of nothing
						_, _ = far.Write(rest)
					}
				})
				for range 2 {
					p := rawPacket()
					noError(t, c.ReadPacket(p))
				}
				writer.Wait()
				equal(t, "bytes read", c.BytesRead(), uint64(len(twice)))
			}
		})
	}
}

// A conn of Unread is one for all others too.
func TestUnreadAsConn(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	if socket.Unread(near, nil) != near {
		t.Error("with nothing unread it is another conn")
	}
	c := socket.Unread(near, []byte("first "))
	_, err := far.Write([]byte("then"))
	noError(t, err)
	noError(t, far.(*net.TCPConn).CloseWrite())
	one := make([]byte, 2)
	_, err = io.ReadFull(c, one)
	noError(t, err)
	equal(t, "read", string(one), "fi")
	rest, err := io.ReadAll(c)
	noError(t, err)
	equal(t, "the rest", string(rest), "rst then")
	noError(t, c.(interface{ CloseWrite() error }).CloseWrite())
	rest, err = io.ReadAll(far)
	noError(t, err)
	equal(t, "after CloseWrite", string(rest), "")
	equal(t, "the conn below", c.(interface{ NetConn() net.Conn }).NetConn(), near)
}

// What was read of it before is no part of what is unread, and more than a buffer is
// read as well.
func TestUnreadMuch(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	c := socket.Unread(near, slices.Concat([]byte("x"), frame))
	_, err := io.ReadFull(c, make([]byte, 1))
	noError(t, err)
	noError(t, socket.NewConn(c, socket.Options{}).ReadPacket(rawPacket()))

	const n = 10_000
	much := socket.NewConn(socket.Unread(near, bytes.Repeat(frame, n)), socket.Options{})
	for range n {
		noError(t, much.ReadPacket(rawPacket()))
	}
}
