package tp_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Everything that the API allows, at once and in any order, from handlers and
// from outside: every call must return, and nothing be left running.
func TestTurmoil(t *testing.T) {
	for seed := range uint64(6) {
		turmoil(t, seed)
	}
}

func turmoil(t *testing.T, seed uint64) {
	t.Logf("seed %d", seed)
	peers := [2]*tp.Peer{}
	for i := range peers {
		p := newPeer(t, tp.PeerConfig{CloseTimeout: time.Second, PushQueueLimit: 8 << 10, MaxSessionHandlers: 64})
		echo(p)
		tp.RegPull(p.PullRouter.Dispatch(tp.DispatchInline), "inline", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
			return *args, nil
		})
		tp.RegPull(p.PullRouter, "nested", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
			return tp.Pull[[]byte](ctx.Session(), "/echo", *args)
		})
		tp.RegPull(p.PullRouter, "panic", func(tp.PullCtx, *[]byte) ([]byte, *tp.Rerror) { panic("as asked") })
		tp.RegPull(p.PullRouter, "close", func(ctx tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) {
			_ = ctx.Session().Close()
			return *args, nil
		})
		tp.RegPush(p.PushRouter, "note", func(ctx tp.PushCtx, args *[]byte) {
			if len(*args)%7 == 0 {
				_ = ctx.Session().Push("/note", []byte{1})
			}
		})
		tp.RegPush(p.PushRouter.Dispatch(tp.DispatchInline), "rename", func(ctx tp.PushCtx, _ *[]byte) {
			ctx.Session().SetId("the one")
		})
		peers[i] = p
	}
	addr := serve(t, peers[0])
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for worker := range uint64(16) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(seed, worker))
			for ctx.Err() == nil {
				sess, rerr := peers[1].Dial(addr)
				if rerr != nil {
					t.Errorf("Dial: %v", rerr)
					return
				}
				abuse(rnd, sess, peers[0])
			}
		}()
	}
	wg.Wait()
	var closing sync.WaitGroup
	for _, p := range peers {
		closing.Add(2)
		for range 2 {
			go func() { defer closing.Done(); _ = p.Close() }()
		}
	}
	closing.Wait()
}

func abuse(rnd *rand.Rand, sess tp.Session, server *tp.Peer) {
	done := make(chan *tp.PullCmd, 1)
	started := 0
	uris := []string{"/echo", "/inline", "/nested", "/panic", "/nowhere", "/echo", "/nested"}
	for range 1 + rnd.IntN(40) {
		body := make([]byte, rnd.IntN(3000))
		switch rnd.IntN(12) {
		case 0, 1, 2:
			sess.Pull(uris[rnd.IntN(len(uris))], body, nil)
		case 3, 4:
			sess.GoPull(uris[rnd.IntN(len(uris))], body, nil, done)
			started++
		case 5, 6, 7:
			_ = sess.Push("/note", body)
		case 8:
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(500))*time.Microsecond)
			sess.Pull(uris[rnd.IntN(len(uris))], body, nil, tp.WithContext(ctx))
			cancel()
		case 9:
			_ = sess.Push("/rename", nil)
		case 10:
			if rnd.IntN(8) == 0 {
				server.RangeSession(func(s tp.Session) bool {
					_ = s.Push("/note", body)
					return rnd.IntN(3) > 0
				})
			}
		case 11:
			if rnd.IntN(6) == 0 {
				sess.Pull("/close", body, nil)
			}
		}
	}
	if rnd.IntN(4) > 0 {
		_ = sess.Close()
	}
	for range started {
		<-done
	}
}
