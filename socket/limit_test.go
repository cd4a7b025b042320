package socket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

const (
	uriLimit  = 100
	metaLimit = 200
)

var headerLimits = socket.Options{UriLimit: uriLimit, MetaLimit: metaLimit}

// protos are Protos of each way to pack and unpack.
var protos = []struct {
	name string
	make socket.ProtoFunc
}{
	{"fast", nil},
	{"fast on a stream of the user", func(rw io.ReadWriter) socket.Proto {
		return socket.NewFastProto(struct{ io.ReadWriter }{rw})
	}},
	{"embeds fast", func(rw io.ReadWriter) socket.Proto {
		return struct{ *socket.FastProto }{socket.NewFastProto(rw).(*socket.FastProto)}
	}},
	{"line", newLineProto},
}

// headers are those within the limits and beyond them. The meta data takes 3
// bytes for each colon.
var headers = []struct {
	name    string
	uri     string
	meta    string
	refused string
	keepURI bool
}{
	{"fits", strings.Repeat("u", uriLimit), strings.Repeat("m", metaLimit-2), "", true},
	{"fits, encoded", "/u", strings.Repeat(":", (metaLimit-2)/3), "", true},
	{"uri", strings.Repeat("u", uriLimit+1), "m", "a URI of 101 bytes, the limit is 100 (raise it with PeerConfig.UriSizeLimit)", false},
	{"meta", "/u", strings.Repeat("m", metaLimit-1), "meta data of 201 bytes, the limit is 200 (raise it with PeerConfig.MetaSizeLimit)", true},
	{"meta, encoded", "/u", strings.Repeat(":", metaLimit/3+1), "meta data of 203 bytes, the limit is 200", true},
	{"both", strings.Repeat("u", 70000), strings.Repeat("m", 70000), "a URI of 70000 bytes, the limit is 100", false},
}

// What is too long is refused, whatever the Proto, and the next packet is read.
func TestHeaderLimitRead(t *testing.T) {
	for _, proto := range protos {
		for _, h := range headers {
			for _, kind := range connKinds {
				t.Run(proto.name+"/"+h.name+"/"+kind.name, func(t *testing.T) {
					testHeaderLimitRead(t, kind, proto.make, h.uri, h.meta, h.refused, h.keepURI)
				})
			}
		}
	}
}

func testHeaderLimitRead(t *testing.T, kind connKind, proto socket.ProtoFunc, uri, meta, refused string, keepURI bool) {
	c, far := kind.connsWith(t, headerLimits, proto)
	other := socket.NewConn(far, socket.Options{}, proto)
	ended := make(chan error, 1)
	go func() {
		err := other.WritePacket(socket.NewPacket(socket.WithSeq(7), socket.WithPtype(3), socket.WithUri(uri),
			socket.WithAddMeta("k", meta), socket.WithBody("body")))
		ended <- errors.Join(err, other.WritePacket(socket.NewPacket(socket.WithUri("/alive"), socket.WithBody("body"))))
	}()
	made := 0
	p := socket.NewPacket(socket.WithNewBody(func(uint64, byte, string) interface{} { made++; return new(string) }))
	err := c.ReadPacket(p)
	if refused == "" {
		noError(t, err)
		equal(t, "meta", string(p.Meta().Peek("k")), meta)
	} else {
		wantError(t, err, socket.ErrExceedHeaderLimit)
		if !strings.Contains(err.Error(), refused) {
			t.Errorf("error %q does not say %q", err, refused)
		}
		if c.TakesFrame() {
			equal(t, "bodies", made, 0)
		}
		equal(t, "has meta", p.HasMeta(), false)
		equal(t, "held", len(p.HeldBody()), 0)
	}
	if !keepURI {
		uri = ""
	}
	equal(t, "uri", p.Uri(), uri)
	equal(t, "seq", p.Seq(), 7)
	equal(t, "ptype", p.Ptype(), 3)

	var body string
	p = socket.NewPacket(socket.WithBody(&body))
	noError(t, c.ReadPacket(p))
	equal(t, "next", p.Uri(), "/alive")
	equal(t, "its body", body, "body")
	noError(t, <-ended)
}

// A packet that was refused can be used to read another.
func TestHeaderLimitPacketAgain(t *testing.T) {
	long := pack(t, socket.NewPacket(socket.WithUri(strings.Repeat("u", uriLimit+1))))
	short := pack(t, socket.NewPacket(socket.WithUri("/alive"), socket.WithBody([]byte("body"))))
	for _, hold := range []bool{false, true} {
		for _, segments := range [][][]byte{{long, short}, {append(append([]byte(nil), long...), short...)}} {
			c := newScript(segments...).conn(headerLimits)
			p := rawPacket()
			if hold {
				p.HoldBody()
			}
			wantError(t, c.ReadPacket(p), socket.ErrExceedHeaderLimit)
			noError(t, c.ReadPacket(p))
			equal(t, "uri", p.Uri(), "/alive")
			if hold {
				equal(t, "body", string(p.HeldBody()), "body")
			}
		}
	}
}

// What is refused is neither parsed nor remembered: 20 KiB of pairs without
// values are 10,000 pairs.
func TestHeaderLimitTakesNoMemory(t *testing.T) {
	pairs := strings.Repeat("a&", 10<<10)
	rest := append(unhex("6600 0000000000000000 01 00000002 2f75"), binary.BigEndian.AppendUint32(nil, uint32(len(pairs)))...)
	frame := sized(append(append(rest, pairs...), 0))
	const times = 100
	for _, opt := range []socket.Options{headerLimits, {}} {
		c := newScript(bytes.Repeat(frame, times)).conn(opt)
		p := rawPacket()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			if err := c.ReadPacket(p); (opt.MetaLimit > 0) != errors.Is(err, socket.ErrExceedHeaderLimit) {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		each := int(after.TotalAlloc-before.TotalAlloc) / times
		if most := 2*len(frame) + 4<<10; opt.MetaLimit > 0 && each > most {
			t.Errorf("a frame of %d bytes took %d bytes of memory, want at most %d", len(frame), each, most)
		} else if opt.MetaLimit == 0 && each < most {
			t.Errorf("without a limit it took only %d bytes: then this test shows nothing", each)
		}
	}
}

// What is too long is not written, whatever the Proto, and the Conn lives.
func TestHeaderLimitWrite(t *testing.T) {
	for _, proto := range protos {
		for _, h := range headers {
			for _, body := range []interface{}{[]byte("body"), "body", make([]byte, 100<<10)} {
				t.Run(proto.name+"/"+h.name, func(t *testing.T) {
					s := newScript()
					c := s.conn(headerLimits, proto.make)
					p := socket.NewPacket(socket.WithUri(h.uri), socket.WithBody(body))
					if h.name != "uri" { // a packet without meta data is packed in another way
						p.Meta().Set("k", h.meta)
					}
					err := c.QueuePacket(p)
					if h.refused == "" {
						noError(t, err)
						return
					}
					wantError(t, err, socket.ErrExceedHeaderLimit)
					wantError(t, err, socket.ErrPack)
					if !strings.Contains(err.Error(), h.refused) {
						t.Errorf("error %q does not say %q", err, h.refused)
					}
					noError(t, c.Flush(t.Context()))
					equal(t, "on the wire", len(s.output()), 0)
					noError(t, c.WritePacket(socket.NewPacket(socket.WithUri("/alive"))))
				})
			}
		}
	}
}

func TestPacketSetLimits(t *testing.T) {
	opt := headerLimits
	opt.PacketLimit = 300
	opt.AllowFilter = func(id byte) bool { return id == 'R' }
	for _, test := range []struct {
		name string
		want error // nil: it is packed
		set  []socket.PacketSetting
	}{
		{"fits", nil, []socket.PacketSetting{socket.WithUri(strings.Repeat("u", uriLimit)), socket.WithXferPipe('R')}},
		{"uri", socket.ErrExceedHeaderLimit, []socket.PacketSetting{socket.WithUri(strings.Repeat("u", uriLimit+1))}},
		{"meta", socket.ErrExceedHeaderLimit, []socket.PacketSetting{socket.WithAddMeta("k", strings.Repeat("m", metaLimit))}},
		{"body", socket.ErrExceedPacketSizeLimit, []socket.PacketSetting{socket.WithBody(make([]byte, 300))}},
		{"filter", socket.ErrFilterNotAllowed, []socket.PacketSetting{socket.WithXferPipe('g')}},
	} {
		p := socket.NewPacket(test.set...)
		p.SetLimits(opt)
		_, err := socket.NewFrame(p)
		if test.want == nil {
			noError(t, err)
			continue
		}
		wantError(t, err, test.want)
		wantError(t, err, socket.ErrPack)
	}
	p := socket.NewPacket(socket.WithUri(strings.Repeat("u", uriLimit+1)))
	p.SetLimits(headerLimits)
	p.SetSizeLimit(300) // which leaves the others
	equal(t, "limit", p.SizeLimit(), 300)
	_, err := socket.NewFrame(p)
	wantError(t, err, socket.ErrExceedHeaderLimit)
}

// countingFilter counts how often it is asked to undo.
type countingFilter struct {
	id      byte
	unpacks *int
}

func (f countingFilter) Id() byte                        { return f.id }
func (f countingFilter) OnPack(b []byte) ([]byte, error) { return b, nil }
func (f countingFilter) OnUnpack(b []byte) ([]byte, error) {
	*f.unpacks++
	return b, nil
}

var unpacks int // by the filters 1 to 5

func init() {
	for id := byte(1); id <= 5; id++ {
		xfer.Reg(countingFilter{id, &unpacks})
	}
}

func TestFilterLimitWrite(t *testing.T) {
	only := func(ids string) socket.Options {
		return socket.Options{AllowFilter: func(id byte) bool { return strings.IndexByte(ids, id) >= 0 }}
	}
	for _, proto := range protos[:3] {
		for _, test := range []struct {
			ids  string
			opt  socket.Options
			want error
			text string
		}{
			{"\x01\x02\x03\x04", socket.Options{}, nil, ""},
			{"gR", only("Rg"), nil, ""},
			{"gR", only("g"), socket.ErrFilterNotAllowed, "'R' (82): allow it with PeerConfig.AllowedFilters"},
			{"g", only(""), socket.ErrFilterNotAllowed, "'g' (103)"},
		} {
			s := newScript()
			c := s.conn(test.opt, proto.make)
			err := c.WritePacket(socket.NewPacket(socket.WithXferPipe([]byte(test.ids)...)))
			if test.want == nil {
				noError(t, err)
				continue
			}
			wantError(t, err, test.want)
			wantError(t, err, socket.ErrPack)
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %q does not say %q", err, test.text)
			}
			equal(t, "on the wire", len(s.output()), 0)
		}
		// One more than may be comes about when a reply takes over filters.
		p := socket.NewPacket(socket.WithXferPipe(1, 2, 3, 4))
		p.AppendXferPipeFrom(socket.NewPacket(socket.WithXferPipe(5, 1)))
		err := newScript().conn(socket.Options{}, proto.make).WritePacket(p)
		wantError(t, err, xfer.ErrXferPipeTooLong)
		wantError(t, err, socket.ErrPack)
	}
	c := newScript().conn(only("g"), newFilterLine)
	wantError(t, c.WritePacket(socket.NewPacket(socket.WithXferPipe('R'))), socket.ErrFilterNotAllowed)
}

// newFilterLine makes a Proto of the user that takes filters: it writes the URI,
// and reads packets of one byte that went through R.
func newFilterLine(rw io.ReadWriter) socket.Proto {
	return hooks(
		func(h *hookProto, p *socket.Packet) error {
			_, err := io.WriteString(h.rw, p.Uri())
			return err
		},
		func(h *hookProto, p *socket.Packet) error {
			if _, err := io.ReadFull(h.rw, make([]byte, 1)); err != nil {
				return err
			}
			return p.XferPipe().AppendWire([]byte("R"))
		},
	)(rw)
}

// Filters are refused by the head of the frame: the body, which never comes
// here, is not waited for, and nothing is undone.
func TestFilterLimitRead(t *testing.T) {
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	only := socket.Options{AllowFilter: func(id byte) bool { return id == 'g' }}
	for _, test := range []struct {
		name, ids string
		opt       socket.Options
		want      error
		text      string
	}{
		{"255", string(all), socket.Options{}, xfer.ErrXferPipeTooLong, "more than 4 filters in a pipe: the packet lists 255"},
		{"255 times one", strings.Repeat("\x01", 255), socket.Options{}, xfer.ErrXferPipeTooLong, "the packet lists 255"},
		{"5", "\x01\x02\x03\x04\x05", socket.Options{}, xfer.ErrXferPipeTooLong, "the packet lists 5"},
		{"one twice", "\x01\x02\x01", socket.Options{}, socket.ErrMalformed, "1 is listed twice"},
		{"unknown", "\x01\xfe", socket.Options{}, socket.ErrMalformed, "no filter has id 254"},
		{"not allowed", "gR", only, socket.ErrFilterNotAllowed, "'R' (82): allow it with PeerConfig.AllowedFilters"},
	} {
		for _, proto := range protos[:3] {
			t.Run(test.name+"/"+proto.name, func(t *testing.T) {
				c, far := tcp.connsWith(t, test.opt, proto.make)
				head := append(binary.BigEndian.AppendUint32(nil, socket.DefaultPacketSizeLimit), 'f', byte(len(test.ids)))
				_, err := far.Write(append(head, test.ids...))
				noError(t, err)
				noError(t, c.SetReadDeadline(time.Now().Add(20*time.Second))) // or it would wait for the body
				before := unpacks
				err = c.ReadPacket(rawPacket())
				wantError(t, err, test.want)
				if !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %q does not say %q", err, test.text)
				}
				equal(t, "undone", unpacks, before)
			})
		}
	}
	noError(t, newScript([]byte("x")).conn(socket.Options{}, newFilterLine).ReadPacket(rawPacket()))
	wantError(t, newScript([]byte("x")).conn(only, newFilterLine).ReadPacket(rawPacket()), socket.ErrFilterNotAllowed)
}

// As many filters as may be pass, and their ids may arrive one by one.
func TestFilterLimitReached(t *testing.T) {
	p := socket.NewPacket(socket.WithUri("/u"), socket.WithXferPipe(1, 'g', 2, 'R'), socket.WithXferPipe('g', 1))
	equal(t, "filters", string(p.XferPipe().Ids()), "\x01g\x02R") // one that is there already changes nothing
	frame := pack(t, p)
	for cut := range frame {
		got := rawPacket()
		noError(t, newScript(frame[:cut], frame[cut:]).conn(socket.Options{}).ReadPacket(got))
		equal(t, "uri", got.Uri(), "/u")
		equal(t, "filters", string(got.XferPipe().Ids()), "\x01g\x02R")
	}
}

// A gzip bomb stops at the limit of a packet, which names the setting.
func TestFilterOutputLimit(t *testing.T) {
	const limit = 1 << 20
	bomb := pack(t, socket.NewPacket(socket.WithBody(make([]byte, 8*limit)), socket.WithXferPipe('g')))
	c := newScript(bomb).conn(socket.Options{PacketLimit: limit})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := c.ReadPacket(rawPacket())
	runtime.ReadMemStats(&after)
	wantError(t, err, xfer.ErrExceedLimit)
	if want := "at most 1048576 are allowed (raise it with SetReadLimit or PeerConfig.PacketSizeLimit)"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	if memory := after.TotalAlloc - before.TotalAlloc; memory > limit+2<<20 {
		t.Errorf("it took %d bytes of memory, want at most %d", memory, limit+2<<20)
	}
}

// Numbers at the ends of their ranges are right, or refused.
func TestNumbersAtTheirEnds(t *testing.T) {
	for _, seq := range []uint64{0, 1<<16 - 1, 1 << 16, 1<<32 - 1, 1 << 32, math.MaxInt64, 1 << 63, math.MaxUint64} {
		got := rawPacket()
		noError(t, unpack(pack(t, socket.NewPacket(socket.WithSeq(seq))), got))
		equal(t, "seq", got.Seq(), seq)
	}
	// A body of n bytes: 24 more are the frame.
	for _, size := range []int{1<<16 - 1, 1 << 16, 1<<16 + 1} {
		for _, uri := range []int{0, size - 24} {
			sent := socket.NewPacket(socket.WithUri(strings.Repeat("u", uri)), socket.WithBody(make([]byte, size-24-uri)))
			frame := pack(t, sent)
			equal(t, "frame", len(frame), size)
			got := rawPacket()
			noError(t, newScript(frame).conn(socket.Options{}).ReadPacket(got))
			equal(t, "uri", len(got.Uri()), uri)
			equal(t, "body", len(*got.Body().(*[]byte)), size-24-uri)
			equal(t, "size", got.Size(), uint32(size))
		}
		meta := pack(t, socket.NewPacket(socket.WithAddMeta("k", strings.Repeat("m", size-26))))
		equal(t, "frame", len(meta), size)
		got := rawPacket()
		noError(t, newScript(meta).conn(socket.Options{}).ReadPacket(got))
		equal(t, "meta", len(got.Meta().Peek("k")), size-26)
	}
	// Frames and fields about 4 GiB, under the greatest limit that there is.
	// None of what they claim comes.
	most := socket.Options{PacketLimit: math.MaxUint32}
	for _, test := range []struct {
		name, frame string
		want        error
	}{
		{"frame of 4 GiB less 1", "ffffffff 6600", io.ErrUnexpectedEOF},
		{"frame of 2 GiB", "80000000 6600", io.ErrUnexpectedEOF},
		{"frame of 2 GiB less 1", "7fffffff 6600", io.ErrUnexpectedEOF},
		{"frame of 4 GiB less 1, filtered", "ffffffff 660101", io.ErrUnexpectedEOF},
		{"uri of 4 GiB less 1", "00000018 6600 0000000000000000 01 ffffffff 00000000 00", socket.ErrMalformed},
		{"uri of 2 GiB", "00000018 6600 0000000000000000 01 80000000 00000000 00", socket.ErrMalformed},
		{"meta of 4 GiB less 1", "00000018 6600 0000000000000000 01 00000000 ffffffff 00", socket.ErrMalformed},
		{"uri and meta of 4 GiB in all", "00000018 6600 0000000000000000 01 ffffffff 00000001 00", socket.ErrMalformed},
	} {
		for _, opt := range []socket.Options{most, {PacketLimit: math.MaxUint32, UriLimit: uriLimit, MetaLimit: metaLimit}} {
			err := newScript(unhex(test.frame)).conn(opt).ReadPacket(rawPacket())
			if !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", test.name, err, test.want)
			}
		}
	}
}
