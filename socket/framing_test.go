package socket_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// framedProto is a Proto as a user writes one, of which a frame is its size, the
// number and ids of the filters, and what these made of URI, 0 and body. A URI
// "/ping" it answers by itself, and it waits for its Close when the URI is "/wait".
type framedProto struct {
	stream socket.Stream
	closed chan struct{}
}

func newFramedProto(rw io.ReadWriter) socket.Proto {
	return &framedProto{stream: rw.(socket.Stream), closed: make(chan struct{})}
}

func (*framedProto) Version() (byte, string) { return 'F', "framed" }

func (f *framedProto) Close() error {
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
	return nil
}

func (f *framedProto) Pack(p *socket.Packet) error {
	ids := p.Filters()
	b := append([]byte{0, 0, 0, 0, byte(len(ids))}, ids...)
	b, err := p.AppendFiltered(b, func(b []byte, p *socket.Packet) ([]byte, error) {
		return p.AppendBody(append(append(b, p.Uri()...), 0))
	})
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	if err := p.SetSize(uint32(len(b))); err != nil {
		return err
	}
	_, err = f.stream.Write(b)
	return err
}

func (f *framedProto) Unpack(p *socket.Packet) error {
	var head [5]byte
	if _, err := io.ReadFull(f.stream, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if err := p.SetSize(size); err != nil {
		return err
	}
	ids := make([]byte, head[4])
	if _, err := io.ReadFull(f.stream, ids); err != nil {
		return err
	}
	if err := p.SetFilters(ids); err != nil {
		return err
	}
	err := p.ReadFrame(f.stream, int(size)-5-len(ids), func(p *socket.Packet, b []byte) ([]byte, error) {
		uri, body, ok := bytes.Cut(b, []byte{0})
		if !ok {
			return nil, socket.ErrMalformed
		}
		p.SetUri(string(uri))
		p.SetBodyCodec('s')
		return body, nil
	})
	if err != nil {
		return err
	}
	switch p.Uri() {
	case "/ping":
		return f.stream.Answer(socket.NewPacket(socket.WithUri("/pong"), socket.WithBodyCodec('s'),
			socket.WithBody("to "+f.stream.RemoteAddr().Network())))
	case "/wait":
		<-f.closed
		return socket.ErrNoMore
	}
	return nil
}

func TestFramingOfAProto(t *testing.T) {
	for _, filters := range []string{"", "g", "gR"} {
		for _, pieces := range []int{1, 7, 1 << 20} {
			s := newScript()
			for _, body := range []string{"", "short", strings.Repeat("long", 40<<10)} {
				noError(t, s.conn(socket.Options{}, newFramedProto).WritePacket(socket.NewPacket(socket.WithUri("/a"),
					socket.WithBodyCodec('s'), socket.WithBody(body), socket.WithXferPipe([]byte(filters)...))))
			}
			var segments [][]byte
			for b := s.output(); len(b) > 0; b = b[min(pieces, len(b)):] {
				segments = append(segments, b[:min(pieces, len(b))])
			}
			c := newScript(segments...).conn(socket.Options{}, newFramedProto)
			for _, want := range []string{"", "short", strings.Repeat("long", 40<<10)} {
				var got string
				p := socket.NewPacket(socket.WithBody(&got))
				noError(t, c.ReadPacket(p))
				equal(t, "body", got == want, true)
				equal(t, "uri", p.Uri(), "/a")
				equal(t, "filters", string(p.Filters()), filters)
			}
			wantError(t, c.ReadPacket(rawPacket()), io.EOF)
		}
	}
}

// What is not allowed is refused before it is undone, and before the rest comes.
func TestSetFiltersRefuses(t *testing.T) {
	var p socket.Packet
	p.SetLimits(socket.Options{AllowFilter: func(id byte) bool { return id == 'g' }})
	noError(t, p.SetFilters([]byte("g")))
	wantError(t, new(socket.Packet).SetFilters([]byte("gg")), socket.ErrMalformed)
	wantError(t, new(socket.Packet).SetFilters([]byte("ggggg")), socket.ErrMalformed)
	wantError(t, new(socket.Packet).SetFilters([]byte{0xfe}), socket.ErrMalformed)
	p.Reset()
	p.SetLimits(socket.Options{AllowFilter: func(id byte) bool { return id == 'g' }})
	wantError(t, p.SetFilters([]byte("R")), socket.ErrFilterNotAllowed)
	s := newScript(append([]byte{0, 0, 1, 0, 1, 'R'}, "here ends what came"...))
	c := s.conn(socket.Options{AllowFilter: func(byte) bool { return false }}, newFramedProto)
	wantError(t, c.ReadPacket(rawPacket()), socket.ErrFilterNotAllowed)
}

func TestReadFrameBoundsFilters(t *testing.T) {
	s := newScript()
	noError(t, s.conn(socket.Options{}, newFramedProto).WritePacket(socket.NewPacket(socket.WithXferPipe('g'),
		socket.WithBodyCodec('s'), socket.WithBody(strings.Repeat("x", 1<<20)))))
	c := newScript(s.output()).conn(socket.Options{PacketLimit: 100 << 10}, newFramedProto)
	wantError(t, c.ReadPacket(rawPacket()), socket.ErrMalformed)

	err := newScript().conn(socket.Options{PacketLimit: 100 << 10}, newFramedProto).WritePacket(socket.NewPacket(
		socket.WithXferPipe('g'), socket.WithBodyCodec('s'), socket.WithBody(strings.Repeat("x", 1<<20))))
	wantError(t, err, socket.ErrExceedPacketSizeLimit)
}

func TestStreamLookAhead(t *testing.T) {
	var stream socket.Stream
	newScript([]byte("abc"), []byte("defg")).conn(socket.Options{}, func(rw io.ReadWriter) socket.Proto {
		stream = rw.(socket.Stream)
		return socket.NewFastProto(rw)
	})
	look := func(want string) {
		t.Helper()
		b, err := stream.LookAhead()
		noError(t, err)
		equal(t, "ahead", string(b), want)
	}
	look("abc")
	look("abc")
	stream.Discard(2)
	look("c")
	var b [1]byte
	_, err := stream.Read(b[:])
	noError(t, err)
	equal(t, "read", string(b[:]), "c")
	look("defg")
	stream.Discard(4)
	_, err = stream.LookAhead()
	wantError(t, err, io.EOF)
}

// A Proto answers from within Unpack, and a wait of it ends with its conn.
func TestProtoAnswersAndIsClosed(t *testing.T) {
	c, far := tcp.conns(t, newFramedProto)
	ended := make(chan error, 1)
	go func() {
		for {
			if err := c.ReadPacket(rawPacket()); err != nil {
				ended <- err
				return
			}
		}
	}()
	there := socket.NewConn(far, socket.Options{}, newFramedProto)
	noError(t, there.WritePacket(socket.NewPacket(socket.WithUri("/ping"), socket.WithBodyCodec('s'))))
	var body string
	answer := socket.NewPacket(socket.WithBody(&body))
	noError(t, there.ReadPacket(answer))
	equal(t, "answer", answer.Uri()+" "+body, "/pong to tcp")
	noError(t, there.WritePacket(socket.NewPacket(socket.WithUri("/wait"), socket.WithBodyCodec('s'))))
	select {
	case err := <-ended:
		t.Fatalf("Unpack did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	noError(t, c.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Fatalf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Unpack did not end")
	}
}

// Linger waits for the other side to close, though that goes on sending, so that it
// gets what was written last.
func TestLinger(t *testing.T) {
	c, far := tcp.conns(t)
	_, err := far.Write(make([]byte, 100<<10))
	noError(t, err)
	_, err = c.Write([]byte("the last"))
	noError(t, err)
	noError(t, c.Flush(context.Background()))
	lingered := make(chan struct{})
	go func() {
		defer close(lingered)
		c.Linger(10 * time.Second)
		c.Close()
	}()
	got, err := io.ReadAll(far)
	noError(t, err)
	equal(t, "got", string(got), "the last")
	noError(t, far.Close())
	select {
	case <-lingered:
	case <-time.After(20 * time.Second):
		t.Fatal("it still lingers")
	}
}

// A Proto may write frames that waited for the one it packs: each has its own size.
func TestPackWritesWhatWaited(t *testing.T) {
	waiting := []byte(strings.Repeat("w", 80))
	pack := func(tell bool) error {
		s := newScript()
		return s.conn(socket.Options{PacketLimit: 100}, func(rw io.ReadWriter) socket.Proto {
			return packFunc(func(p *socket.Packet) error {
				if tell {
					if err := p.SetSize(80); err != nil {
						return err
					}
				}
				_, err := rw.Write(append(waiting, waiting...))
				return err
			})
		}).WritePacket(socket.NewPacket())
	}
	noError(t, pack(true))
	wantError(t, pack(false), socket.ErrExceedPacketSizeLimit)
}

// packFunc is a Proto that only packs.
type packFunc func(p *socket.Packet) error

func (packFunc) Version() (byte, string)       { return 0, "func" }
func (f packFunc) Pack(p *socket.Packet) error { return f(p) }
func (packFunc) Unpack(p *socket.Packet) error { return io.EOF }

// watcher is a FastProto that is told of its frames.
type watcher struct {
	*socket.FastProto
	queued chan uint64
}

func (w watcher) FrameQueued(p *socket.Packet) { w.queued <- p.Seq() }

// stagedWatcher is the same for one that only packs.
type stagedWatcher struct {
	packFunc
	queued chan uint64
}

func (w stagedWatcher) FrameQueued(p *socket.Packet) { w.queued <- p.Seq() }

// With a Pack, the frame of each packet is queued, and that told, before the next Pack: what
// a Proto has noted in it is of that packet.
func TestFrameQueuedBeforeNextPack(t *testing.T) {
	var packed atomic.Uint64
	var wrong atomic.Int32
	c := newScript().conn(socket.Options{}, func(io.ReadWriter) socket.Proto {
		return toldProto{func(p *socket.Packet) error {
			packed.Store(p.Seq())
			return nil
		}, func(p *socket.Packet) {
			if packed.Load() != p.Seq() {
				wrong.Add(1)
			}
		}}
	})
	var all sync.WaitGroup
	for i := range uint64(8) {
		all.Go(func() {
			for n := range uint64(2000) {
				if err := c.QueuePacket(socket.NewPacket(socket.WithSeq(n<<3 | i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d were told after another Pack", n)
	}
}

// toldProto is a Proto that only packs, and is told.
type toldProto struct {
	packFunc
	told func(p *socket.Packet)
}

func (w toldProto) FrameQueued(p *socket.Packet) { w.told(p) }

func TestFrameWatcher(t *testing.T) {
	queued := make(chan uint64, 1)
	for name, protoFunc := range map[string]socket.ProtoFunc{
		"appends": func(rw io.ReadWriter) socket.Proto {
			return watcher{socket.NewFastProto(rw).(*socket.FastProto), queued}
		},
		"packs": func(rw io.ReadWriter) socket.Proto {
			return stagedWatcher{func(p *socket.Packet) error {
				if len(queued) > 0 {
					t.Error("told before it is packed")
				}
				_, err := p.MarshalBody()
				return err
			}, queued}
		},
	} {
		c := newScript().conn(socket.Options{}, protoFunc)
		noError(t, c.QueuePacket(socket.NewPacket(socket.WithSeq(7))))
		equal(t, name, <-queued, 7)
		wantError(t, c.QueuePacket(socket.NewPacket(socket.WithBody(make(chan int)))), socket.ErrPack)
		equal(t, name+": after a failure", len(queued), 0)
	}
}
