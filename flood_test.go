package tp_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/proto/httproto"
)

// Pulls by the ten thousand whose handlers sleep, and then their peer is gone: the
// handlers are as many as the limit allows, the other pulls are refused, and all that
// ran is told, and ends.
func TestFaultHandlersOfPeerThatIsGone(t *testing.T) {
	pulls, most := size(10_000, 100_000), size(1000, 4096)
	before := runtime.NumGoroutine()
	srv := newPeer(t, tp.PeerConfig{MaxSessionHandlers: most})
	var began, canceled atomic.Int32
	tp.RegPull(srv.PullRouter, "sleep", func(ctx tp.PullCtx, _ *[]byte) (int, *tp.Rerror) {
		began.Add(1)
		<-ctx.Context().Done()
		canceled.Add(1)
		return 0, nil
	})
	w := dialWire(t, serve(t, srv))
	var sending sync.WaitGroup
	sending.Go(func() {
		b := make([]byte, 0, 64*pulls)
		for i := range pulls {
			b = append(b, jsonPull(uint64(i), "/sleep", "").bytes()...)
		}
		_, _ = w.Write(b)
	})
	for range pulls - most {
		wantCode(t, w.next().rerror(t), tp.CodeServiceUnavailable, "MaxSessionHandlers")
	}
	sending.Wait()
	eventually(t, "all handlers run", func() bool { return int(began.Load()) == most })
	during := runtime.NumGoroutine()
	if s := srv.Stats(); s.Handlers != most || s.Refused["handlers"] != uint64(pulls-most) {
		t.Errorf("%d handlers, refused %v; want %d and %d", s.Handlers, s.Refused, most, pulls-most)
	}
	_ = w.Close()
	eventually(t, "all contexts have ended", func() bool { return int(canceled.Load()) == most })
	eventually(t, "nothing is left", func() bool { s := srv.Stats(); return s.Handlers == 0 && s.Sessions == 0 })
	if err := srv.Close(); err != nil { // idle workers stay for a while otherwise
		t.Error(err)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+1 }) // that of serve
	t.Logf("%d pulls: %d handlers, %d goroutines more, %d refused, %d contexts ended, 0 goroutines left",
		pulls, most, during-before, pulls-most, canceled.Load())
	if int(began.Load()) != most {
		t.Errorf("%d handlers began, want %d", began.Load(), most)
	}
}

// What nobody asked for ends the session after a number of packets that is small,
// however fast they come.
func TestFaultFloodsCostLittle(t *testing.T) {
	const most = 5000
	for name, f := range map[string]frame{
		"PING":         {ptype: tp.TypePing},
		"PONG":         {ptype: tp.TypePong},
		"GOAWAY":       {ptype: tp.TypeGoAway},
		"CANCEL":       {ptype: tp.TypeCancel, seq: 1},
		"reply":        {ptype: tp.TypeReply, seq: 1},
		"unknown type": {ptype: 200},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logBook)
			srv := newPeer(t, tp.PeerConfig{Logger: log, CloseTimeout: patience})
			w := dialWire(t, serve(t, srv))
			var reading sync.WaitGroup
			reading.Go(func() {
				for _, err := w.read(); err == nil; _, err = w.read() {
				}
			})
			flood := bytes.Repeat(f.bytes(), 20*most)
			sent, err := w.Write(flood) // which is cut short, unless the kernel takes it
			reading.Wait()
			eventually(t, "it is gone", func() bool { return srv.Stats().Sessions == 0 })
			in := srv.Stats().Traffic.PacketsIn
			t.Logf("%d packets were read of the %d that were sent, %v", in, sent/len(f.bytes()), err)
			if in > most {
				t.Errorf("%d packets were read before the session ended", in)
			}
			eventually(t, "the log has the reason", func() bool { return log.contains("WARN", "closed:") })
		})
	}
}

// Packets as small as can be, which are no fault as such: each costs little, others
// are served, and the log has no line for each.
func TestFaultTinyPackets(t *testing.T) {
	packets := size(20_000, 1_000_000)
	for name, f := range map[string]frame{
		"pushes with a handler": {ptype: tp.TypePush, uri: "/n"},
		"pushes to nowhere":     {ptype: tp.TypePush, uri: "/x"},
		"pulls to nowhere":      {ptype: tp.TypePull, uri: "/x"},
		"cancelled pulls":       {ptype: tp.TypePull, uri: "/n"},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logBook)
			srv := newPeer(t, tp.PeerConfig{Logger: log})
			echo(srv)
			tp.RegPush(srv.PushRouter, "n", func(tp.PushCtx, *[]byte) {})
			tp.RegPull(srv.PullRouter, "n", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) { return 0, nil })
			addr := serve(t, srv)
			h := dialHealthy(t, addr, 10)
			quiet := h.pullFor(time.Duration(size(100, 3000))*time.Millisecond, time.Millisecond)
			w := dialWire(t, addr)
			var flooding sync.WaitGroup
			one := f.bytes()
			if name == "cancelled pulls" {
				one = append(one, frame{ptype: tp.TypeCancel}.bytes()...)
			}
			flood, each := bytes.Repeat(one, 1000), len(one)/len(f.bytes())
			stop := make(chan struct{})
			begin, base := processCPU(), srv.Stats().Traffic.PacketsIn
			flooding.Go(func() {
				for range packets / 1000 / each {
					if _, err := w.Write(flood); err != nil {
						t.Errorf("it was cut off: %v", err)
						break
					}
				}
				w.send(jsonPull(1<<40, "/echo", "1"))
			})
			flooding.Go(func() { // until that is answered
				defer close(stop)
				for f := w.next(); f.seq != 1<<40; f = w.next() {
				}
			})
			during := h.pullWhile(stop, time.Millisecond)
			flooding.Wait()
			cost := (processCPU() - begin) / time.Duration(srv.Stats().Traffic.PacketsIn-base)
			t.Logf("%d packets: %v of CPU each, both sides; p99 of the healthy %v before, %v during (x%.1f); refused %v; log %.1f MiB",
				packets, cost, quiet.p99(), during.p99(), during.over(quiet), srv.Stats().Refused, mib(len(log.String())))
			if n := strings.Count(log.String(), "\n"); n > packets/2 {
				t.Errorf("%d lines were logged", n)
			}
			if name == "pushes to nowhere" {
				eventually(t, "the log tells that it leaves lines out", func() bool {
					w.send(f)
					return log.contains("were left out")
				})
			}
		})
	}
}

// More packets in a second than a session may send end it with the reason, whatever
// they are; others go on.
func TestFaultPacketRate(t *testing.T) {
	const most = 2000
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log, MaxPacketRate: most})
	echo(srv)
	tp.RegPush(srv.PushRouter, "n", func(tp.PushCtx, *[]byte) {})
	addr := serve(t, srv)
	h := dialHealthy(t, addr, 5)
	w := dialWire(t, addr)
	_, _ = w.Write(bytes.Repeat(frame{ptype: tp.TypePush, uri: "/n"}.bytes(), 10*most))
	eventually(t, "it is gone", func() bool { return srv.Stats().Refused["packet_rate"] == 1 })
	h.pullFor(50*time.Millisecond, 5*time.Millisecond)
	if in := srv.Stats().Traffic.PacketsIn; in > 4*most { // a second may end while they come
		t.Errorf("%d packets were read", in)
	}
	eventually(t, "the log has the reason", func() bool { return log.contains("WARN", "MaxPacketRate") })
}

// Requests that httproto answers by itself count as packets.
func TestFaultPacketRateOfAnswered(t *testing.T) {
	const most = 200
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: log, MaxPacketRate: most})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.ServeListener(lis, httproto.NewProtoFunc())
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.Copy(io.Discard, conn)
	_, _ = io.WriteString(conn, strings.Repeat("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 10*most))
	eventually(t, "it is gone", func() bool { return srv.Stats().Refused["packet_rate"] == 1 })
	if !log.contains("WARN", "MaxPacketRate") {
		t.Errorf("the log has no reason:\n%s", log)
	}
}
