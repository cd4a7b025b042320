package tp_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/xfer"
)

// frame is a packet of the default protocol, put together and taken apart by
// hand: these tests must not trust the code that they test.
type frame struct {
	seq   uint64
	ptype byte
	uri   string
	meta  string
	codec byte
	body  string
	pipe  string // the ids of filters, which leave the rest as it is
}

func (f frame) bytes() []byte {
	b := append([]byte{0, 0, 0, 0, 'f', byte(len(f.pipe))}, f.pipe...)
	b = binary.BigEndian.AppendUint64(b, f.seq)
	b = append(b, f.ptype)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.uri)))
	b = append(b, f.uri...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.meta)))
	b = append(b, f.meta...)
	b = append(b, f.codec)
	b = append(b, f.body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// gzipped is bytes through the filter 'g'.
func (f frame) gzipped(t testing.TB) []byte {
	t.Helper()
	filter, err := xfer.NewGzip(1)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := filter.OnPack(f.bytes()[6:])
	if err != nil {
		t.Fatal(err)
	}
	b := append([]byte{0, 0, 0, 0, 'f', 1, 'g'}, packed...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func jsonPull(seq uint64, uri, body string) frame {
	return frame{seq: seq, ptype: tp.TypePull, uri: uri, codec: 'j', body: body}
}

// replyTo answers a pull as a program of 2017 does.
func (f frame) replyTo(meta, body string) frame {
	return frame{seq: f.seq, ptype: tp.TypeReply, uri: f.uri, meta: meta, codec: f.codec, body: body}
}

// announces reports whether the frame carries X-Tp-Caps.
func (f frame) announces() bool { return strings.Contains(f.meta, tp.MetaCapsKey) }

// rerror returns the error in the meta of a reply, or nil.
func (f frame) rerror(t testing.TB) *tp.Rerror {
	t.Helper()
	values, err := url.ParseQuery(f.meta)
	if err != nil {
		t.Fatalf("meta %q: %v", f.meta, err)
	}
	text := values.Get(tp.MetaRerrorKey)
	if text == "" {
		return nil
	}
	rerr := new(tp.Rerror)
	if err := rerr.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return rerr
}

// wire is the end of a connection that speaks frames by hand. It knows types
// 1 to 3 only, as a program of 2017 does, unless the test says otherwise.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newWire(t testing.TB, conn net.Conn) *wire {
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t: t, Conn: conn, r: bufio.NewReader(conn)}
}

// dialWire connects to a peer.
func dialWire(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newWire(t, conn)
}

// wireServer listens for one connection, and returns it when it is there.
func wireServer(t testing.TB) (addr string, accept func() *wire) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis.Addr().String(), func() *wire {
		t.Helper()
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return newWire(t, conn)
	}
}

// dialedWire returns a session of p and the other end of it.
func dialedWire(t testing.TB, p *tp.Peer) (tp.Session, *wire) {
	t.Helper()
	addr, accept := wireServer(t)
	sess := dial(t, p, addr)
	return sess, accept()
}

// send writes all frames with one Write.
func (w *wire) send(frames ...frame) {
	w.t.Helper()
	var b []byte
	for _, f := range frames {
		b = append(b, f.bytes()...)
	}
	w.sendBytes(b)
}

func (w *wire) sendBytes(b []byte) {
	w.t.Helper()
	if _, err := w.Write(b); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

// nextWithin is next with another bound.
func (w *wire) nextWithin(d time.Duration) frame {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(d))
	if _, err := w.r.Peek(1); err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return w.next()
}

// nextBytes returns the next frame as it came.
func (w *wire) nextBytes() ([]byte, error) {
	_ = w.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4)
	if _, err := io.ReadFull(w.r, b); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(b)
	if size < 4 || size > 64<<20 {
		w.t.Fatalf("a frame of %d bytes", size)
	}
	b = append(b, make([]byte, size-4)...)
	_, err := io.ReadFull(w.r, b[4:])
	return b, err
}

// read returns the next frame, which must have no filters.
func (w *wire) read() (f frame, err error) {
	b, err := w.nextBytes()
	if err != nil {
		return f, err
	}
	if b[4] != 'f' || b[5] != 0 {
		w.t.Fatalf("frame % x: want id 'f' and no filters", b)
	}
	f.seq, f.ptype, b = binary.BigEndian.Uint64(b[6:]), b[14], b[15:]
	field := func() (s string) {
		n := binary.BigEndian.Uint32(b)
		s, b = string(b[4:4+n]), b[4+n:]
		return s
	}
	f.uri, f.meta = field(), field()
	f.codec, f.body = b[0], string(b[1:])
	return f, nil
}

// next is read that must succeed.
func (w *wire) next() frame {
	w.t.Helper()
	f, err := w.read()
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return f
}

// wantClosed fails unless the other side closes without another frame.
func (w *wire) wantClosed() {
	w.t.Helper()
	f, err := w.read()
	if err == nil {
		w.t.Fatalf("got %+v, want the connection closed", f)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		w.t.Fatalf("not closed in %v", patience)
	}
}

// sessionHooks is a plugin of functions, each of which may be nil.
type sessionHooks struct {
	name         string
	accept, dial func(tp.PreSession) *tp.Rerror
	gone         func(tp.PostSession)
}

func (h *sessionHooks) Name() string { return "session-hooks" + h.name }

func (h *sessionHooks) PostAccept(s tp.PreSession) *tp.Rerror {
	if h.accept == nil {
		return nil
	}
	return h.accept(s)
}

func (h *sessionHooks) PostDial(s tp.PreSession) *tp.Rerror {
	if h.dial == nil {
		return nil
	}
	return h.dial(s)
}

func (h *sessionHooks) PostDisconnect(s tp.PostSession) *tp.Rerror {
	if h.gone != nil {
		h.gone(s)
	}
	return nil
}

// replayConn reads from r.
type replayConn struct {
	net.Conn
	r io.Reader
}

func (c *replayConn) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *replayConn) SetReadDeadline(time.Time) error { return nil }

// gunzipFrame returns a frame that went through gzip without that filter.
func gunzipFrame(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b[7:]))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	plain := append([]byte{0, 0, 0, 0, 'f', 0}, inner...)
	binary.BigEndian.PutUint32(plain, uint32(len(plain)))
	return plain
}

// lockedBuffer is a bytes.Buffer for concurrent use.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// pipedWire returns a session of p on a net.Pipe, and the other end.
func pipedWire(t testing.TB, p *tp.Peer) (tp.Session, *wire) {
	near, far := net.Pipe()
	return p.ServeConn(near), newWire(t, far)
}
