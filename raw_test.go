package tp_test

import (
	"net"
	"testing"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// rawClient is a client that knows packets and nothing above: it can send
// what a Session would not.
type rawClient struct {
	t testing.TB
	s socket.Socket
}

func dialRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := socket.NewSocket(conn)
	t.Cleanup(func() { _ = s.Close() })
	return &rawClient{t, s}
}

func (c *rawClient) send(ptype byte, seq uint64, uri string, bodyCodec byte, body []byte) {
	c.t.Helper()
	err := c.s.WritePacket(socket.NewPacket(socket.WithPtype(ptype), socket.WithSeq(seq),
		socket.WithUri(uri), socket.WithBodyCodec(bodyCodec), socket.WithBody(body)))
	if err != nil {
		c.t.Fatal(err)
	}
}

type rawReply struct{ *socket.Packet }

// text returns the encoded body.
func (r rawReply) text() string { return string(*r.Body().(*[]byte)) }

// rerror returns the error of the reply.
func (r rawReply) rerror() *tp.Rerror { return tp.NewRerrorFromMeta(r.Meta()) }

// reply returns the next REPLY.
func (c *rawClient) reply() rawReply {
	c.t.Helper()
	for {
		p := socket.NewPacket(socket.WithBody(new([]byte)))
		if err := c.s.ReadPacket(p); err != nil {
			c.t.Fatal(err)
		}
		if p.Ptype() == tp.TypeReply {
			return rawReply{p}
		}
	}
}
