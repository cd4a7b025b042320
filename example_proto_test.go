package tp_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// lineProto is a socket.Proto: a packet is a line of JSON of at most maxLine
// bytes. It carries no transfer filters.
type lineProto struct {
	r *bufio.Reader
	w io.Writer
}

const maxLine = 64 << 10

type jsonLine struct {
	Seq   uint64
	Type  byte
	Uri   string
	Meta  string
	Codec byte
	Body  []byte
}

func newLineProto(rw io.ReadWriter) socket.Proto {
	return &lineProto{bufio.NewReaderSize(rw, maxLine), rw}
}

func (*lineProto) Version() (byte, string) { return 'l', "line" }

func (l *lineProto) Pack(p *socket.Packet) error {
	if p.XferPipe().Len() > 0 {
		return errors.New("line: it carries no transfer filters")
	}
	body, err := p.MarshalBody()
	if err != nil {
		return err
	}
	b, err := json.Marshal(jsonLine{p.Seq(), p.Ptype(), p.Uri(), p.Meta().String(), p.BodyCodec(), body})
	if err != nil {
		return err
	}
	if len(b) >= maxLine { // an error here, or the end of the session there
		return fmt.Errorf("line: a packet of %d bytes, the limit is %d", len(b)+1, maxLine)
	}
	if err := p.SetSize(uint32(len(b) + 1)); err != nil {
		return err
	}
	_, err = l.w.Write(append(b, '\n'))
	return err
}

func (l *lineProto) Unpack(p *socket.Packet) error {
	b, err := l.r.ReadSlice('\n') // fails when the line is over maxLine
	if err == io.EOF && len(b) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if err := p.SetSize(uint32(len(b))); err != nil {
		return err
	}
	var in jsonLine
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	p.SetSeq(in.Seq)
	p.SetPtype(in.Type)
	p.SetUri(in.Uri)
	p.Meta().Parse(in.Meta)
	p.SetBodyCodec(in.Codec)
	return p.UnmarshalBody(in.Body)
}

// Both sides of a connection use the same Proto. What it cannot carry is an
// error of the pull, and the session lives on.
func Example_proto() {
	server := tp.NewPeer(&tp.PeerConfig{})
	defer server.Close()
	tp.RegPull(server.PullRouter, "add", exampleAdd)
	client := tp.NewPeer(&tp.PeerConfig{})
	defer client.Close()

	sess, rerr := client.Dial(exampleListen(server, newLineProto), newLineProto)
	if rerr != nil {
		fmt.Println(rerr)
		return
	}
	var sum int
	fmt.Println(sess.Pull("/add", strings.Repeat("x", maxLine), nil).Rerror().Code)
	fmt.Println(sess.Pull("/add", [2]int{1, 2}, &sum, tp.WithXferPipe('g')).Rerror().Code)
	fmt.Println(sess.Pull("/add", [2]int{1, 2}, &sum).Rerror(), sum)
	// Output:
	// 400
	// 400
	// <nil> 3
}
