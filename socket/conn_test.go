package socket_test

import (
	"net"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

func TestConnIdentity(t *testing.T) {
	for _, kind := range connKinds {
		a, b := kind.pair(t)
		t.Cleanup(func() { b.Close() })
		s := socket.GetSocket(a)
		defer s.Close()
		equal(t, "local address", s.LocalAddr(), a.LocalAddr())
		equal(t, "remote address", s.RemoteAddr(), a.RemoteAddr())
		equal(t, "id", s.Id(), a.RemoteAddr().String())
		s.SetId("me")
		equal(t, "id", s.Id(), "me")
		s.SetId("")
		equal(t, "no id", s.Id(), a.RemoteAddr().String())
		equal(t, "conn", s.(*socket.Conn).NetConn(), a)

		equal(t, "values", s.PublicLen(), 0)
		s.Public().Store("k", 1)
		equal(t, "values", s.PublicLen(), 1)
		v, _ := s.Public().Load("k")
		equal(t, "value", v, any(1))
	}
}

// A conn that only embeds a TCP conn must be read through its own methods.
func TestConnOfWrapper(t *testing.T) {
	a, peer := tcpPair(t)
	w := &upperConn{TCPConn: a.(*net.TCPConn)}
	c := socket.NewConn(w, socket.Options{})
	t.Cleanup(func() { c.Close(); peer.Close() })
	var writer sync.WaitGroup
	writer.Go(func() { peer.Write(frame) })
	p := rawPacket()
	noError(t, c.ReadPacket(p))
	writer.Wait()
	equal(t, "reads through the wrapper", w.reads > 0, true)
	noError(t, c.WritePacket(p))
	equal(t, "writes through the wrapper", w.writes, 1)
}

type upperConn struct {
	*net.TCPConn
	reads, writes int
}

func (c *upperConn) Read(b []byte) (int, error) {
	c.reads++
	return c.TCPConn.Read(b)
}

func (c *upperConn) Write(b []byte) (int, error) {
	c.writes++
	return c.TCPConn.Write(b)
}

// Pull and reply through all kinds of conns and both Protos, with bodies that
// are larger than every buffer.
func TestConnConversation(t *testing.T) {
	for _, kind := range connKinds {
		for name, protoFunc := range map[string]socket.ProtoFunc{"fast": nil, "line": newLineProto} {
			t.Run(kind.name+" "+name, func(t *testing.T) {
				c, conn := kind.conns(t, protoFunc)
				peer := socket.NewConn(conn, socket.Options{}, protoFunc)
				var server sync.WaitGroup
				server.Go(func() {
					for {
						p := rawPacket()
						if peer.ReadPacket(p) != nil {
							return
						}
						p.SetPtype(2)
						if err := peer.WritePacket(p); err != nil {
							t.Error(err)
						}
					}
				})
				for i, size := range []int{0, 1, 4 << 10, 64<<10 - 24, 64 << 10, 300 << 10, 1 << 20} {
					sent := make([]byte, size)
					for j := range sent {
						sent[j] = byte(j * (i + 3) >> 3)
					}
					noError(t, c.WritePacket(socket.NewPacket(socket.WithSeq(uint64(i)), socket.WithPtype(1), socket.WithBody(sent))))
					p := rawPacket()
					noError(t, c.ReadPacket(p))
					equal(t, "seq", p.Seq(), uint64(i))
					equal(t, "ptype", p.Ptype(), 2)
					equal(t, "the body came back", string(*p.Body().(*[]byte)) == string(sent), true)
				}
				c.Close()
				server.Wait()
			})
		}
	}
}
