package tp_test

import (
	"context"
	"net"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// A plugin that announces the peer needs to know on what it listens, and to
// withdraw as long as clients are still served.
func TestPluginSeesListenAndShutdown(t *testing.T) {
	t.Parallel()
	var addrs []net.Addr
	var listening context.Context
	listened := make(chan struct{})
	shutdown := make(chan struct{})
	var addr string
	peer := newPeer(t, tp.PeerConfig{},
		oneHook("listen", "PostListen", func(ctx interface{}) *tp.Rerror {
			c := ctx.(tp.PeerCtx)
			addrs, listening = c.Peer().Addrs(), c.Context()
			close(listened)
			return nil
		}),
		oneHook("shutdown", "PreShutdown", func(ctx interface{}) *tp.Rerror {
			defer close(shutdown)
			c := ctx.(tp.PeerCtx)
			if deadline, ok := c.Context().Deadline(); !ok || time.Until(deadline) > time.Minute {
				t.Errorf("the hook is not bounded by Shutdown: %v, %v", deadline, ok)
			}
			if listening.Err() != nil {
				t.Error("the peer listens no more before the hook")
			}
			client := newPeer(t, tp.PeerConfig{})
			late, rerr := client.Dial(addr) // it is still served
			noRerror(t, rerr)
			got, rerr := tp.Pull[string](late, "/echo", "late")
			if rerr != nil || got != "late" {
				t.Errorf("while the hook runs: %q, %v", got, rerr)
			}
			_ = late.Close()
			return nil
		}))
	tp.RegPull(peer.PullRouter, "echo", func(_ tp.PullCtx, s *string) (string, *tp.Rerror) { return *s, nil })
	addr = serve(t, peer)
	receive(t, listened)
	if len(addrs) != 1 || addrs[0].String() != addr {
		t.Errorf("PostListen saw the addresses %v, want %s", addrs, addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := peer.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	receive(t, shutdown)
	receive(t, listening.Done())
}

// A hook that hangs holds up Shutdown no longer than its context.
func TestPreShutdownThatHangs(t *testing.T) {
	t.Parallel()
	release, left := make(chan struct{}), make(chan struct{})
	peer := newBarePeer(oneHook("hangs", "PreShutdown", func(interface{}) *tp.Rerror {
		defer close(left)
		<-release
		return nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_ = peer.Shutdown(ctx)
	close(release)
	receive(t, left)
}
