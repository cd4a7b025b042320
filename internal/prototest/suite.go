package prototest

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/henrylee2cn/teleport/socket"
)

// Describe returns all of a packet that was read but for its size.
func Describe(t testing.TB, p *socket.Packet) string {
	t.Helper()
	size := p.Size()
	if err := p.SetSize(0); err != nil {
		t.Fatal(err)
	}
	text := p.String()
	if err := p.SetSize(size); err != nil {
		t.Fatal(err)
	}
	return text + " filters " + string(p.Filters()) + " body " + Body(p)
}

// Splits unpacks the frames, which are of several packets, however they arrive: in one
// piece, byte by byte, cut in two at each offset, and from a plain io.ReadWriter. Each
// time the same packets must come, then io.EOF. It returns what they are.
func Splits(t *testing.T, protoFunc socket.ProtoFunc, frames []byte) (want []string) {
	t.Helper()
	opt := socket.Options{}
	want = readAll(t, NewConn(opt, protoFunc, frames))
	check := func(how string, at int, got []string) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s %d: %d packets, want %d", how, at, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s %d: packet %d is\n%s, want\n%s", how, at, i, got[i], want[i])
			}
		}
	}
	var each [][]byte
	for i := range frames {
		each = append(each, frames[i:i+1])
	}
	check("byte by byte", 0, readAll(t, NewConn(opt, protoFunc, each...)))
	for at := 1; at < len(frames); at++ {
		check("cut at", at, readAll(t, NewConn(opt, protoFunc, frames[:at], frames[at:])))
	}
	check("plain", 0, readAll(t, protoReader{protoFunc(bytes.NewBuffer(bytes.Clone(frames)))}))
	return want
}

// protoReader is a Proto without a Conn.
type protoReader struct{ proto socket.Proto }

func (r protoReader) ReadPacket(p *socket.Packet) error { return r.proto.Unpack(p) }

func readAll(t *testing.T, from interface {
	ReadPacket(*socket.Packet) error
},
) (all []string) {
	t.Helper()
	for {
		p := Packet()
		err := from.ReadPacket(p)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(all), err)
		}
		all = append(all, Describe(t, p))
	}
}

// Truncations unpacks each beginning of the frame of one packet: it must be
// io.ErrUnexpectedEOF, and io.EOF for none.
func Truncations(t *testing.T, protoFunc socket.ProtoFunc, frame []byte) {
	t.Helper()
	for n := range frame {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if err := NewConn(socket.Options{}, protoFunc, frame[:n]).ReadPacket(Packet()); !errors.Is(err, want) {
			t.Errorf("the first %d of %d bytes: got %v, want %v", n, len(frame), err, want)
		}
	}
}

// Claims unpacks the beginning of a frame that claims to have much, within the limit of
// 1 GiB, of which next to nothing comes. It must not take the memory for that.
func Claims(t *testing.T, protoFunc socket.ProtoFunc, begin []byte) {
	t.Helper()
	read := func() {
		if err := NewConn(socket.Options{PacketLimit: 1 << 30}, protoFunc, begin).ReadPacket(Packet()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("got %v", err)
		}
	}
	read()              // warm up
	least := ^uint64(0) // the runtime and a GC allocate beside us
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if most := uint64(4*len(begin) + 128<<10); least > most {
		t.Errorf("%d bytes took %d bytes of memory, more than %d", len(begin), least, most)
	}
}

// ManyPairs reads a frame whose meta data is many pairs of next to no bytes. It is
// refused as too long, and must not take the memory that all of the pairs would.
func ManyPairs(t *testing.T, protoFunc socket.ProtoFunc, frame []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := NewConn(socket.Options{MetaLimit: 16 << 10}, protoFunc, frame).ReadPacket(Packet())
	runtime.ReadMemStats(&after)
	if !errors.Is(err, socket.ErrExceedHeaderLimit) {
		t.Errorf("got %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16*uint64(len(frame)) {
		t.Errorf("%d bytes took %d bytes of memory", len(frame), took)
	}
}

// Limits packs and unpacks the packet with a limit that it just keeps, and one that it
// does not. Over the limit is ErrExceedPacketSizeLimit on both sides.
func Limits(t *testing.T, protoFunc socket.ProtoFunc, p *socket.Packet) {
	t.Helper()
	frame := Pack(t, protoFunc, p)
	if p.Size() != uint32(len(frame)) {
		t.Errorf("packed: Size is %d, the frame has %d bytes", p.Size(), len(frame))
	}
	fits := socket.Options{PacketLimit: uint32(len(frame))}
	got := Packet()
	if err := NewConn(fits, protoFunc, frame).ReadPacket(got); err != nil {
		t.Errorf("read within the limit: %v", err)
	}
	if got.Size() != uint32(len(frame)) {
		t.Errorf("unpacked: Size is %d, the frame has %d bytes", got.Size(), len(frame))
	}
	if err := NewConn(fits, protoFunc).WritePacket(p); err != nil {
		t.Errorf("write within the limit: %v", err)
	}
	less := socket.Options{PacketLimit: uint32(len(frame) - 1)}
	if err := NewConn(less, protoFunc, frame).ReadPacket(Packet()); !errors.Is(err, socket.ErrExceedPacketSizeLimit) {
		t.Errorf("read over the limit: %v", err)
	}
	if err := NewConn(less, protoFunc).WritePacket(p); !errors.Is(err, socket.ErrExceedPacketSizeLimit) || !errors.Is(err, socket.ErrPack) {
		t.Errorf("write over the limit: %v", err)
	}
}

// Fuzz unpacks data with a small limit. What is refused must be so with an error that
// is known; what is taken must, once the change is made to it, be packed again to the same
// packet.
func Fuzz(t *testing.T, protoFunc socket.ProtoFunc, data []byte, change func(*socket.Packet), known ...error) {
	const limit = 64 << 10 // keeps gzip bombs short
	p := Packet()
	err := NewConn(socket.Options{PacketLimit: limit}, protoFunc, data).ReadPacket(p)
	if err != nil {
		known = append(known, io.EOF, io.ErrUnexpectedEOF, socket.ErrMalformed, socket.ErrProtoUnmatch, socket.ErrExceedPacketSizeLimit, socket.ErrNoMore)
		for _, k := range known {
			if errors.Is(err, k) {
				return
			}
		}
		t.Fatalf("unknown error: %v", err)
	}
	if int(p.Size()) > len(data) {
		t.Fatalf("a packet of %d bytes from %d", p.Size(), len(data))
	}
	change(p)
	c := newConn(nil)
	if err := socket.NewConn(c, socket.Options{PacketLimit: 8 * limit}, protoFunc).WritePacket(p); err != nil {
		for _, k := range known {
			if errors.Is(err, k) {
				return
			}
		}
		t.Fatalf("pack %v: %v", p, err)
	}
	want := Describe(t, p)
	again := Packet()
	if err := NewConn(socket.Options{PacketLimit: 8 * limit}, protoFunc, c.written).ReadPacket(again); err != nil {
		t.Fatalf("unpack %q again: %v", c.written, err)
	}
	if got := Describe(t, again); got != want {
		t.Fatalf("again:\n%s, want\n%s", got, want)
	}
}
