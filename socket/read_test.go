package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

var frame = unhex("0000001c 6600 0000000000000009 01 00000002 2f61 00000000 73 6869")

// A body that cannot be decoded is that packet's trouble only.
func TestReadUndecodableBody(t *testing.T) {
	c := newScript(frame, frame).conn(socket.Options{})
	if err := c.ReadPacket(socket.NewPacket(socket.WithBody(new(int)))); err == nil || !strings.Contains(err.Error(), `"string"`) {
		t.Errorf("got %v, want an error that names the codec", err)
	}
	var body string
	noError(t, c.ReadPacket(socket.NewPacket(socket.WithBody(&body))))
	equal(t, "body", body, "hi")
}

// A Packet may be read into again; nothing of the one before stays.
func TestReadIntoUsedPacket(t *testing.T) {
	full := socket.NewPacket(
		socket.WithSeq(1), socket.WithPtype(2), socket.WithUri("/u"), socket.WithAddMeta("k", "v"),
		socket.WithBodyCodec(codec.ID_STRING), socket.WithBody("x"), socket.WithXferPipe('g'),
	)
	c := newScript(pack(t, full), pack(t, socket.NewPacket())).conn(socket.Options{})
	p := rawPacket()
	noError(t, c.ReadPacket(p))
	noError(t, c.ReadPacket(p))
	equal(t, "packet", p.String(), `{"seq":0,"ptype":0,"uri":"","meta":"","body_codec":0,"body":"","size":24}`)
	equal(t, "filters", p.XferPipe().Len(), 0)
}

// Raw bytes may come before, between and after packets.
func TestReadRawBetweenPackets(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, peer := kind.conns(t)
			big := strings.Repeat("0123456789", 20<<10)
			go func() {
				peer.Write(slices.Concat([]byte("hello"), frame, []byte(big), frame))
				peer.Close()
			}()
			for _, raw := range []string{"hello", big} {
				got := make([]byte, len(raw))
				_, err := io.ReadFull(c, got)
				noError(t, err)
				if string(got) != raw {
					t.Fatalf("%d raw bytes are not those that were sent", len(raw))
				}
				noError(t, c.ReadPacket(rawPacket()))
			}
			n, err := c.Read(nil)
			equal(t, "read of nothing", n, 0)
			noError(t, err)
			_, err = c.Read(make([]byte, 1))
			equal(t, "end", err, io.EOF)
		})
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
}

func TestReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := net.Pipe()
		c := socket.NewConn(a, socket.Options{})
		defer c.Close()
		defer peer.Close()
		c.SetReadTimeout(-1)
		equal(t, "negative", c.ReadTimeout(), 0)
		c.SetReadTimeout(time.Minute)
		equal(t, "timeout", c.ReadTimeout(), time.Minute)
		go func() {
			for range 3 { // less than the timeout, each time
				time.Sleep(59 * time.Second)
				peer.Write(frame)
			}
		}()
		for range 3 {
			noError(t, c.ReadPacket(rawPacket()))
		}
		start := time.Now()
		if err := c.ReadPacket(rawPacket()); !isTimeout(err) {
			t.Fatalf("got %v, want a timeout", err)
		}
		equal(t, "silence", time.Since(start), time.Minute) // synctest's clock

		c.SetReadTimeout(0) // takes the deadline away
		go func() {
			time.Sleep(time.Hour)
			peer.Write(frame)
		}()
		noError(t, c.ReadPacket(rawPacket()))
	})
}

// Silence is no harm, but who has begun a frame must finish it in time, and
// cannot gain time by single bytes.
func TestReadFrameTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := net.Pipe()
		c := socket.NewConn(a, socket.Options{FrameTimeout: 30 * time.Second})
		defer c.Close()
		var trickle sync.WaitGroup
		trickle.Go(func() {
			for _, pause := range []time.Duration{time.Hour, time.Hour, 25 * time.Second} {
				time.Sleep(pause)
				peer.Write(frame[:7])
				time.Sleep(20 * time.Second)
				peer.Write(frame[7:])
			}
			time.Sleep(time.Hour)
			for _, b := range frame {
				if _, err := peer.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(2 * time.Second)
			}
		})
		for range 3 {
			noError(t, c.ReadPacket(rawPacket()))
		}
		start := time.Now()
		if err := c.ReadPacket(rawPacket()); !isTimeout(err) {
			t.Fatalf("got %v, want a timeout", err)
		}
		equal(t, "from the first byte", time.Since(start), time.Hour+30*time.Second)
		peer.Close()
		trickle.Wait()
	})
}

// Over a TCP conn the same, in earnest.
func TestReadTimeoutsTCP(t *testing.T) {
	for _, sent := range [][]byte{nil, frame[:3], frame[:20]} {
		c, peer := tcp.connsWith(t, socket.Options{FrameTimeout: 20 * time.Millisecond})
		c.SetReadTimeout(20 * time.Millisecond)
		_, err := peer.Write(sent)
		noError(t, err)
		if err := c.ReadPacket(rawPacket()); !isTimeout(err) {
			t.Fatalf("after %d bytes: got %v, want a timeout", len(sent), err)
		}
	}
}

// Without timeouts of ours, read deadlines are the caller's.
func TestReadCallersDeadline(t *testing.T) {
	for _, kind := range connKinds {
		c, _ := kind.conns(t)
		noError(t, c.SetReadDeadline(time.Unix(1, 0)))
		if err := c.ReadPacket(rawPacket()); !isTimeout(err) {
			t.Errorf("%s: got %v, want a timeout", kind.name, err)
		}
		noError(t, c.SetDeadline(time.Unix(1, 0)))
		if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("%s: Read: got %v, want a timeout", kind.name, err)
		}
	}
}

// The deadline of a frame is over when the frame is there: raw reads after it
// are no part of it.
func TestReadRawAfterFrameTimeout(t *testing.T) {
	s := newScript(frame[:7], frame[7:], []byte("raw"))
	c := s.conn(socket.Options{FrameTimeout: time.Minute})
	noError(t, c.ReadPacket(rawPacket()))
	if len(s.deadlines) != 1 || s.deadlines[0].IsZero() {
		t.Fatalf("deadlines of the frame: %v, want one", s.deadlines)
	}
	_, err := c.Read(make([]byte, 10))
	noError(t, err)
	if len(s.deadlines) != 2 || !s.deadlines[1].IsZero() {
		t.Fatalf("deadlines: %v, want the last to be none", s.deadlines)
	}
}

// A Read of no bytes is no error: io.Reader allows it, and net.Pipe does it
// when the other side writes none.
func TestReadOfNothing(t *testing.T) {
	a, peer := net.Pipe()
	c := socket.NewConn(a, socket.Options{})
	defer c.Close()
	var writer sync.WaitGroup
	writer.Go(func() {
		for _, b := range [][]byte{{}, frame[:4], {}, frame[4:]} {
			peer.Write(b)
		}
	})
	noError(t, c.ReadPacket(rawPacket()))
	writer.Wait()
	peer.Close()
	equal(t, "end", c.ReadPacket(rawPacket()), io.EOF)
}

// A conn that only ever does that is broken, and must not keep us busy.
func TestReadNoProgress(t *testing.T) {
	c := socket.NewConn(emptyReader{newScript()}, socket.Options{})
	equal(t, "packet", c.ReadPacket(rawPacket()), io.ErrNoProgress)
	_, err := io.ReadFull(c, make([]byte, 1<<20)) // past the buffer
	equal(t, "raw", err, io.ErrNoProgress)
}

type emptyReader struct{ net.Conn }

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// Small bodies that waited for their handlers pinned pooled buffers of large
// ones: 2 GiB where 4 MiB were allowed.
func TestReadHeldBodyPinsLittle(t *testing.T) {
	packed := func(body string) []byte {
		s := newScript()
		noError(t, s.conn(socket.Options{}).WritePacket(socket.NewPacket(socket.WithBodyCodec(codec.ID_STRING), socket.WithBody(body))))
		return s.output()
	}
	large := packed(strings.Repeat("x", 200<<10))
	for _, body := range []string{"", "hi"} {
		for range 100 { // the pool need not give back what it was given
			c := newScript(large, packed(body)).conn(socket.Options{})
			noError(t, c.ReadPacket(rawPacket()))
			p := socket.NewPacket()
			p.HoldBody()
			noError(t, c.ReadPacket(p))
			equal(t, "body", string(p.HeldBody()), body)
			if n := cap(p.HeldBody()); n > 2<<10 {
				t.Fatalf("a body of %d bytes pins %d", len(body), n)
			}
		}
	}
}

// FrameArrived is true only of what ReadPacket reads without waiting, and without
// a filter of the user.
func TestFrameArrived(t *testing.T) {
	whole := pack(t, socket.NewPacket(socket.WithUri("/whole")))
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			for _, test := range []struct {
				name string
				next []byte
				want bool
			}{
				{"nothing", nil, false},
				{"a frame", whole, true},
				{"a frame and more", append(whole[:len(whole):len(whole)], 0), true},
				{"all but the last byte", whole[:len(whole)-1], false},
				{"the size", whole[:4], false},
				{"a frame with filters", pack(t, socket.NewPacket(socket.WithXferPipe('g'))), false},
			} {
				c, conn := kind.conns(t)
				go conn.Write(append(whole[:len(whole):len(whole)], test.next...))
				noError(t, c.ReadPacket(rawPacket()))
				equal(t, test.name, c.FrameArrived(), test.want)
			}
		})
	}
}
