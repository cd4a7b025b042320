package tp_test

import (
	"context"
	"net"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

func TestDialErrors(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = lis.Close()
	p := newPeer(t, tp.PeerConfig{})
	for _, addr := range []string{"", "nonsense", lis.Addr().String()} {
		if s, rerr := p.Dial(addr); s != nil || rerr == nil || rerr.Code != tp.CodeDialFailed {
			t.Errorf("Dial %q: %v, %v", addr, s, rerr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, rerr := p.DialContext(ctx, serve(t, newPeer(t, tp.PeerConfig{})))
	wantCode(t, rerr, tp.CodeDialFailed, "canceled")
}

// A PostDial hook that waits for ever is ended by the context, by the dial
// timeout, and by closing the peer.
func TestDialIsEnded(t *testing.T) {
	for _, by := range []string{"context", "timeout", "Close"} {
		t.Run(by, func(t *testing.T) {
			waiting := make(chan struct{})
			cfg := tp.PeerConfig{}
			if by == "timeout" {
				cfg.DefaultDialTimeout = 30 * time.Millisecond
			}
			p := newPeer(t, cfg, &sessionHooks{dial: func(s tp.PreSession) *tp.Rerror {
				close(waiting)
				return tp.ToRerror(s.Receive(new(socket.Packet)))
			}})
			addr, accept := wireServer(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan *tp.Rerror, 1)
			go func() {
				_, rerr := p.DialContext(ctx, addr)
				failed <- rerr
			}()
			w := accept()
			receive(t, waiting)
			switch by {
			case "context":
				cancel()
			case "Close":
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			if rerr := receive(t, failed); rerr == nil {
				t.Error("no Rerror")
			}
			w.wantClosed()
		})
	}
}

// The session outlives the context of its dial.
func TestDialContextIsForTheDial(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	echo(srv)
	ctx, cancel := context.WithCancel(t.Context())
	sess, rerr := newPeer(t, tp.PeerConfig{}).DialContext(ctx, serve(t, srv))
	noRerror(t, rerr)
	cancel()
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
}
