package tp_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// A write timeout left half a frame, and the stream out of step.
func TestWriteTimeoutEndsTheSession(t *testing.T) {
	p := newPeer(t, tp.PeerConfig{DefaultWriteTimeout: 50 * time.Millisecond})
	sess, w := dialedWire(t, p)
	body := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	var rerr *tp.Rerror
	for i := 0; rerr == nil; i++ {
		if i > 2000 {
			t.Fatal("the other side reads nothing, and yet takes everything")
		}
		rerr = sess.Push("/x", body)
	}
	receive(t, sess.CloseNotify())
	if rerr := sess.Push("/x", body); rerr == nil || rerr.Code != tp.CodeConnClosed {
		t.Errorf("Push after it: %v", rerr)
	}
	// What came is whole frames in their order, and at most a beginning.
	for seq := uint64(0); ; seq++ {
		f, err := w.read()
		if err != nil {
			break
		}
		if f.seq != seq || f.body != string(body) {
			t.Fatalf("frame %d has seq %d and %d bytes of body", seq, f.seq, len(f.body))
		}
	}
}

// Three short frames panicked the decoder; six bytes allocated 1 GiB; half a
// gzip body read as empty and fine. Each ends its own session and nothing else.
func TestBadFrames(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	halfGzip := unhex2017(t, pullGzip2017)
	halfGzip = halfGzip[:len(halfGzip)-20]
	binary.BigEndian.PutUint32(halfGzip, uint32(len(halfGzip)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, b := range map[string][]byte{
		"size 0":               {0, 0, 0, 0},
		"size below itself":    {0, 0, 0, 3},
		"no id":                {0, 0, 0, 4},
		"no filters":           {0, 0, 0, 5, 'f'},
		"no packet":            {0, 0, 0, 6, 'f', 0},
		"filters beyond":       {0, 0, 0, 7, 'f', 2, 'g'},
		"unknown filter":       {0, 0, 0, 7, 'f', 1, 'x'},
		"nothing for a filter": {0, 0, 0, 7, 'f', 1, 'g'},
		"uri beyond":           append([]byte{0, 0, 0, 24, 'f', 0}, "\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x00j"...),
		"meta beyond":          append([]byte{0, 0, 0, 24, 'f', 0}, "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05j"...),
		"a gigabyte":           {0x40, 0, 0, 0, 'f', 0},
		"another protocol":     []byte("GET / HTTP/1.1\r\n\r\n"),
		"half a gzip":          halfGzip,
	} {
		t.Run(name, func(t *testing.T) {
			w := dialWire(t, addr)
			w.sendBytes(b)
			w.wantClosed()
		})
	}
	claimed := dialWire(t, addr)
	claimed.sendBytes([]byte{1, 0, 0, 0, 'f', 0}) // 16 MiB, of which nothing follows
	only(t, srv)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated for claims", grown)
	}
	_ = claimed.Close()
	noRerror(t, dial(t, newPeer(t, tp.PeerConfig{}), addr).Pull("/echo", nil, nil).Rerror())
}

// Filter ids that came in two segments broke the stream: here every byte is a
// segment of its own.
func TestFramesByteByByte(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	srv.PullRouter.Reg(new(Home))
	w := dialWire(t, serve(t, srv))
	for _, pull := range []string{pullGzip2017, pullEcho2017, pullGzip2017} {
		for _, b := range unhex2017(t, pull) {
			w.sendBytes([]byte{b})
		}
		if b, err := w.nextBytes(); err != nil {
			t.Fatalf("got % x, %v", b, err)
		}
	}
}

// A peer could forge lines of the log.
func TestPeerCannotForgeLogLines(t *testing.T) {
	var buf lockedBuffer
	logger, err := tp.NewLogger(&buf, "TRACE")
	if err != nil {
		t.Fatal(err)
	}
	srv := newPeer(t, tp.PeerConfig{Logger: logger, PrintBody: true, CountTime: true})
	echo(srv)
	addr := serve(t, srv)
	const forged = "x\ntime=2017-12-01T00:00:00Z level=INFO msg=\"root logged in\"\r\n\x1b[2K\u2028"
	w := dialWire(t, addr)
	w.send(
		frame{ptype: tp.TypePush, uri: "/" + forged, meta: "a=" + forged, codec: 'j', body: forged},
		jsonPull(0, "/"+forged, forged),
		jsonPull(1, "/echo", forged),
		frame{seq: 9, ptype: tp.TypeReply, uri: forged, meta: forged, codec: 'j', body: forged},
	)
	w.next()
	w.next()
	_ = w.Close()
	eventually(t, "the session ended", func() bool { return srv.CountSession() == 0 })
	text := buf.String()
	if !strings.Contains(text, "root logged in") {
		t.Fatalf("nothing of it is in the log: %s", text)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") || strings.HasPrefix(line, "time=2017") || strings.ContainsAny(line, "\r\x1b\u2028") {
			t.Errorf("forged: %q", line)
		}
	}
}

// What the reader sends has room behind a reply of any size: a PING that came
// then, or a pull that was one too many, ended the session.
func TestPingBehindALargeReply(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	tp.RegPull(srv.PullRouter.Dispatch(tp.DispatchInline), "large", func(tp.PullCtx, *interface{}) ([]byte, *tp.Rerror) {
		return make([]byte, 12<<20), nil // more than the kernel takes
	})
	w := dialWire(t, serve(t, srv))
	w.send(frame{ptype: tp.TypePing}, jsonPull(0, "/large", "1"), frame{seq: 7, ptype: tp.TypePing})
	for _, want := range []byte{tp.TypePing, tp.TypePong, tp.TypeReply, tp.TypePong} {
		f, err := w.read()
		if err != nil || f.ptype != want {
			t.Fatalf("got type %d, %v, want %d", f.ptype, err, want)
		}
	}
}

// headerWatch tells what PreReadHeader finds in the input.
type headerWatch struct{ inputs chan string }

func (headerWatch) Name() string { return "header watch" }

func (w headerWatch) PreReadHeader(ctx tp.ReadCtx) *tp.Rerror {
	w.inputs <- ctx.Input().String()
	return nil
}

func TestPreReadHeaderInputIsEmpty(t *testing.T) {
	watch := headerWatch{make(chan string, 8)}
	_, other := dialBare(t, newPeer(t, tp.PeerConfig{}, watch))
	want := receive(t, watch.inputs)
	for _, p := range []*socket.Packet{
		socket.NewPacket(socket.WithPtype(tp.TypePong), socket.WithSeq(7)),
		socket.NewPacket(socket.WithPtype(tp.TypeReply), socket.WithUri("/late"), socket.WithBody("late")),
		socket.NewPacket(socket.WithPtype(tp.TypePush), socket.WithUri("/nowhere")),
	} {
		if err := other.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, watch.inputs); got != want {
			t.Errorf("after a %s: the input is %s, want %s", tp.TypeText(p.Ptype()), got, want)
		}
	}
}

// A packet may be larger than the outgoing queue and its reserve together.
// While it is on its way the reader can still answer.
func TestReaderAnswersBehindALargePacket(t *testing.T) {
	server := newPeer(t, tp.PeerConfig{})
	handled := make(chan bool, 1)
	tp.RegPull(server.PullRouter.Dispatch(tp.DispatchInline), "inline", func(tp.PullCtx, *int) (int, *tp.Rerror) {
		handled <- true
		return 1, nil
	})
	client := dialWire(t, serve(t, server))
	pushed := make(chan *tp.Rerror, 1)
	large := strings.Repeat("x", 14<<20)
	sess := only(t, server)
	go func() { pushed <- sess.Push("/large", []byte(large)) }()
	if _, err := client.r.Peek(4); err != nil { // it is under way
		t.Fatal(err)
	}
	client.send(jsonPull(7, "/inline", "1"))
	receive(t, handled)
	time.Sleep(20 * time.Millisecond) // the reader answers
	if f := client.next(); len(f.body) != len(large) {
		t.Fatalf("the push has %d bytes", len(f.body))
	}
	if f := client.next(); f.ptype != tp.TypeReply || f.seq != 7 {
		t.Fatalf("got %+v, want the reply", f)
	}
	noRerror(t, receive(t, pushed))
}

// A side that closes says so, and the packet that is on its way arrives.
func TestShutdownBehindALargePacket(t *testing.T) {
	server := newPeer(t, tp.PeerConfig{})
	client := dialWire(t, serve(t, server))
	client.send(frame{ptype: tp.TypePing}) // it understands GOAWAY
	for client.next().ptype != tp.TypePong {
	}
	sess := only(t, server)
	pushed := make(chan *tp.Rerror, 1)
	large := strings.Repeat("x", 14<<20)
	go func() { pushed <- sess.Push("/large", []byte(large)) }()
	if _, err := client.r.Peek(4); err != nil { // it is under way
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	eventually(t, "the session is closing", func() bool { return !sess.IsOk() })
	time.Sleep(20 * time.Millisecond)
	if f := client.next(); len(f.body) != len(large) {
		t.Fatalf("the push has %d bytes", len(f.body))
	}
	if f := client.next(); f.ptype != tp.TypeGoAway {
		t.Fatalf("got %+v, want GOAWAY", f)
	}
	_ = client.Close()
	noRerror(t, receive(t, pushed))
	if err := receive(t, closed); err != nil {
		t.Errorf("Close: %v", err)
	}
}
