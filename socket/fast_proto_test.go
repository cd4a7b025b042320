package socket_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// unhex decodes hex in which spaces are for the reader.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// sized returns a frame of the given rest, with its size before it.
func sized(rest []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(4+len(rest))), rest...)
}

// reversing is a filter that has no limit of its own.
type reversing struct{}

func (reversing) Id() byte                            { return 'R' }
func (reversing) OnPack(b []byte) ([]byte, error)     { return reversed(b), nil }
func (f reversing) OnUnpack(b []byte) ([]byte, error) { return reversed(b), nil }

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

// failing is a filter that can do nothing.
type failing struct{}

var errFilter = errors.New("filter out of order")

func (failing) Id() byte                        { return 'F' }
func (failing) OnPack([]byte) ([]byte, error)   { return nil, errFilter }
func (failing) OnUnpack([]byte) ([]byte, error) { return nil, errFilter }

func init() {
	xfer.Reg(reversing{})
	xfer.Reg(failing{})
}

func TestFastProtoVersion(t *testing.T) {
	id, name := socket.NewFastProto(nil).Version()
	equal(t, "id", id, 'f')
	equal(t, "name", name, "fast")
}

func TestFastProtoRoundTrip(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 20<<10) // larger than every buffer
	for _, filters := range []string{"", "g", "R", "gR", "Rg"} {
		for _, body := range []string{"", "b", long} {
			for _, uri := range []string{"", "/a?b=c", long[:3000]} {
				sent := socket.NewPacket(
					socket.WithSeq(1<<63+7), socket.WithPtype(200), socket.WithUri(uri),
					socket.WithAddMeta("a b", "ä&="), socket.WithAddMeta("a b", ""),
					socket.WithBodyCodec('x'), socket.WithBody([]byte(body)),
					socket.WithXferPipe([]byte(filters)...),
				)
				frame := pack(t, sent)
				got := rawPacket()
				noError(t, unpack(frame, got))
				equal(t, "seq", got.Seq(), 1<<63+7)
				equal(t, "ptype", got.Ptype(), 200)
				equal(t, "uri", got.Uri(), uri)
				equal(t, "meta", got.Meta().String(), "a%20b=%C3%A4%26%3D&a%20b=")
				equal(t, "codec", got.BodyCodec(), 'x')
				equal(t, "body", string(*got.Body().(*[]byte)), body)
				equal(t, "filters", string(got.XferPipe().Ids()), filters)
				equal(t, "size", got.Size(), uint32(len(frame)))
				equal(t, "size written", sent.Size(), uint32(len(frame)))
			}
		}
	}
}

// A peer's '+' in the meta is a space.
func TestFastProtoMetaPlus(t *testing.T) {
	p := rawPacket()
	noError(t, unpack(sized(unhex("6600 0000000000000000 01 00000000 00000005 6b3d612b62 00")), p))
	equal(t, "meta", string(p.Meta().Peek("k")), "a b")
}

func TestFastProtoMalformed(t *testing.T) {
	header := "0000000000000000 01 "
	gzipped := func(plain string) string {
		b, err := new(xfer.Gzip).OnPack(unhex(plain))
		noError(t, err)
		return "660167" + hex.EncodeToString(b)
	}
	cut := gzipped(header + "00000000 00000000 00")
	tests := []struct {
		name, frame string // without the size, unless it begins with '='
		want        error
	}{
		{"size 0", "=00000000", socket.ErrMalformed},
		{"size 5, nothing more sent", "=00000005", socket.ErrMalformed},
		{"prefix only", "6600", socket.ErrMalformed},
		{"a byte short", "6600 0000000000000000 01 00000000 00000000", socket.ErrMalformed},
		{"other protocol", "6700 " + header + "00000000 00000000 00", socket.ErrProtoUnmatch},
		{"HTTP", "=" + hex.EncodeToString([]byte("GET / HTTP/1.1\r\n")), socket.ErrProtoUnmatch},
		{"uri overruns", "6600 " + header + "00000006 00000000 00", socket.ErrMalformed},
		{"uri takes all", "6600 " + header + "00000005 00000000 00", socket.ErrMalformed},
		{"uri of 4 GiB", "6600 " + header + "ffffffff 00000000 00", socket.ErrMalformed},
		{"meta overruns", "6600 " + header + "00000000 00000002 00", socket.ErrMalformed},
		{"meta takes the codec", "6600 " + header + "00000000 00000001 00", socket.ErrMalformed},
		{"meta of 4 GiB", "6600 " + header + "00000000 ffffffff 00", socket.ErrMalformed},
		{"more filters than bytes", "66ff 6767", socket.ErrMalformed},
		{"filters only", "660167", socket.ErrMalformed},
		{"unknown filter", "660121 " + header + "00000000 00000000 00", socket.ErrMalformed},
		{"repeated filter", "66025252 00000000 00000000 00", socket.ErrMalformed},
		{"failing filter", "660146 00", errFilter},
		{"filtered to nothing", gzipped(""), socket.ErrMalformed},
		{"filtered to a byte short", gzipped(header + "00000000 00000000"), socket.ErrMalformed},
		{"filtered uri overruns", gzipped(header + "00000006 00000000 00"), socket.ErrMalformed},
		{"damaged gzip", cut[:len(cut)-2], socket.ErrMalformed},
		{"no gzip", "660167 0102030405", socket.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			frame := sized(unhex(strings.TrimPrefix(test.frame, "=")))
			if test.frame[0] == '=' {
				frame = frame[4:]
			}
			wantError(t, unpack(frame, rawPacket()), test.want)
		})
	}
}

func TestFastProtoReadLimit(t *testing.T) {
	const limit = 1000
	fit := pack(t, socket.NewPacket(socket.WithBody(make([]byte, limit-24))))
	equal(t, "size", len(fit), limit)
	noError(t, newScript(fit).conn(socket.Options{PacketLimit: limit}).ReadPacket(rawPacket()))

	bomb := pack(t, socket.NewPacket(socket.WithBody(make([]byte, 1<<20)), socket.WithXferPipe('g')))
	bombSize := uint32(len(bomb))
	if bombSize > 10000 {
		t.Fatalf("the bomb has %d bytes", bombSize)
	}
	tests := []struct {
		name  string
		frame []byte
		limit uint32
		want  error
		text  string
	}{
		{"4 GiB", unhex("ffffffff 6600"), 0, socket.ErrExceedPacketSizeLimit, "4294967295 bytes, the limit is 16777216 "},
		{"16 MiB and 1", unhex("01000001 6600"), 0, socket.ErrExceedPacketSizeLimit, "16777217 bytes, the limit is 16777216 "},
		{"own limit and 1", unhex("000003e9 6600"), limit, socket.ErrExceedPacketSizeLimit, "1001 bytes, the limit is 1000 "},
		{"gzip bomb", bomb, bombSize, xfer.ErrExceedLimit, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := newScript(test.frame).conn(socket.Options{PacketLimit: test.limit}).ReadPacket(rawPacket())
			wantError(t, err, test.want)
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %q does not say %q", err, test.text)
			}
		})
	}
}

func TestSetPacketSizeLimit(t *testing.T) {
	defer socket.SetPacketSizeLimit(0)
	equal(t, "default", socket.PacketSizeLimit(), 16<<20)
	socket.SetPacketSizeLimit(100)
	equal(t, "set", socket.PacketSizeLimit(), 100)
	wantError(t, unpack(unhex("00000065 6600"), rawPacket()), socket.ErrExceedPacketSizeLimit)
	wantError(t, new(socket.Packet).SetSize(101), socket.ErrExceedPacketSizeLimit)
	noError(t, new(socket.Packet).SetSize(100))
	socket.SetPacketSizeLimit(0)
	equal(t, "restored", socket.PacketSizeLimit(), socket.DefaultPacketSizeLimit)
}

// A length alone must not take memory: six bytes once allocated 1 GiB.
func TestFastProtoClaimAllocatesLittle(t *testing.T) {
	for _, sent := range []int{100, 100 << 10, 1 << 20} {
		claim := append(unhex("01000000 6600"), make([]byte, sent)...)
		for _, kind := range []string{"proto", "conn"} {
			read := func() error {
				if kind == "proto" {
					return socket.NewFastProto(bytes.NewBuffer(claim)).Unpack(rawPacket())
				}
				return newScript(claim).conn(socket.Options{}).ReadPacket(rawPacket())
			}
			wantError(t, read(), io.ErrUnexpectedEOF) // warm up
			least := ^uint64(0)
			for range 5 { // the least: the runtime and a GC allocate beside us
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				wantError(t, read(), io.ErrUnexpectedEOF)
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			// It grows by doubling: what it holds is at most twice of what came,
			// and all that it outgrew is as much again.
			if most := uint64(4*sent + 80<<10); least > most {
				t.Errorf("%s: %d bytes of a claimed 16 MiB took %d bytes of memory, more than %d", kind, sent, least, most)
			}
		}
	}
}

func TestFastProtoWriteLimit(t *testing.T) {
	const limit = 1000
	random := make([]byte, limit) // of which gzip makes more
	for i := range random {
		random[i] = byte(i * i * 7919 >> 5)
	}
	tests := []struct {
		name    string
		packet  []socket.PacketSetting
		numbers string
	}{
		{"body", []socket.PacketSetting{socket.WithBody(make([]byte, limit-23))}, "1001 bytes, the limit is 1000 "},
		{"uri", []socket.PacketSetting{socket.WithUri(strings.Repeat("u", limit-23))}, "1001 bytes, the limit is 1000 "},
		{"meta", []socket.PacketSetting{socket.WithAddMeta("k", strings.Repeat("m", limit-25))}, "1001 bytes, the limit is 1000 "},
		// Small when packed, but the other side would refuse what comes out.
		{"before the filter", []socket.PacketSetting{socket.WithBody(make([]byte, limit-17)), socket.WithXferPipe('g')}, "1001 bytes, the limit is 1000 "},
		{"after the filter", []socket.PacketSetting{socket.WithBody(random[:limit-18]), socket.WithXferPipe('R')}, "1007 bytes, the limit is 1000 "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript()
			c := s.conn(socket.Options{PacketLimit: limit})
			err := c.WritePacket(socket.NewPacket(test.packet...))
			wantError(t, err, socket.ErrExceedPacketSizeLimit)
			wantError(t, err, socket.ErrPack)
			if !strings.Contains(err.Error(), test.numbers) {
				t.Errorf("error %q does not say %q", err, test.numbers)
			}
			equal(t, "on the wire", len(s.output()), 0)
			noError(t, c.WritePacket(socket.NewPacket(socket.WithUri("/alive"))))
			got := rawPacket()
			noError(t, unpack(s.output(), got))
			equal(t, "uri", got.Uri(), "/alive")
		})
	}
}

func TestFastProtoPackErrors(t *testing.T) {
	var out bytes.Buffer
	proto := socket.NewFastProto(&out)
	unknown := socket.NewPacket(socket.WithBodyCodec('?'), socket.WithBody(1))
	if err := proto.Pack(unknown); err == nil || !strings.Contains(err.Error(), "63") && !strings.Contains(err.Error(), "?") {
		t.Errorf("unknown codec: got %v", err)
	}
	wantError(t, proto.Pack(socket.NewPacket(socket.WithXferPipe('F'))), errFilter)
	equal(t, "written", out.Len(), 0)

	// AppendFrame gives back what it was given.
	dst := []byte("before")
	got, err := proto.(socket.FrameAppender).AppendFrame(dst, unknown)
	if err == nil || string(got) != "before" {
		t.Errorf("AppendFrame: got %q, %v", got, err)
	}
	got, err = proto.(socket.FrameAppender).AppendFrame(dst, socket.NewPacket(socket.WithBodyCodec(codec.ID_JSON)))
	noError(t, err)
	equal(t, "prefix", string(got[:6]), "before")
	noError(t, unpack(got[6:], rawPacket()))
}

// benchPulls are the kinds of pulls that the benchmarks pack.
var benchPulls = []struct {
	name     string
	settings []socket.PacketSetting
}{
	{"plain", nil},
	{"meta", []socket.PacketSetting{
		socket.WithAddMeta("X-Request-Id", "0af7651916cd43dd8448eb211c80319c"),
		socket.WithAddMeta("X-User", "1001"),
	}},
	{"gzip", []socket.PacketSetting{socket.WithXferPipe('g')}},
}

// benchSizes are those of their bodies. Buffers come from a pool that learns
// which sizes are in use, also from the benchmarks before: compare only runs
// with the same -bench and -benchtime.
var benchSizes = []int{64, 581, 64 << 10, 1 << 20}

// BenchmarkFastProtoAppendFrame packs a pull, with an encoded body, into a buffer that has room.
func BenchmarkFastProtoAppendFrame(b *testing.B) {
	for _, pull := range benchPulls {
		for _, size := range benchSizes {
			b.Run(pull.name+"/body="+byteCount(size), func(b *testing.B) {
				proto := new(socket.FastProto)
				p := benchPacket(size, pull.settings...)
				frame, err := proto.AppendFrame(nil, p)
				noError(b, err)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if frame, err = proto.AppendFrame(frame[:0], p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkFastProtoUnpack reads a pull from memory: held, as package tp reads, or decoded into a []byte.
func BenchmarkFastProtoUnpack(b *testing.B) {
	for _, pull := range benchPulls {
		for _, size := range benchSizes {
			for _, held := range []bool{true, false} {
				name := "decoded"
				if held {
					name = "held"
				}
				b.Run(name+"/"+pull.name+"/body="+byteCount(size), func(b *testing.B) {
					frame := bytes.NewReader(pack(b, benchPacket(size, pull.settings...)))
					proto := socket.NewFastProto(struct {
						io.Reader
						io.Writer
					}{frame, nil})
					p := socket.NewPacket()
					var body []byte
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for b.Loop() {
						frame.Seek(0, io.SeekStart)
						p.Reset()
						if held {
							p.HoldBody()
						} else {
							p.SetBody(&body)
						}
						if err := proto.Unpack(p); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func byteCount(n int) string {
	switch {
	case n >= 1<<20:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n) + "B"
}

// benchPacket returns a pull whose body is encoded already.
func benchPacket(size int, settings ...socket.PacketSetting) *socket.Packet {
	return socket.NewPacket(append([]socket.PacketSetting{
		socket.WithSeq(1), socket.WithPtype(1), socket.WithUri("/home/echo?x=1"),
		socket.WithBodyCodec(codec.ID_STRING), socket.WithBody(bytes.Repeat([]byte("x"), size)),
	}, settings...)...)
}
