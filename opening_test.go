package tp_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// graceOver is more than the time for which one that opens does not count.
const graceOver = 300 * time.Millisecond

// Of those who come and do not say who they are, the oldest goes when there are too
// many, and of one address no more are taken; others come in all the time.
func TestOpeningsAreBounded(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{MaxOpening: 5, MaxOpeningPerIP: 100, AcceptTimeout: time.Hour}, authorize())
	echo(srv)
	addr := serve(t, srv)
	var silent []*wire
	for i := range 10 {
		time.Sleep(graceOver * time.Duration(i/5)) // those before count
		silent = append(silent, dialWire(t, addr))
		eventually(t, "it is opening", func() bool { return srv.Stats().Opening == min(i+1, 5) })
		if i >= 5 {
			silent[i-5].wantClosed()
		}
	}
	time.Sleep(graceOver)
	wantRefused := func(p *tp.Peer, reason string, n uint64) {
		t.Helper()
		eventually(t, reason, func() bool { return p.Stats().Refused[reason] == n })
	}
	wantRefused(srv, "opening", 5)
	time.Sleep(10 * time.Millisecond)
	if n := srv.Stats().Refused["accept"]; n != 0 { // each counts once
		t.Errorf("%d are counted as refused by PostAccept too", n)
	}
	cli := newPeer(t, tp.PeerConfig{}, present("let me in"))
	noRerror(t, dial(t, cli, addr).Pull("/echo", nil, nil).Rerror())
	silent[5].wantClosed() // it made room for the client
	for _, w := range silent {
		_ = w.Close()
	}
	eventually(t, "none is opening", func() bool { return srv.Stats().Opening == 0 })

	srv = newPeer(t, tp.PeerConfig{MaxOpeningPerIP: 3, AcceptTimeout: time.Hour}, authorize())
	echo(srv)
	addr = serve(t, srv)
	silent = nil
	for i := range 3 {
		silent = append(silent, dialWire(t, addr))
		eventually(t, "it is opening", func() bool { return srv.Stats().Opening == i+1 })
	}
	time.Sleep(graceOver)
	dialWire(t, addr).wantClosed()
	wantRefused(srv, "opening", 1)
	_ = silent[0].Close()
	eventually(t, "there is room", func() bool { return srv.Stats().Opening == 2 })
	noRerror(t, dial(t, cli, addr).Pull("/echo", nil, nil).Rerror())
	for _, w := range silent {
		_ = w.Close()
	}
}

// A connection that has come before its listener was closed is let in, and then
// drained: its dial does not fail.
func TestShutdownLetsIn(t *testing.T) {
	entered, enter := make(chan struct{}), make(chan struct{})
	srv := newPeer(t, tp.PeerConfig{}, &sessionHooks{accept: func(tp.PreSession) *tp.Rerror {
		close(entered)
		<-enter
		return nil
	}})
	echo(srv)
	addr := serve(t, srv)
	w := dialWire(t, addr)
	pull := jsonPull(1, "/echo", "1")
	pull.meta = saysCaps
	w.send(pull)
	receive(t, entered)
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	eventually(t, "it listens no more", func() bool { return len(srv.Addrs()) == 0 })
	close(enter)
	answered := false
	for {
		f, err := w.read()
		if err != nil {
			break
		}
		if f.ptype == tp.TypeReply {
			answered = true
			w.send(frame{ptype: tp.TypeGoAway})
			_ = w.Close()
		}
	}
	if !answered {
		t.Error("its pull was not answered")
	}
	if err := receive(t, closed); err != nil {
		t.Error(err)
	}
}

// Before it is let in, a connection may send little, and nothing that a filter makes
// more of.
func TestOpeningsMaySendLittle(t *testing.T) {
	var got []string
	seen := make(chan error, 10)
	srv := newPeer(t, tp.PeerConfig{}, &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		for {
			var text string
			if err := s.Receive(socket.NewPacket(socket.WithBody(&text))); err != nil {
				seen <- err
				return tp.ToRerror(err)
			}
			if text == "enough" {
				return nil
			}
			got = append(got, text)
		}
	}})
	echo(srv)
	addr := serve(t, srv)
	text := func(n int) frame {
		return frame{ptype: tp.TypePush, codec: 's', body: strings.Repeat("x", n)}
	}
	refused := func(w *wire) {
		t.Helper()
		w.wantClosed()
		if err := receive(t, seen); !strings.Contains(err.Error(), "16384") {
			t.Errorf("got %v", err)
		}
	}
	w := dialWire(t, addr)
	w.send(text(16 << 10))
	refused(w)
	w = dialWire(t, addr)
	w.send(text(6<<10), text(6<<10), text(6<<10))
	refused(w)
	if len(got) != 2 {
		t.Errorf("%d packets were received, want 2", len(got))
	}
	w = dialWire(t, addr)
	w.sendBytes(text(10).gzipped(t))
	refused(w)

	w = dialWire(t, addr)
	enough := text(0)
	enough.body = "enough"
	pull := jsonPull(1, "/echo", strings.Repeat("x", 100<<10))
	w.send(text(8<<10), text(7<<10), enough, pull)
	if f := w.next(); f.ptype != tp.TypeReply || f.body != pull.body {
		t.Errorf("got a packet of type %d with %d bytes", f.ptype, len(f.body))
	}
}

// unitProto has packets of any size, down to one byte: a length in 4 bytes that do
// not count, and what is skipped.
type unitProto struct{ rw io.ReadWriter }

func (*unitProto) Version() (byte, string) { return 250, "unit" }

func (*unitProto) Pack(*socket.Packet) error { return nil }

func (p *unitProto) Unpack(packet *socket.Packet) error {
	var n uint32
	if err := binary.Read(p.rw, binary.BigEndian, &n); err != nil {
		return err
	}
	if err := packet.SetSize(n); err != nil {
		return err
	}
	packet.SetPtype(tp.TypePush)
	_, err := io.CopyN(io.Discard, p.rw, int64(n))
	return err
}

// What may be sent before is little for every Proto, to the last byte.
func TestOpeningsMaySendLittleInAnyProto(t *testing.T) {
	sizes := make(chan uint32, 10)
	srv := newPeer(t, tp.PeerConfig{}, &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		defer close(sizes)
		for {
			p := socket.NewPacket()
			if err := s.Receive(p); err != nil {
				return tp.ToRerror(err)
			}
			sizes <- p.Size()
		}
	}})
	w := dialWire(t, serve(t, srv, func(rw io.ReadWriter) socket.Proto { return &unitProto{rw} }))
	for _, n := range []uint32{16<<10 - 1, 1, 1, 64 << 10} {
		b := append(binary.BigEndian.AppendUint32(nil, n), make([]byte, n)...)
		if _, err := w.Write(b); err != nil {
			break // it is closed
		}
	}
	sum := uint32(0)
	for n := range sizes {
		sum += n
	}
	if sum != 16<<10 {
		t.Errorf("%d bytes were taken, want 16 KiB", sum)
	}
}

// Many who come at once and are let in are not too many.
func TestOpeningsMayComeTogether(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{MaxOpening: 2, MaxOpeningPerIP: 1}, authorize())
	echo(srv)
	addr := serve(t, srv)
	cli := newPeer(t, tp.PeerConfig{}, &sessionHooks{dial: func(s tp.PreSession) *tp.Rerror {
		return tp.ToRerror(s.Send(socket.NewPacket(socket.WithBody("let me in"))))
	}})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			sess, rerr := cli.Dial(addr)
			if rerr != nil {
				t.Error(rerr)
				return
			}
			_ = sess.Close()
		})
	}
	all.Wait()
	if n := srv.Stats().Refused["opening"]; n != 0 {
		t.Errorf("%d were refused", n)
	}
}

// udpListener accepts conns that say they come over UDP, as those of QUIC do.
type udpListener struct{ net.Listener }

type udpConn struct{ net.Conn }

func (l udpListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return udpConn{conn}, err
}

func (c udpConn) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(c.Conn.RemoteAddr().(*net.TCPAddr).AddrPort())
}

// Of one address no more come in over UDP either.
func TestOpeningsOfUDPAreBounded(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{MaxOpeningPerIP: 1, AcceptTimeout: time.Hour}, authorize())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.ServeListener(udpListener{lis}) }()
	first := dialWire(t, lis.Addr().String())
	eventually(t, "it is opening", func() bool { return srv.Stats().Opening == 1 })
	time.Sleep(graceOver)
	dialWire(t, lis.Addr().String()).wantClosed()
	_ = first.Close()
	noError(t, srv.Close())
	receive(t, served)
}
