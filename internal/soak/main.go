// Command soak runs peers under all faults at random, for a time and by a seed, and
// checks what must hold: every call ends, replies are those that were asked for, and
// at the end nothing is left. It exits with 1 if something does not hold.
//
//	go run ./internal/soak -duration 10m -seed 7
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest/relay"
)

// soak is one run. Its counters are printed at the end.
type soak struct {
	seed uint64
	stop context.Context

	calls, failed, cancelled, unsure, pushes, broadcasts, pushed, nested   atomic.Int64
	restarts, crashes, severed, hostile, wrong, corrupted, redials, faults atomic.Int64
}

func main() {
	duration := flag.Duration("duration", time.Minute, "how long it runs")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what its choices are made by")
	flag.Parse()
	fmt.Printf("soak: %v, seed %d\n", *duration, *seed)
	tp.SetRawlogLevel("CRITICAL")
	base := runtime.NumGoroutine()
	heapBefore := liveHeap()
	ctx, cancel := context.WithTimeout(context.Background(), *duration)
	defer cancel()
	s := &soak{seed: *seed, stop: ctx}
	problems := s.run()
	problems = append(problems, leftovers(base, heapBefore)...)
	s.print()
	if s.wrong.Load() > 0 {
		problems = append(problems, fmt.Sprintf("%d replies were not those that were asked for", s.wrong.Load()))
	}
	if s.calls.Load() == 0 || s.pushed.Load() == 0 {
		problems = append(problems, "nothing went through")
	}
	for _, problem := range problems {
		fmt.Println("soak: FAILED:", problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Println("soak: all held")
}

func (s *soak) print() {
	for _, n := range []struct {
		what string
		n    *atomic.Int64
	}{
		{"calls answered", &s.calls},
		{"failed", &s.failed},
		{"of them perhaps executed", &s.unsure},
		{"given up or late", &s.cancelled},
		{"nested calls", &s.nested},
		{"pushes accepted", &s.pushes},
		{"pushes handled", &s.pushed},
		{"broadcasts", &s.broadcasts},
		{"changes of faults", &s.faults},
		{"graceful restarts", &s.restarts},
		{"crashes", &s.crashes},
		{"resets of all connections", &s.severed},
		{"hostile connections", &s.hostile},
		{"redials", &s.redials},
		{"bodies found corrupted", &s.corrupted},
	} {
		fmt.Printf("%9d %s\n", n.n.Load(), n.what)
	}
}

// liveHeap returns the bytes that are alive.
func liveHeap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// leftovers returns what is still there when all is closed.
func leftovers(goroutines int, heap uint64) (problems []string) {
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		problems = append(problems, fmt.Sprintf("%d goroutines are left", n-goroutines))
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	if now := liveHeap(); now > heap+16<<20 {
		problems = append(problems, fmt.Sprintf("%d bytes more are alive than at the beginning", now-heap))
	}
	return problems
}

// run returns what did not hold.
func (s *soak) run() (problems []string) {
	backend := s.open()
	rel, err := relay.New(backend.addr, s.seed)
	if err != nil {
		return []string{err.Error()}
	}
	cli := tp.NewPeer(&tp.PeerConfig{
		RedialTimes: -1, DefaultPullTimeout: 20 * time.Second, CloseTimeout: 2 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveTimeout: 5 * time.Second,
		OnRedial: func(_ tp.Session, rerr *tp.Rerror) {
			if rerr == nil {
				s.redials.Add(1)
			}
		},
	})
	tp.RegPull(cli.PullRouter, "back", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPush(cli.PushRouter, "news", func(tp.PushCtx, *[]byte) {})
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() { s.call(cli, rel.Addr(), rand.New(rand.NewPCG(s.seed, uint64(i)))) })
	}
	group.Go(func() { s.attack(backend, rand.New(rand.NewPCG(s.seed, 1000))) })
	s.disturb(backend, rel, rand.New(rand.NewPCG(s.seed, 2000)))
	for _, d := range []relay.Direction{relay.Up, relay.Down} {
		rel.Set(d, relay.Faults{})
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		problems = append(problems, "calls have not ended a minute after the end")
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	for _, p := range []*tp.Peer{cli, backend.peer()} {
		_ = p.Close() // what a fault has cut off is cut off
		if left := p.Stats(); left.Sessions != 0 || left.Handlers != 0 || left.QueuedBytes != 0 || left.Opening != 0 {
			problems = append(problems, fmt.Sprintf("left in a peer: %+v", left))
		}
	}
	backend.wait()
	if err := rel.Close(); err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

// server is the peer that is restarted, at one address.
type server struct {
	addr string

	mu     sync.Mutex // protects following
	p      *tp.Peer
	served []chan struct{}
}

func (b *server) peer() *tp.Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.p
}

func (b *server) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, served := range b.served {
		<-served
	}
}

func (s *soak) open() *server {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	b := &server{addr: lis.Addr().String()}
	s.serve(b, lis)
	return b
}

// serve makes another peer serve.
func (s *soak) serve(b *server, lis net.Listener) {
	p := tp.NewPeer(&tp.PeerConfig{CloseTimeout: 2 * time.Second, FrameTimeout: 5 * time.Second, PacketSizeLimit: 4 << 20, MaxSessionHandlers: 64, SlowPolicy: tp.SlowDrop})
	tp.RegPull(p.PullRouter, "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPull(p.PullRouter, "hang", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		<-ctx.Context().Done()
		return nil, nil
	})
	tp.RegPull(p.PullRouter, "nested", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		s.nested.Add(1)
		return tp.Pull[[]byte](ctx.Session(), "/back", *args, tp.WithContext(ctx.Context()))
	})
	tp.RegPull(p.PullRouter, "panics", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { panic("as it should") })
	tp.RegPush(p.PushRouter, "note", func(tp.PushCtx, *[]byte) { s.pushed.Add(1) })
	served := make(chan struct{})
	b.mu.Lock()
	b.p, b.served = p, append(b.served, served)
	b.mu.Unlock()
	go func() { defer close(served); _ = p.ServeListener(lis) }()
}

// body is bytes that tell whether they were changed on the way: TCP has a checksum,
// and a relay that flips bits has none.
func body(rnd *rand.Rand) []byte {
	b := make([]byte, 8+rnd.IntN(1<<rnd.IntN(18)))
	binary.LittleEndian.PutUint32(b[4:], rnd.Uint32())
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

func intact(b []byte) bool {
	return len(b) >= 8 && binary.LittleEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:])
}

// call is one caller, on a session of its own or two.
func (s *soak) call(cli *tp.Peer, addr string, rnd *rand.Rand) {
	var sess tp.Session
	for s.stop.Err() == nil {
		if sess == nil {
			var rerr *tp.Rerror
			if sess, rerr = cli.DialContext(s.stop, addr); rerr != nil {
				sess = nil
				time.Sleep(10 * time.Millisecond)
				continue
			}
		}
		switch rnd.IntN(100) {
		case 0:
			_ = sess.Close()
			sess = nil
		case 1, 2, 3:
			if sess.Push("/note", body(rnd)) == nil {
				s.pushes.Add(1)
			}
		case 4:
			cli.Broadcast("/note", body(rnd), nil)
			s.broadcasts.Add(1)
		case 5, 6, 7:
			ctx, cancel := context.WithTimeout(s.stop, time.Duration(rnd.IntN(50))*time.Millisecond)
			sess.Pull("/hang", nil, nil, tp.WithContext(ctx))
			cancel()
			s.cancelled.Add(1)
		case 8:
			sess.Pull("/panics", nil, nil)
		case 9:
			s.check(sess, "/nested", body(rnd))
		default:
			s.check(sess, "/echo", body(rnd))
		}
	}
	if sess != nil {
		_ = sess.Close()
	}
}

func (s *soak) check(sess tp.Session, uri string, sent []byte) {
	got, rerr := tp.Pull[[]byte](sess, uri, sent, tp.WithIdempotent(), tp.WithContext(s.stop))
	switch {
	case rerr != nil:
		s.failed.Add(1)
		if rerr.MaybeSent() {
			s.unsure.Add(1)
		}
	case bytes.Equal(got, sent):
		s.calls.Add(1)
	case !intact(got):
		s.corrupted.Add(1) // by the relay
	default:
		s.wrong.Add(1)
	}
}

// disturb changes the faults, and restarts and crashes the server.
func (s *soak) disturb(b *server, rel *relay.Relay, rnd *rand.Rand) {
	for s.stop.Err() == nil {
		s.faults.Add(1)
		f := relay.Faults{}
		switch rnd.IntN(10) {
		case 0:
			f.Delay, f.Jitter = time.Duration(rnd.IntN(5))*time.Millisecond, time.Millisecond
		case 1:
			f.Split = []int{1 + rnd.IntN(50), 1 + rnd.IntN(500)}
		case 2:
			f.Bandwidth = 64<<10 + rnd.IntN(1<<20)
		case 3:
			f.Stall = true
		case 4:
			f.Truncate = relay.At(int64(rnd.IntN(1 << 16)))
		case 5:
			f.Reset = relay.At(int64(rnd.IntN(1 << 16)))
		case 6:
			f.FlipRate = 1e-5
		case 7:
			rel.Sever()
			s.severed.Add(1)
		case 8:
			s.restart(b, rel, true)
		case 9:
			s.restart(b, rel, false)
		}
		if rnd.IntN(2) == 0 {
			rel.Set(relay.Up, f)
		} else {
			rel.Set(relay.Down, f)
		}
		select {
		case <-time.After(time.Duration(50+rnd.IntN(450)) * time.Millisecond):
		case <-s.stop.Done():
		}
		for _, d := range []relay.Direction{relay.Up, relay.Down} {
			rel.Set(d, relay.Faults{})
		}
	}
}

// restart puts another server in the place of the one that is there: one that closes
// in good order, or not.
func (s *soak) restart(b *server, rel *relay.Relay, graceful bool) {
	old := b.peer()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	if graceful {
		s.serve(b, lis)
		rel.SetBackend(lis.Addr().String())
		s.restarts.Add(1)
		_ = old.Close()
		return
	}
	s.crashes.Add(1)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = old.Shutdown(now)
	time.Sleep(100 * time.Millisecond)
	s.serve(b, lis)
	rel.SetBackend(lis.Addr().String())
}

// attack sends what no peer sends, to the server itself.
func (s *soak) attack(b *server, rnd *rand.Rand) {
	for s.stop.Err() == nil {
		addrs := b.peer().Addrs()
		if len(addrs) == 0 {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		conn, err := net.Dial("tcp", addrs[0].String())
		if err != nil {
			continue
		}
		s.hostile.Add(1)
		_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		for range rnd.IntN(50) {
			junk := make([]byte, 24+rnd.IntN(200))
			for i := range junk {
				junk[i] = byte(rnd.Uint32())
			}
			if rnd.IntN(4) > 0 { // almost a frame
				binary.BigEndian.PutUint32(junk, uint32(len(junk)))
				junk[4], junk[5], junk[14] = 'f', byte(rnd.IntN(2)*rnd.IntN(2)), byte(rnd.IntN(9))
				binary.BigEndian.PutUint32(junk[15:], uint32(rnd.IntN(4)))
			}
			if _, err := conn.Write(junk); err != nil {
				break
			}
		}
		if rnd.IntN(2) == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
	}
}
