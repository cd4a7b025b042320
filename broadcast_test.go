package tp_test

import (
	"bytes"
	"io"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// A broadcast reaches the sessions that the filter takes, in the order in which
// broadcasts were sent, and nobody else.
func TestBroadcast(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	addr := serve(t, srv)
	const clients, rounds = 20, 50
	got := make([]chan string, clients)
	for i := range clients {
		got[i] = make(chan string, rounds)
		cli := newPeer(t, tp.PeerConfig{})
		tp.RegPush(cli.PushRouter, "news", func(ctx tp.PushCtx, args *string) {
			got[i] <- *args + string(ctx.GetMeta("room"))
		})
		dial(t, cli, addr)
	}
	eventually(t, "all are there", func() bool { return srv.CountSession() == clients })
	n := 0
	srv.RangeSession(func(sess tp.Session) bool {
		sess.SetId("client " + strconv.Itoa(n))
		n++
		return true
	})
	meta := new(utils.Args)
	meta.Set("room", "!")
	for round := range rounds {
		var filter func(tp.Session) bool
		want := clients
		if round%2 == 1 {
			filter, want = func(sess tp.Session) bool { return sess.Id() == "client 7" }, 1
		}
		count, rerr := srv.Broadcast("/news", strconv.Itoa(round), filter, tp.WithMeta(meta))
		if rerr != nil || count != (tp.BroadcastCount{Sent: want}) {
			t.Fatalf("round %d: %+v, %v", round, count, rerr)
		}
	}
	if meta.Len() != 1 {
		t.Errorf("the user's meta is now %q", meta)
	}
	odd := 0
	for i := range clients {
		for round := 0; round < rounds; round += 2 {
			if got := receive(t, got[i]); got != strconv.Itoa(round)+"!" {
				if got != strconv.Itoa(round-1)+"!" {
					t.Fatalf("client %d got %q, want %d", i, got, round)
				}
				odd++
				round -= 2
			}
		}
		odd += len(got[i])
	}
	if odd > rounds/2 || odd < rounds/2-1 { // the last one may still be on its way
		t.Errorf("%d pushes for one client only, want %d", odd, rounds/2)
	}
}

// Whoever else writes on the sessions of a broadcast, and flushes what it has left there or
// leaves it to the broadcast: nothing stays behind.
func TestBroadcastAmidPulls(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	addr := serve(t, srv)
	const clients, bursts = 8, 40
	var heard atomic.Int64
	var sessions []tp.Session
	for range clients {
		cli := newPeer(t, tp.PeerConfig{})
		tp.RegPush(cli.PushRouter, "news", func(tp.PushCtx, *[]byte) { heard.Add(1) })
		sessions = append(sessions, dial(t, cli, addr))
	}
	eventually(t, "all are there", func() bool { return srv.CountSession() == clients })
	sent := 0
	broadcast := func() {
		count, rerr := srv.Broadcast("/news", []byte("1"), nil)
		if rerr != nil || count.Failed != 0 {
			t.Error(count, rerr)
		}
		sent += count.Sent
	}
	for range bursts {
		var all sync.WaitGroup
		for _, sess := range sessions {
			for range 4 {
				all.Go(func() {
					for range 25 {
						if rerr := sess.Pull("/echo", []byte("1"), nil).Rerror(); rerr != nil {
							t.Error(rerr)
						}
					}
				})
			}
		}
		all.Go(func() {
			for range 100 {
				broadcast()
				runtime.Gosched()
			}
		})
		all.Wait()
		broadcast() // nothing that is written after it takes it along
		eventually(t, "all are heard", func() bool { return heard.Load() == int64(sent) })
	}
}

// Who never reads is skipped when its queue is full. The others get all.
func TestBroadcastSkipsFullSessions(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{WriteQueueLimit: 64 << 10})
	addr := serve(t, srv)
	var received atomic.Int64
	cli := newPeer(t, tp.PeerConfig{})
	tp.RegPush(cli.PushRouter, "blob", func(_ tp.PushCtx, args *[]byte) { received.Add(1) })
	dial(t, cli, addr)
	deaf := dialWire(t, addr)
	eventually(t, "both are there", func() bool { return srv.CountSession() == 2 })
	push, rerr := srv.PreparePush("/blob", bytes.Repeat([]byte("x"), 16<<10))
	if rerr != nil {
		t.Fatal(rerr)
	}
	sent := int64(0)
	for full := 0; full < 100; {
		count := push.Broadcast(nil)
		sent++
		if count.Failed > 0 || count.Sent+count.Full != 2 {
			t.Fatalf("after %d: %+v", sent, count)
		}
		full += count.Full
		eventually(t, "the one that reads has it", func() bool { return received.Load() == sent })
	}
	_ = deaf.Close()
}

// Every session that cannot take the frame as it is gets one of its own.
func TestBroadcastEncodesForEach(t *testing.T) {
	seen := make(chan string, 10)
	hook := &pushHook{seen: seen}
	for name, peer := range map[string]func() (*tp.Peer, []socket.ProtoFunc){
		"a hook": func() (*tp.Peer, []socket.ProtoFunc) { return newPeer(t, tp.PeerConfig{}, hook), nil },
		"a log": func() (*tp.Peer, []socket.ProtoFunc) {
			return newPeer(t, tp.PeerConfig{PrintBody: true, Logger: new(logBook)}), nil
		},
		"another format": func() (*tp.Peer, []socket.ProtoFunc) {
			return newPeer(t, tp.PeerConfig{}), []socket.ProtoFunc{newWrappedProto}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, protos := peer()
			addr := serve(t, srv, protos...)
			got := make(chan string, 4)
			cli := newPeer(t, tp.PeerConfig{})
			tp.RegPush(cli.PushRouter, "news", func(_ tp.PushCtx, args *string) { got <- *args })
			dial(t, cli, addr, protos...)
			eventually(t, "it is there", func() bool { return srv.CountSession() == 1 })
			for _, text := range []string{"one", "two"} {
				if count, rerr := srv.Broadcast("/news", text, nil); rerr != nil || count.Sent != 1 {
					t.Fatalf("%+v, %v", count, rerr)
				}
				if g := receive(t, got); g != text {
					t.Errorf("got %q, want %q", g, text)
				}
			}
		})
	}
	if len(seen) != 2 {
		t.Errorf("the hook saw %d pushes, want 2", len(seen))
	}
}

// newWrappedProto is of a type that Frame is not for.
func newWrappedProto(rw io.ReadWriter) socket.Proto {
	return struct{ socket.Proto }{socket.NewFastProto(rw)}
}

type pushHook struct{ seen chan string }

func (*pushHook) Name() string { return "push hook" }

func (h *pushHook) PreWritePush(ctx tp.WriteCtx) *tp.Rerror {
	h.seen <- ctx.Output().Uri()
	return nil
}

// A filter may pull on a session that it let through before: whoever writes
// there flushes what the broadcast has left.
func TestBroadcastFilterPulls(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	addr := serve(t, srv)
	for range 3 {
		cli := newPeer(t, tp.PeerConfig{})
		tp.RegPush(cli.PushRouter, "news", func(tp.PushCtx, *string) {})
		tp.RegPull(cli.PullRouter, "name", func(tp.PullCtx, *int) (string, *tp.Rerror) { return "it", nil })
		dial(t, cli, addr)
	}
	eventually(t, "all are there", func() bool { return srv.CountSession() == 3 })
	for range 3 { // the first is encoded for each session
		var before []tp.Session
		count, rerr := srv.Broadcast("/news", "x", func(sess tp.Session) bool {
			for _, sess := range before {
				if name, rerr := tp.Pull[string](sess, "/name", 1); rerr != nil || name != "it" {
					t.Errorf("%q, %v", name, rerr)
				}
			}
			before = append(before, sess)
			return true
		})
		if rerr != nil || count.Sent != 3 {
			t.Errorf("%+v, %v", count, rerr)
		}
	}
}

func TestBroadcastFails(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	for name, push := range map[string]func() (tp.BroadcastCount, *tp.Rerror){
		"no uri":  func() (tp.BroadcastCount, *tp.Rerror) { return srv.Broadcast("", 1, nil) },
		"no json": func() (tp.BroadcastCount, *tp.Rerror) { return srv.Broadcast("/x", make(chan int), nil) },
		"too large": func() (tp.BroadcastCount, *tp.Rerror) {
			small := newPeer(t, tp.PeerConfig{PacketSizeLimit: 100})
			return small.Broadcast("/x", make([]byte, 101), nil)
		},
	} {
		if count, rerr := push(); rerr == nil || rerr.Code != tp.CodeBadPacket || count != (tp.BroadcastCount{}) {
			t.Errorf("%s: %+v, %v", name, count, rerr)
		}
	}
	push, rerr := srv.PreparePush("/x", 1)
	if rerr != nil {
		t.Fatal(rerr)
	}
	other := newPeer(t, tp.PeerConfig{})
	sess := dial(t, other, serve(t, srv))
	if rerr := push.Send(sess); rerr == nil || rerr.Code != tp.CodeBadPacket {
		t.Errorf("a push to a session of another peer: %v", rerr)
	}
	own, _ := srv.PreparePush("/x", 1)
	var accepted tp.Session
	eventually(t, "it is there", func() bool {
		srv.RangeSession(func(s tp.Session) bool { accepted = s; return false })
		return accepted != nil
	})
	if rerr := own.Send(accepted); rerr != nil {
		t.Error(rerr)
	}
	_ = accepted.Close()
	if rerr := own.Send(accepted); rerr == nil || rerr.Code != tp.CodeConnClosed {
		t.Errorf("a push to a closed session: %v", rerr)
	}
}

// audience returns a peer with 1,000 sessions, whose other sides call heard for each push of
// /news, and the last of these.
func audience(b *testing.B, heard func()) (srv *tp.Peer, last tp.Session) {
	srv, cli := newPeer(b, tp.PeerConfig{}), newPeer(b, tp.PeerConfig{})
	addr := serve(b, srv)
	tp.RegPush(cli.PushRouter, "news", func(tp.PushCtx, *[]byte) { heard() })
	tp.RegPull(srv.PullRouter, "hello", func(tp.PullCtx, *int) (int, *tp.Rerror) { return 0, nil })
	for range audienceSize {
		last = dial(b, cli, addr)
		if rerr := last.Pull("/hello", 0, nil).Rerror(); rerr != nil {
			b.Fatal(rerr)
		}
	}
	return srv, last
}

const audienceSize = 1000

// BenchmarkBroadcast sends 128 bytes to 1,000 sessions, until they have them.
func BenchmarkBroadcast(b *testing.B) {
	var received atomic.Int64
	all := make(chan struct{}, 1)
	srv, _ := audience(b, func() {
		if received.Add(1) == audienceSize*int64(b.N) {
			all <- struct{}{}
		}
	})
	body := bytes.Repeat([]byte("x"), 128)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		count, rerr := srv.Broadcast("/news", body, nil)
		if rerr != nil || count.Sent != audienceSize {
			b.Fatalf("%+v, %v", count, rerr)
		}
	}
	pushed := b.Elapsed()
	<-all
	b.ReportMetric(float64(audienceSize*b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64(pushed.Nanoseconds())/float64(audienceSize*b.N), "ns/push")
}

// BenchmarkPullBesideBroadcasts pulls on one of 1,000 sessions, to all of which 128 bytes
// are sent 100 times a second.
func BenchmarkPullBesideBroadcasts(b *testing.B) {
	srv, sess := audience(b, func() {})
	body := bytes.Repeat([]byte("x"), 128)
	stop := make(chan struct{})
	var caster sync.WaitGroup
	caster.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				srv.Broadcast("/news", body, nil)
			case <-stop:
				return
			}
		}
	})
	for b.Loop() {
		if rerr := sess.Pull("/hello", 0, nil).Rerror(); rerr != nil {
			b.Fatal(rerr)
		}
	}
	close(stop)
	caster.Wait()
}
