package main

import (
	"context"
	"net"
	"sync"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/tptest/relay"
)

// onPurpose is what the handler of "/panics" panics with.
const onPurpose = "on purpose"

// server is the peer that is restarted.
type server struct {
	mu     sync.Mutex // protects following
	p      *tp.Peer
	addr   string
	served sync.WaitGroup // of the listeners
}

func (b *server) current() (p *tp.Peer, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.p, b.addr
}

// serve puts another peer, which listens, in the place of the one that is there.
func (s *soak) serve(b *server) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := tp.NewPeer(&tp.PeerConfig{
		CloseTimeout: 2 * time.Second, DefaultWriteTimeout: 2 * time.Second, FrameTimeout: 5 * time.Second,
		PacketSizeLimit: 4 << 20, WriteQueueLimit: 256 << 10, MaxSessionHandlers: 64, SlowPolicy: tp.SlowDrop,
	})
	tp.RegPull(p.PullRouter, "echo", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPull(p.PullRouter, "hang", func(ctx tp.PullCtx, _ *[]byte) ([]byte, *tp.Rerror) {
		<-ctx.Context().Done()
		return nil, tp.ToRerror(ctx.Context().Err())
	})
	tp.RegPull(p.PullRouter, "nested", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
		s.nested.Add(1)
		return tp.Pull[[]byte](ctx.Session(), "/back", *args, tp.WithContext(ctx.Context()))
	})
	tp.RegPull(p.PullRouter, "panics", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { panic(onPurpose) })
	tp.RegPush(p.PushRouter, "note", func(_ tp.PushCtx, args *[]byte) { s.checkPush(&s.pushed, *args) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p, b.addr = p, lis.Addr().String()
	b.served.Go(func() { _ = p.ServeListener(lis) })
	return nil
}

// restart replaces the server, in good order or not.
func (s *soak) restart(b *server, rel *relay.Relay, graceful bool) {
	old, _ := b.current()
	if graceful {
		s.restarts.Add(1)
	} else {
		s.crashes.Add(1)
		rel.Sever()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = old.Shutdown(now)
		time.Sleep(100 * time.Millisecond)
	}
	if err := s.serve(b); err != nil {
		s.report("no server: %v", err)
		return
	}
	_, addr := b.current()
	rel.SetBackend(addr)
	s.group.Go(func() { s.retire("a server", old) })
}

// retire closes a peer, and looks for what is left in it.
func (s *soak) retire(what string, p *tp.Peer) {
	_ = p.Close() // what a fault has cut off is cut off
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := p.Stats()
		if left.Sessions == 0 && left.Handlers == 0 && left.QueuedBytes == 0 && left.Opening == 0 {
			break
		}
		if time.Now().After(end) {
			s.report("left in %s: %+v", what, left)
			break
		}
	}
	refused := p.Stats().Refused
	s.mu.Lock()
	defer s.mu.Unlock()
	for why, n := range refused {
		s.refused[why] += n
	}
}

// measure notes how busy the server is.
func (s *soak) measure(b *server) {
	p, _ := b.current()
	stats := p.Stats()
	most(&s.mostSessions, int64(stats.Sessions))
	most(&s.mostHandlers, int64(stats.Handlers))
	most(&s.mostQueued, stats.QueuedBytes)
}
