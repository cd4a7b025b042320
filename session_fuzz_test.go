package tp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
)

// FuzzSession makes packets of the bytes that it is given, and what the
// session itself does in between: whatever comes, nothing of the library
// panics, hangs, is left behind, forges the log or disturbs another session.
func FuzzSession(f *testing.F) {
	pull, push := string([]byte{'p', tp.TypePull, 0}), string([]byte{'p', tp.TypePush, 0})
	for _, seed := range []string{
		"\x00" + pull + "\x01\x01\x01\x00\x02hi" + push + "\x05\x01\x01\x00\x01x",
		"\x01" + "l\x00" + "p\x02\x00\x01\x00\x01\x00\x02hi" + "p\x02\x00\x01\x00\x01\x00\x02hi",
		"\x00" + "l\x00" + "p\x02\x00\x01\x04\x01\x00\x00" + "l\x03" + "p\x02\x01\x02\x05\x02\x00\x01{" + "p\x05\x00\x00\x00\x00\x00\x00" + pull + "\x02\x00\x01\x00\x01x",
		"\x03" + pull + "\x03\x01\x01\x01\x03abc" + push + "\x06\x02\x02\x02\x00" + "c" + "p\x06\x09\x00\x00\x00\x00\x00" + pull + "\x04\x01\x01\x00\x00",
		"\x00" + "u\x04" + push + "\x05\x00\x00\x00\x05hello" + push + "\x05\x00\x00\x00\x05hello" + "r\x06\x00\x00\x00\x07f\x00" + "w",
		"\x01" + "c" + pull + "\x01\x00\x01\x00\x02hi" + "t" + pull,
		// A caller that gives up, and CANCEL, GOAWAY, PING and PONG among held pulls.
		"\x00" + "p\x01\x01\x0a\x01\x03\x00\x00" + "p\x04\x01\x00\x00\x00\x00\x00" + "p\x04\x01\x00\x00\x00\x00\x00" + "ig" + "p\x07\x00\x00\x00\x00\x00\x00" + "p\x05\x00\x00\x00\x00\x00\x00",
		"\x01" + "iig" + "p\x02\x00\x02\x01\x01\x00\x01" + "1" + "p\x01\x07\x0a\x09\x03\x00\x00" + "p\x01\x07\x0a\x0a\x03\x00\x00" + "p\x01\x08\x0b\x0b\x03\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	log := new(lineWatch)
	logger, err := tp.NewLogger(log, "TRACE")
	if err != nil {
		f.Fatal(err)
	}
	p := newPeer(f, tp.PeerConfig{
		Logger: logger, PrintBody: true, CloseTimeout: time.Second, DefaultWriteTimeout: time.Second,
		PacketSizeLimit: 64 << 10, MaxSessionHandlers: 64, PushQueueLimit: 2 << 10, WriteQueueLimit: 4 << 10,
	})
	fuzzHandlers(p)
	honest := dial(f, newHonest(f), serve(f, p))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = lis.Close() })

	f.Fuzz(func(t *testing.T, data []byte) {
		d := fuzzBytes{data[:min(len(data), 4<<10)]}
		role := d.next()
		hostile, sess := fuzzConns(t, p, lis, role&1 == 0)
		watch := watchFrames(t, hostile)
		pulls := make(chan *tp.PullCmd, 16)
		started := 0
		var ctxs giveUps
		defer ctxs.end()
		for started < cap(pulls) && len(d.b) > 0 {
			switch d.next() {
			case 'l':
				sess.GoPull(fuzzURIs[int(d.next())%len(fuzzURIs)]+"x", []byte("1"), new(interface{}), pulls)
				started++
			case 'i':
				sess.GoPull("/any", []byte("1"), nil, pulls, tp.WithIdempotent(), tp.WithContext(ctxs.next()))
				started++
			case 'g':
				ctxs.end()
			case 'u':
				_ = sess.Push("/note", make([]byte, int(d.next())))
			case 'c':
				_ = sess.Close()
			case 'w':
				_ = hostile.CloseWrite()
			case 'r':
				_, _ = hostile.Write(d.take(int(d.next())))
			case 't':
				b := d.frame(t)
				_, _ = hostile.Write(b[:len(b)-1-int(d.next())%(len(b)-1)])
			default:
				_, _ = hostile.Write(d.frame(t))
			}
		}
		if role&2 != 0 {
			_ = hostile.SetLinger(0) // a reset
		}
		_ = hostile.Close()
		for range started {
			receive(t, pulls)
		}
		receive(t, sess.CloseNotify())
		watch()
		if got, rerr := tp.Pull[[]byte](honest, "/echo", data); rerr != nil || !bytes.Equal(got, data) {
			t.Fatalf("another session got %.20q, %v", got, rerr)
		}
		eventually(t, "only the other session is left", func() bool {
			return p.CountSession() == 1 && runtime.NumGoroutine() < 100
		})
		log.mu.Lock()
		defer log.mu.Unlock()
		if log.bad != "" {
			t.Fatalf("logged %q", log.bad)
		}
	})
}

// giveUps are the contexts of pulls that may be given up.
type giveUps []context.CancelFunc

func (g *giveUps) next() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	*g = append(*g, cancel)
	return ctx
}

func (g *giveUps) end() {
	for _, cancel := range *g {
		cancel()
	}
	*g = nil
}

func newHonest(t testing.TB) *tp.Peer {
	return newPeer(t, tp.PeerConfig{DefaultPullTimeout: patience})
}

func fuzzHandlers(p *tp.Peer) {
	echo(p)
	back := func(args *[]byte) ([]byte, *tp.Rerror) { return *args, nil }
	tp.RegPull(p.PullRouter.Dispatch(tp.DispatchInline), "inline", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return back(args) })
	tp.RegPull(p.PullRouter.Dispatch(tp.DispatchOrdered), "ordered", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return back(args) })
	tp.RegPull(p.PullRouter, "any", func(ctx tp.PullCtx, args *interface{}) (interface{}, *tp.Rerror) {
		ctx.SetMeta("a", string(ctx.GetMeta("a")))
		return *args, nil
	})
	tp.RegPull(p.PullRouter, "nested", func(ctx tp.PullCtx, _ *string) (string, *tp.Rerror) {
		bound, cancel := context.WithTimeout(ctx.Context(), 5*time.Millisecond)
		defer cancel()
		return tp.Pull[string](ctx.Session(), "/echo", "x", tp.WithContext(bound))
	})
	tp.RegPull(p.PullRouter, "held", func(ctx tp.PullCtx, _ *string) (string, *tp.Rerror) {
		select {
		case <-ctx.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
		return "", nil
	})
	tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *string) {})
	tp.RegPush(p.PushRouter.Dispatch(tp.DispatchInline), "now", func(tp.PushCtx, *interface{}) {})
	p.PullRouter.Group("group").SetUnknown(func(ctx tp.UnknownPullCtx) (interface{}, *tp.Rerror) {
		var v interface{}
		_, err := ctx.Bind(&v)
		return ctx.Query().Encode(), tp.ToRerror(err)
	})
}

var (
	fuzzURIs   = []string{"", "/echo", "/any", "/inline", "/ordered", "/note", "/now", "/nested", "/group/%zz?a=%", "/nowhere\nlevel=ERROR \x7f\x1b", "/held", strings.Repeat("/long", 300)}
	fuzzMetas  = []string{"", "X-Tp-Caps=1", "X-Tp-Caps=-1&X-Tp-Caps=", "a=%00%0A&&=&%", "X-Reply-Error=null", "X-Reply-Error=%7B%22code%22%3A1e99%7D", "X-Reply-Error=%FF", "X-Reply-Error=" + strings.Repeat("%22", 3000), strings.Repeat("a&", 3000), "X-Timeout=1", "X-Tp-Caps=1&X-Timeout=99999999999999", strings.Repeat("m", 17<<10)}
	fuzzCodecs = []byte{codec.NilCodecId, codec.ID_JSON, codec.ID_PROTOBUF, codec.ID_STRING, 0xff}
)

// fuzzBytes are the bytes that the choices are made by; there are zeros after.
type fuzzBytes struct{ b []byte }

func (d *fuzzBytes) next() byte {
	if len(d.b) == 0 {
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *fuzzBytes) take(n int) []byte {
	n = min(n, len(d.b))
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// frame makes a packet.
func (d *fuzzBytes) frame(t testing.TB) []byte {
	f := frame{ptype: d.next(), seq: uint64(d.next())}
	text := func(known []string) string {
		if n := int(d.next()); n < 128 {
			return known[n%len(known)]
		} else {
			return string(d.take(n - 128))
		}
	}
	f.uri, f.meta = text(fuzzURIs), text(fuzzMetas)
	f.codec = fuzzCodecs[int(d.next())%len(fuzzCodecs)]
	filter, n := d.next(), int(d.next())
	f.body = string(d.take(n))
	switch filter {
	case 1:
		return f.gzipped(t)
	case 2:
		f.body = strings.Repeat(f.body, 200)
		return f.gzipped(t)
	case 3:
		b := f.gzipped(t)
		b[6] = d.next() // a filter that there is not, mostly
		return b
	case 4:
		b := f.bytes()
		binary.BigEndian.PutUint32(b, uint32(d.next())<<(d.next()%25)) // a lie
		return b
	}
	return f.bytes()
}

// fuzzConns returns a session, accepted or dialled, and the other end of it.
func fuzzConns(t testing.TB, p *tp.Peer, lis net.Listener, accepted bool) (*net.TCPConn, tp.Session) {
	t.Helper()
	if accepted {
		hostile, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return hostile.(*net.TCPConn), p.ServeConn(conn)
	}
	sess := dial(t, p, lis.Addr().String())
	hostile, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return hostile.(*net.TCPConn), sess
}

// watchFrames reads what the peer sends, which must be frames. What it returns
// waits for the end.
func watchFrames(t *testing.T, conn net.Conn) (wait func()) {
	var reader sync.WaitGroup
	reader.Go(func() {
		r := bufio.NewReader(conn)
		var head [15]byte
		for {
			if _, err := io.ReadFull(r, head[:]); err != nil {
				return
			}
			size, ptype := binary.BigEndian.Uint32(head[:]), head[14]
			if size < 24 || size > 64<<10 || head[4] != 'f' || head[5] == 0 && (ptype == 0 || ptype > tp.TypePong) {
				t.Errorf("the peer sent a frame that begins with % x", head)
				return
			}
			if _, err := r.Discard(int(size) - len(head)); err != nil {
				return
			}
		}
	})
	return reader.Wait
}

// lineWatch is the writer of a log. It keeps a line that must not be.
type lineWatch struct {
	mu  sync.Mutex // protects following
	bad string
}

func (w *lineWatch) Write(b []byte) (int, error) {
	line := strings.TrimSuffix(string(b), "\n")
	forged := strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
	if forged || !strings.HasPrefix(line, "time=") || strings.Contains(line, "panicked: ") {
		w.mu.Lock()
		w.bad = line
		w.mu.Unlock()
	}
	return len(b), nil
}
