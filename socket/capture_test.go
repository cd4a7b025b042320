package socket_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// capture is a frame that programs of December 2017 sent each other, and what
// is in it. The bytes are observed: they never change.
type capture struct {
	name string
	hex  string // size, 'f' and filters, seq, ptype, uri / meta / codec and body

	ptype     byte
	uri, meta string // meta as it is on the wire
	codec     byte
	body      string
	value     any    // what gives this body through the codec; nil: only the raw bytes are tried
	filters   string // not empty: read only, since no two gzip writers agree
}

var captures = []capture{
	{
		name: "pull json",
		hex: `
			00000036 6600 0000000000000000 01 0000000e 2f686f6d652f6563686f3f783d31
			00000000
			6a 7b2261223a312c2273223a226869227d
		`,
		ptype: 1, uri: `/home/echo?x=1`, codec: 'j', body: `{"a":1,"s":"hi"}`, value: map[string]any{"a": 1, "s": "hi"},
	},
	{
		name: "reply json",
		hex: `
			00000036 6600 0000000000000000 02 0000000e 2f686f6d652f6563686f3f783d31
			00000000
			6a 7b2261223a312c2273223a226869227d
		`,
		ptype: 2, uri: `/home/echo?x=1`, codec: 'j', body: `{"a":1,"s":"hi"}`, value: map[string]any{"a": 1, "s": "hi"},
	},
	{
		name: "pull string",
		hex: `
			00000024 6600 0000000000000000 01 00000009 2f686f6d652f737472
			00000000
			73 616263
		`,
		ptype: 1, uri: `/home/str`, codec: 's', body: `abc`, value: "abc",
	},
	{
		name: "reply string",
		hex: `
			00000027 6600 0000000000000000 02 00000009 2f686f6d652f737472
			00000000
			73 72653a616263
		`,
		ptype: 2, uri: `/home/str`, codec: 's', body: `re:abc`, value: "re:abc",
	},
	{
		name: "pull /home/err",
		hex: `
			00000031 6600 0000000000000000 01 00000009 2f686f6d652f657272
			00000000
			6a 7b2261223a312c2273223a226869227d
		`,
		ptype: 1, uri: `/home/err`, codec: 'j', body: `{"a":1,"s":"hi"}`, value: map[string]any{"a": 1, "s": "hi"},
	},
	{
		name: "error reply, body {}",
		hex: `
			000000a6 6600 0000000000000000 02 00000009 2f686f6d652f657272
			00000083
			582d5265706c792d4572726f723d253742253232636f6465253232253341313030312532432532326d65737361676525
			32322533412532326d792532306572726f7225323225324325323264657461696c25323225334125323264657461696c
			253230253543253232712535432532322532302535432532306261636b253232253744
			6a 7b7d
		`,
		ptype: 2, uri: `/home/err`, meta: `X-Reply-Error=%7B%22code%22%3A1001%2C%22message%22%3A%22my%20error%22%2C%22detail%22%3A%22detail%20%5C%22q%5C%22%20%5C%20back%22%7D`, codec: 'j', body: `{}`,
	},
	{
		name: "pull /home/err_nil",
		hex: `
			00000035 6600 0000000000000000 01 0000000d 2f686f6d652f6572725f6e696c
			00000000
			6a 7b2261223a312c2273223a226869227d
		`,
		ptype: 1, uri: `/home/err_nil`, codec: 'j', body: `{"a":1,"s":"hi"}`, value: map[string]any{"a": 1, "s": "hi"},
	},
	{
		name: "error reply, empty body",
		hex: `
			0000008e 6600 0000000000000000 02 0000000d 2f686f6d652f6572725f6e696c
			00000069
			582d5265706c792d4572726f723d253742253232636f6465253232253341313030322532432532326d65737361676525
			32322533412532326e696c253230626f64792532306572726f7225323225324325323264657461696c25323225334125
			323264253232253744
			6a
		`,
		ptype: 2, uri: `/home/err_nil`, meta: `X-Reply-Error=%7B%22code%22%3A1002%2C%22message%22%3A%22nil%20body%20error%22%2C%22detail%22%3A%22d%22%7D`, codec: 'j', body: ``,
	},
	{
		name: "pull gzip",
		hex: `
			0000003f 660167 1f8b08000000000000ff
			628002460606063efd8cfcdc54fdd4e48c7cfb0a5b43907056b552a29295a18e52b192955246a6522d000000ffff
		`,
		ptype: 1, uri: `/home/echo?x=1`, codec: 'j', body: `{"a":1,"s":"hi"}`, filters: "g",
	},
	{
		name: "reply gzip",
		hex: `
			0000003f 660167 1f8b08000000000000ff
			628002260606063efd8cfcdc54fdd4e48c7cfb0a5b43907056b552a29295a18e52b192955246a6522d000000ffff
		`,
		ptype: 2, uri: `/home/echo?x=1`, codec: 'j', body: `{"a":1,"s":"hi"}`, filters: "g",
	},
	{
		name: "pull /home/push",
		hex: `
			00000032 6600 0000000000000000 01 0000000a 2f686f6d652f70757368
			00000000
			6a 7b2261223a312c2273223a226869227d
		`,
		ptype: 1, uri: `/home/push`, codec: 'j', body: `{"a":1,"s":"hi"}`, value: map[string]any{"a": 1, "s": "hi"},
	},
	{
		name: "push from the server",
		hex: `
			00000035 6600 0000000000000000 03 00000016 2f6d73672f68656c6c6f3f66726f6d3d736572766572
			00000000
			6a 7b226e223a317d
		`,
		ptype: 3, uri: `/msg/hello?from=server`, codec: 'j', body: `{"n":1}`, value: map[string]int{"n": 1},
	},
	{
		name: "reply to /home/push",
		hex: `
			00000024 6600 0000000000000000 02 0000000a 2f686f6d652f70757368
			00000000
			6a 2222
		`,
		ptype: 2, uri: `/home/push`, codec: 'j', body: `""`, value: "",
	},
	{
		name: "push from the client",
		hex: `
			00000029 6600 0000000000000000 03 0000000a 2f6d73672f636f756e74
			00000000
			6a 2268656c6c6f22
		`,
		ptype: 3, uri: `/msg/count`, codec: 'j', body: `"hello"`, value: "hello",
	},
}

// bytes returns the frame.
func (c capture) bytes() []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(c.hex), ""))
	if err != nil {
		panic(c.name + ": " + err.Error())
	}
	return b
}

// packet returns what is in the frame, with the given body.
func (c capture) packet(body any) *socket.Packet {
	p := socket.NewPacket(
		socket.WithPtype(c.ptype), socket.WithUri(c.uri),
		socket.WithBodyCodec(c.codec), socket.WithBody(body),
		socket.WithXferPipe([]byte(c.filters)...),
	)
	if c.meta != "" {
		p.Meta().Parse(c.meta)
	}
	return p
}

// check reports where p differs from the capture.
func (c capture) check(t *testing.T, p *socket.Packet) {
	t.Helper()
	equal(t, "seq", p.Seq(), 0)
	equal(t, "ptype", p.Ptype(), c.ptype)
	equal(t, "uri", p.Uri(), c.uri)
	equal(t, "meta", p.Meta().String(), c.meta)
	equal(t, "codec", p.BodyCodec(), c.codec)
	equal(t, "body", string(*p.Body().(*[]byte)), c.body)
	equal(t, "filters", string(p.XferPipe().Ids()), c.filters)
}

// rawPacket returns a packet that reads a body as it is on the wire.
func rawPacket() *socket.Packet { return socket.NewPacket(socket.WithBody(new([]byte))) }

func TestCaptureRead(t *testing.T) {
	for _, c := range captures {
		t.Run(c.name, func(t *testing.T) {
			frame := c.bytes()
			p := rawPacket()
			noError(t, unpack(frame, p))
			c.check(t, p)
			equal(t, "size", p.Size(), uint32(len(frame)))
			for _, kind := range connKinds {
				conn, peer := kind.conns(t)
				go peer.Write(frame)
				p := rawPacket()
				noError(t, conn.ReadPacket(p))
				c.check(t, p)
			}
		})
	}
}

func TestCaptureWrite(t *testing.T) {
	for _, c := range captures {
		if c.filters != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			bodies := []any{[]byte(c.body)}
			if c.value != nil {
				bodies = append(bodies, c.value)
			}
			for _, body := range bodies {
				p := c.packet(body)
				equal(t, "frame", hex.EncodeToString(pack(t, p)), hex.EncodeToString(c.bytes()))
				equal(t, "size", p.Size(), uint32(len(c.bytes())))
				for _, kind := range connKinds {
					conn, peer := kind.conns(t)
					done := make(chan error, 1)
					go func() { done <- conn.WritePacket(c.packet(body)) }()
					got := make([]byte, len(c.bytes()))
					_, err := io.ReadFull(peer, got)
					noError(t, err)
					noError(t, <-done)
					equal(t, kind.name+" frame", hex.EncodeToString(got), hex.EncodeToString(c.bytes()))
				}
			}
		})
	}
}

// Our gzip is complete, unlike that of 2017, so it is other bytes that say
// the same.
func TestCaptureGzipReadsBack(t *testing.T) {
	for _, c := range captures {
		if c.filters == "" {
			continue
		}
		p := rawPacket()
		noError(t, unpack(pack(t, c.packet([]byte(c.body))), p))
		c.check(t, p)
	}
}

// TCP may split a frame anywhere; so may it end anywhere.
func TestCaptureSplit(t *testing.T) {
	for _, c := range captures {
		t.Run(c.name, func(t *testing.T) {
			frame := c.bytes()
			single := make([][]byte, len(frame))
			for i := range frame {
				single[i] = frame[i : i+1]
				read := func(segments ...[]byte) (*socket.Packet, error) {
					p := rawPacket()
					return p, newScript(segments...).conn(socket.Options{}).ReadPacket(p)
				}
				p, err := read(frame[:i], frame[i:])
				noError(t, err)
				c.check(t, p)

				want := io.ErrUnexpectedEOF
				if i == 0 {
					want = io.EOF
				}
				_, err = read(frame[:i])
				equal(t, "truncated", err, want)
				equal(t, "truncated, through the Proto", unpack(frame[:i], rawPacket()), want)
			}
			s := newScript(append(single, single...)...).conn(socket.Options{})
			for range 2 { // a byte at a time
				p := rawPacket()
				noError(t, s.ReadPacket(p))
				c.check(t, p)
			}
		})
	}
}

// What arrives together is still one packet after the other.
func TestCaptureTogether(t *testing.T) {
	var all bytes.Buffer
	for _, c := range captures {
		all.Write(c.bytes())
	}
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			conn, peer := kind.conns(t)
			go func(peer net.Conn) {
				peer.Write(all.Bytes())
				peer.Close()
			}(peer)
			for _, c := range captures {
				p := rawPacket()
				noError(t, conn.ReadPacket(p))
				c.check(t, p)
			}
			equal(t, "at the end", conn.ReadPacket(rawPacket()), io.EOF)
		})
	}
}
