package socket_test

import (
	"errors"
	"io"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

const fuzzLimit = 64 << 10 // keeps gzip bombs short

// fuzzFrames are the captures, frames of our own, and some that are wrong.
func fuzzFrames(f testing.TB) (frames [][]byte) {
	for _, c := range captures {
		frames = append(frames, c.bytes())
	}
	for _, filters := range []string{"", "g", "R", "gR", "Rg"} {
		frames = append(frames, pack(f, socket.NewPacket(
			socket.WithSeq(1<<40), socket.WithPtype(7), socket.WithUri("/a?b=c"), socket.WithAddMeta("k v", "ä"),
			socket.WithBody("body"), socket.WithXferPipe([]byte(filters)...),
		)))
	}
	for _, s := range []string{
		"00000000", "00000006 6600", "ffffffff 6600", "00000008 6602 6767", "00000007 6601 46",
		"00000018 6600 0000000000000000 01 ffffffff 00000000 00",
		"0000001b 6600 0000000000000000 01 00000000 00000003 2625 3d 00",
	} {
		frames = append(frames, unhex(s))
	}
	return frames
}

// Whatever arrives, Unpack does not panic, fails only with the errors that it
// says, and what it takes can be packed again to the same packet.
func FuzzFastUnpack(f *testing.F) {
	for _, frame := range fuzzFrames(f) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := rawPacket()
		err := newScript(data).conn(socket.Options{PacketLimit: fuzzLimit}).ReadPacket(p)
		if err != nil {
			for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, socket.ErrMalformed, socket.ErrProtoUnmatch, socket.ErrExceedPacketSizeLimit} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("unknown error: %v", err)
		}
		if int(p.Size()) > len(data) {
			t.Fatalf("a packet of %d bytes from %d", p.Size(), len(data))
		}
		filters := string(p.XferPipe().Ids())

		s := newScript()
		noError(t, s.conn(socket.Options{PacketLimit: 8 * fuzzLimit}).WritePacket(p)) // our %XX may be longer
		again := rawPacket()
		noError(t, newScript(s.output()).conn(socket.Options{PacketLimit: 8 * fuzzLimit}).ReadPacket(again))
		noError(t, again.SetSize(0))
		noError(t, p.SetSize(0))
		equal(t, "again", again.String(), p.String())
		equal(t, "filters", string(again.XferPipe().Ids()), filters)
		equal(t, "body", string(*again.Body().(*[]byte)), string(*p.Body().(*[]byte)))
	})
}
