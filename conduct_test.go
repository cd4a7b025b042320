package tp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// Each flood of what nobody asked for ends its session, with the reason in the
// log, and no other.
func TestFloodsEndTheSession(t *testing.T) {
	floods := map[string][]frame{
		"PINGs":              {{ptype: tp.TypePing}},
		"PONGs":              {{ptype: tp.TypePong}},
		"GOAWAYs":            {{ptype: tp.TypeGoAway}},
		"CANCELs":            {{ptype: tp.TypeCancel, seq: 7}},
		"replies to no pull": {{ptype: tp.TypeReply, seq: 7, codec: 'j', body: "1"}},
		// Of these the header alone is refused.
		"replies to no pull, with a long URI": {{ptype: tp.TypeReply, seq: 7, uri: "/" + strings.Repeat("x", 2000), codec: 'j'}},
	}
	for what, f := range floods {
		t.Run(what, func(t *testing.T) {
			logged := new(logBook)
			srv := newPeer(t, tp.PeerConfig{Logger: logged})
			echo(srv)
			addr := serve(t, srv)
			healthy := dial(t, newPeer(t, tp.PeerConfig{}), addr)
			w := dialWire(t, addr)
			go func() { // until the peer has had enough
				for {
					if _, err := w.Write(f[0].bytes()); err != nil {
						return
					}
				}
			}()
			for {
				if _, err := w.read(); err != nil {
					break
				}
			}
			eventually(t, "the log tells why", func() bool {
				kind, _, _ := strings.Cut(what, ",")
				return logged.contains("out of place", kind)
			})
			noRerror(t, healthy.Pull("/echo", nil, nil).Rerror())
		})
	}
}

// What crosses on the way is no fault: a reply to each pull that was given up, a
// CANCEL for each pull that was answered, a PING every 5 s.
func TestWhatCrossesIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cli := newPeer(t, tp.PeerConfig{}), newPeer(t, tp.PeerConfig{DefaultPullTimeout: time.Millisecond})
		tp.RegPull(srv.PullRouter, "slow", func(tp.PullCtx, *int) (int, *tp.Rerror) {
			time.Sleep(time.Second)
			return 0, nil
		})
		sess := pipe(t, srv, cli)
		for range 1000 {
			wantCode(t, sess.Pull("/slow", 1, nil).Rerror(), tp.CodeTimeout, "")
		}
		time.Sleep(time.Minute)
		if !sess.Health() {
			t.Error("closed for replies that were late")
		}
	})
}

// Pulls may all be given up at once, also while the other side has not come to read
// them: their CANCELs arrive together, perhaps in one read with the pulls.
func TestCancelsMayComeTogether(t *testing.T) {
	logged := new(logBook)
	srv := newPeer(t, tp.PeerConfig{Logger: logged})
	echo(srv)
	w := dialWire(t, serve(t, srv))
	const rounds, many = 5, 1000
	go func() {
		for seq := uint64(0); seq < rounds*many; seq += many {
			var pulls, cancels []frame
			for i := range uint64(many) {
				pulls = append(pulls, jsonPull(seq+i, "/echo", "1"))
				cancels = append(cancels, frame{ptype: tp.TypeCancel, seq: seq + i})
			}
			var b []byte
			for _, f := range append(pulls, cancels...) {
				b = append(b, f.bytes()...)
			}
			if _, err := w.Write(b); err != nil {
				return // the reads tell why
			}
		}
	}()
	for answered := 0; answered < rounds*many; {
		f, err := w.read()
		if err != nil {
			t.Fatalf("after %d replies: %v\n%s", answered, err, logged)
		}
		if f.ptype == tp.TypeReply {
			answered++
		}
	}
}

// A thousand callers who give up at the same moment send as many CANCELs at once, and
// are none who misbehave.
func TestManyCancelsAtOnce(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	running, ended := waits(srv)
	echo(srv)
	sess := dial(t, newPeer(t, tp.PeerConfig{}), serve(t, srv))
	noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	const pulls = 2000
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *tp.PullCmd, pulls)
		for range pulls {
			sess.GoPull("/wait", nil, nil, done, tp.WithContext(ctx))
		}
		for range pulls {
			receive(t, running)
		}
		cancel()
		for range pulls {
			wantCode(t, receive(t, done).Rerror(), tp.CodeCanceled, "")
			receive(t, ended)
		}
		noRerror(t, sess.Pull("/echo", nil, nil).Rerror())
	}
}
