package tp_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// Connections that send a packet byte by byte, slowly, are closed when FrameTimeout
// is over, and take no time of others.
func TestFaultSlowLoris(t *testing.T) {
	conns := size(200, 1000)
	bound := time.Duration(size(500, 5000)) * time.Millisecond
	srv := newPeer(t, tp.PeerConfig{FrameTimeout: bound})
	echo(srv)
	addr := serve(t, srv)
	h := dialHealthy(t, addr, 50)
	quiet := h.pullFor(bound, 10*time.Millisecond)
	before := heap()
	slow := make([]*wire, conns)
	for i := range slow {
		slow[i] = dialWire(t, addr)
	}
	eventually(t, "all are there", func() bool { return srv.CountSession() == conns+50 })
	packet := jsonPull(1, "/echo", "1").bytes()
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	held := 0
	begin := time.Now()
	dripping.Go(func() {
		defer close(stop)
		for i := 0; srv.CountSession() > 50 && time.Since(begin) < bound+patience; i++ {
			for _, w := range slow { // a closed one has an error
				_, _ = w.Write(packet[min(i, len(packet)-2):][:1]) // never the last byte
			}
			if i == 1 {
				held = heap() - before
			}
			time.Sleep(bound / 5)
		}
	})
	during := h.pullWhile(stop, 10*time.Millisecond)
	took := time.Since(begin)
	dripping.Wait()
	t.Logf("%d connections at a byte in %v: closed after %v, the bound is %v; %d bytes of heap each; p99 of the healthy %v before, %v during (x%.1f)",
		conns, bound/5, took.Round(time.Millisecond), bound, held/conns, quiet.p99(), during.p99(), during.over(quiet))
	if n := srv.CountSession(); n != 50 {
		t.Errorf("%d sessions are left, want the 50 healthy ones", n)
	}
	if n := srv.Stats().Refused["timeout"]; n != uint64(conns) {
		t.Errorf("%d were closed by the bound, want %d", n, conns)
	}
}

// Connections that never say who they are take no place of those who do: of one
// address only some are let wait, of all only so many, and none for long.
func TestFaultNeverAuthenticate(t *testing.T) {
	const perIP = 50
	conns, most := size(500, 5000), size(100, 1024)
	bound := time.Duration(size(1000, 5000)) * time.Millisecond
	srv := newPeer(t, tp.PeerConfig{AcceptTimeout: bound, MaxOpening: most}, &sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
		var token string
		if err := s.Receive(socket.NewPacket(socket.WithBody(&token))); err != nil {
			return tp.ToRerror(err)
		}
		return tp.ToRerror(s.Send(socket.NewPacket(socket.WithBody("welcome"))))
	}})
	echo(srv)
	addr := serve(t, srv)
	h := dialHealthy(t, addr, 50, present("let me in"))
	quiet := h.pullFor(bound, 10*time.Millisecond)
	before := heap()
	stop := make(chan struct{})
	peak, held := 0, 0
	var newcomers latency
	begin := time.Now()
	var coming sync.WaitGroup
	coming.Go(func() {
		defer close(stop)
		cli := newPeer(t, tp.PeerConfig{}, present("let me in"))
		comes := func() {
			began := time.Now()
			sess, rerr := cli.Dial(addr)
			if rerr == nil {
				rerr = sess.Pull("/echo", nil, nil).Rerror()
			}
			if rerr != nil {
				t.Errorf("a newcomer: %v", rerr)
			}
			newcomers = append(newcomers, time.Since(began))
		}
		for i := range conns {
			// As they come over a network: as fast as one process dials, the dialling
			// would take as much of the processors as what is measured.
			time.Sleep(time.Until(begin.Add(time.Duration(i) * bound / time.Duration(conns))))
			conn, err := dialFrom(i/perIP, addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if i%(conns/20) == 0 { // who has something to say comes in meanwhile
				comes()
			}
		}
		time.Sleep(graceOver) // now they all count, when the next one comes
		comes()
		held = heap() - before
		for end := time.Now().Add(patience); srv.Stats().Opening > 0 && time.Now().Before(end); {
			peak = max(peak, srv.Stats().Opening)
			time.Sleep(10 * time.Millisecond)
		}
	})
	during := h.pullWhile(stop, 10*time.Millisecond)
	coming.Wait()
	took := time.Since(begin)
	s := srv.Stats()
	var slowest time.Duration
	for _, d := range newcomers {
		slowest = max(slowest, d)
	}
	t.Logf("%d connections that say nothing: %d waited at once at most, %.1f MiB of heap, all gone after %v, the bound is %v; p99 of the healthy %v before, %v during (x%.1f); the slowest of %d newcomers was in and answered after %v; refused %v",
		conns, peak, mib(held), took.Round(time.Millisecond), bound, quiet.p99(), during.p99(), during.over(quiet), len(newcomers), slowest.Round(time.Millisecond), s.Refused)
	if s.Opening != 0 || peak > most {
		t.Errorf("%d wait, %d did at most; the limit is %d", s.Opening, peak, most)
	}
	if n := s.Refused["opening"] + s.Refused["accept"]; n < uint64(conns) {
		t.Errorf("%d were refused, want %d: %v", n, conns, s.Refused)
	}
}

// dialFrom connects from the i-th address of this machine, where it has several.
func dialFrom(i int, addr string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250))}}
	conn, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil { // only Linux has them all
		return net.Dial("tcp", addr)
	}
	return conn, nil
}
