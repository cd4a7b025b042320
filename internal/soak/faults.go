package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"os"
	"runtime/pprof"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest/relay"
)

const (
	callers        = 24 // with a session each
	sharedSessions = 4
	callersOfEach  = 4
	// stallEvery is after how many faults there is one that lasts until keep-alive
	// finds it, which takes 6 s.
	stallEvery = 100
)

// run runs everything until the time is over, and closes it.
func (s *soak) run() {
	backend := new(server)
	if err := s.serve(backend); err != nil {
		s.report("no server: %v", err)
		return
	}
	_, addr := backend.current()
	rel, err := relay.New(addr, s.seed)
	if err != nil {
		s.report("no relay: %v", err)
		return
	}
	rnd := func(n int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(n))) }
	cli := s.newClient()
	for i := range callers {
		s.group.Go(func() { s.call(cli, rel.Addr(), nil, rnd(i)) })
	}
	var shared []tp.Session
	for i := range sharedSessions {
		sess, rerr := cli.Dial(rel.Addr())
		if rerr != nil {
			s.report("no session: %v", rerr)
			break
		}
		shared = append(shared, sess)
		for j := range callersOfEach {
			s.group.Go(func() { s.call(cli, rel.Addr(), sess, rnd(100+i*callersOfEach+j)) })
		}
	}
	s.group.Go(func() { s.announce(backend, rnd(1000)) })
	s.group.Go(func() { s.attack(backend, rnd(1001)) })
	s.group.Go(func() { s.neverRead(backend, rnd(1002)) })
	s.disturb(backend, rel, rnd(1003))
	ended := make(chan struct{})
	go func() { s.group.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		s.report("calls have not ended a minute after the end")
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	for _, sess := range shared {
		if !sess.IsOk() {
			s.report("a session that redials for ever has ended")
		}
	}
	s.retire("the clients", cli)
	last, _ := backend.current()
	s.retire("the last server", last)
	backend.served.Wait()
	if err := rel.Close(); err != nil {
		s.report("the relay: %v", err)
	}
}

// disturb changes the faults, and restarts and crashes the server.
func (s *soak) disturb(b *server, rel *relay.Relay, rnd *rand.Rand) {
	for n := 1; s.stop.Err() == nil; n++ {
		s.faults.Add(1)
		f, lasts := relay.Faults{}, time.Duration(50+rnd.IntN(450))*time.Millisecond
		kind := rnd.IntN(10)
		if n%stallEvery == stallEvery/4 {
			kind, lasts = 3, 8*time.Second
			s.stalls.Add(1)
		}
		switch kind {
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
			s.flips(true)
		case 7:
			rel.Sever()
			s.severed.Add(1)
		case 8:
			s.restart(b, rel, true)
		case 9:
			s.restart(b, rel, false)
		}
		rel.Set([]relay.Direction{relay.Up, relay.Down, relay.Both}[rnd.IntN(3)], f)
		select {
		case <-time.After(lasts):
		case <-s.stop.Done():
		}
		s.measure(b)
		rel.Set(relay.Both, relay.Faults{})
		s.flips(false)
	}
}

// announce broadcasts to all who are connected to the server.
func (s *soak) announce(b *server, rnd *rand.Rand) {
	for s.stop.Err() == nil {
		p, _ := b.current()
		if _, rerr := p.Broadcast("/news", body(rnd), nil); rerr != nil {
			s.report("a broadcast failed: %v", rerr)
		}
		time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
	}
}

// neverRead has a session that pulls more than it reads, as it reads nothing: behind a
// relay of its own that stalls. However it ends, each of its pulls does.
func (s *soak) neverRead(b *server, rnd *rand.Rand) {
	const pulls, size = 400, 64 << 10
	for s.stop.Err() == nil {
		_, addr := b.current()
		rel, err := relay.New(addr, s.seed)
		if err != nil {
			s.report("no relay: %v", err)
			return
		}
		p := tp.NewPeer(&tp.PeerConfig{DefaultPullTimeout: pullTimeout, DefaultWriteTimeout: 2 * time.Second, CloseTimeout: time.Second})
		sess, rerr := p.DialContext(s.stop, rel.Addr())
		if rerr == nil {
			s.slow.Add(1)
			rel.Set(relay.Down, relay.Faults{Stall: true})
			began, done := time.Now(), make(chan *tp.PullCmd, pulls)
			for range pulls {
				sess.GoPull("/echo", bodyOf(rnd, size), new([]byte), done)
			}
			select {
			case <-time.After(time.Duration(rnd.IntN(4000)) * time.Millisecond):
			case <-s.stop.Done():
			}
			if rnd.IntN(2) == 0 {
				rel.Set(relay.Down, relay.Faults{})
			}
			_ = sess.Close()
			for range pulls {
				select {
				case cmd := <-done:
					if got, rerr := cmd.Result(); rerr == nil && !intact(*got.(*[]byte)) {
						s.wrong.Add(1)
						s.report("a reply to a slow reader was not as it was sent")
					}
				case <-time.After(endsWithin):
					s.report("a pull of a slow reader has not ended after %v", time.Since(began))
				}
			}
		}
		s.retire("a slow reader", p)
		_ = rel.Close()
	}
}

// attack sends what no peer sends, to the server itself.
func (s *soak) attack(b *server, rnd *rand.Rand) {
	for s.stop.Err() == nil {
		_, addr := b.current()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
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
