package socket_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"

	"github.com/henrylee2cn/teleport/socket"
)

// lineProto writes each packet as one line of JSON, so that it can be spoken
// by hand, with telnet.
type lineProto struct {
	r *bufio.Reader
	w io.Writer
}

type line struct {
	Seq   uint64
	Type  byte
	URI   string
	Meta  string `json:",omitempty"`
	Codec byte
	Body  []byte
}

func newLineProto(rw io.ReadWriter) socket.Proto {
	return &lineProto{r: bufio.NewReader(rw), w: rw}
}

func (*lineProto) Version() (byte, string) { return 'l', "line" }

func (l *lineProto) Pack(p *socket.Packet) error {
	body, err := p.MarshalBody() // first: it may choose the codec
	if err != nil {
		return err
	}
	b, err := json.Marshal(line{p.Seq(), p.Ptype(), p.Uri(), p.Meta().String(), p.BodyCodec(), body})
	if err != nil {
		return err
	}
	if err := p.SetSize(uint32(len(b) + 1)); err != nil {
		return err
	}
	if _, err := l.w.Write(b); err != nil {
		return err
	}
	_, err = io.WriteString(l.w, "\n")
	return err
}

func (l *lineProto) Unpack(p *socket.Packet) error {
	var b []byte
	for end := false; !end; {
		part, err := l.r.ReadSlice('\n')
		end = err == nil
		b = append(b, part...)
		if err == io.EOF && len(b) > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if err := p.SetSize(uint32(len(b))); err != nil {
			return err
		}
	}
	var in line
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("%w: %w", socket.ErrMalformed, err)
	}
	p.SetSeq(in.Seq)
	p.SetPtype(in.Type)
	p.SetUri(in.URI)
	p.Meta().Parse(in.Meta)
	p.SetBodyCodec(in.Codec)
	return p.UnmarshalBody(in.Body)
}

// A packet format of one's own: a type with three methods, and a function
// that makes one for each conn.
func ExampleProto() {
	client, server := net.Pipe()
	go func() {
		s := socket.NewSocket(client, newLineProto)
		defer s.Close()
		s.WritePacket(socket.NewPacket(socket.WithUri("/greet"), socket.WithBody("hello")))
	}()

	s := socket.NewSocket(server, newLineProto)
	defer s.Close()
	var body string
	p := socket.NewPacket(socket.WithBody(&body))
	fmt.Println(s.ReadPacket(p), p.Uri(), body)
	fmt.Println(s.ReadPacket(p))
	// Output:
	// <nil> /greet hello
	// EOF
}
