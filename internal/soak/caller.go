package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"sync/atomic"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// pullTimeout bounds each call, and endsWithin is when it must have ended: generous,
// for machines that do other work.
const (
	pullTimeout = 20 * time.Second
	endsWithin  = 2 * pullTimeout
)

// body is bytes that tell whether they were changed on the way: TCP has a checksum,
// and a relay that flips bits has none.
func body(rnd *rand.Rand) []byte { return bodyOf(rnd, 16+rnd.IntN(1<<rnd.IntN(18))) }

func bodyOf(rnd *rand.Rand, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint64(b[4:], rnd.Uint64())
	b[12] = byte(rnd.Uint32())
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

func intact(b []byte) bool {
	return len(b) >= 16 && binary.LittleEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:])
}

// newClient returns the peer of the callers.
func (s *soak) newClient() *tp.Peer {
	cli := tp.NewPeer(&tp.PeerConfig{
		RedialTimes: -1, DefaultPullTimeout: pullTimeout, CloseTimeout: 2 * time.Second,
		KeepAliveInterval: 5 * time.Second, KeepAliveTimeout: time.Second,
		OnRedial: func(_ tp.Session, rerr *tp.Rerror) {
			if rerr == nil {
				s.redials.Add(1)
			}
		},
	})
	tp.RegPull(cli.PullRouter, "back", func(_ tp.PullCtx, args *[]byte) ([]byte, *tp.Rerror) { return *args, nil })
	tp.RegPush(cli.PushRouter, "news", func(_ tp.PushCtx, args *[]byte) { s.checkPush(&s.news, *args) })
	return cli
}

// call is one caller. With shared it stays with that session, else it has its own,
// one after the other.
func (s *soak) call(cli *tp.Peer, addr string, shared tp.Session, rnd *rand.Rand) {
	sess := shared
	for s.stop.Err() == nil {
		if sess == nil {
			var rerr *tp.Rerror
			if sess, rerr = cli.DialContext(s.stop, addr); rerr != nil {
				sess = nil
				time.Sleep(10 * time.Millisecond)
				continue
			}
		}
		switch n := rnd.IntN(100); {
		case n == 0 && shared == nil:
			_ = sess.Close()
			sess = nil
		case n <= 3:
			if sess.Push("/note", body(rnd)) == nil {
				s.pushes.Add(1)
			}
		case n == 4:
			if _, rerr := cli.Broadcast("/note", body(rnd), nil); rerr == nil {
				s.broadcasts.Add(1)
			}
		case n <= 7:
			s.giveUp(sess, rnd)
		case n == 8:
			s.panic(sess)
		case n == 9:
			s.check(sess, "/nested", body(rnd))
		default:
			s.check(sess, "/echo", body(rnd))
		}
	}
	if sess != shared {
		_ = sess.Close()
	}
}

// check pulls, and wants what it has sent.
func (s *soak) check(sess tp.Session, uri string, sent []byte) {
	began := time.Now()
	got, rerr := tp.Pull[[]byte](sess, uri, sent, tp.WithIdempotent(), tp.WithContext(s.stop))
	s.ended(uri, began)
	switch {
	case rerr != nil:
		s.failed.Add(1)
		if rerr.MaybeSent() {
			s.unsure.Add(1)
		}
		s.checkError(uri, rerr, began)
	case bytes.Equal(got, sent):
		s.calls.Add(1)
	case !s.tainted(began):
		s.wrong.Add(1)
		s.report("%s: %d bytes were sent, other %d came back", uri, len(sent), len(got))
	case intact(got):
		s.misled.Add(1)
	default:
		s.corrupted.Add(1)
	}
}

// giveUp pulls what is never answered, and gives up, or lets the deadline pass.
func (s *soak) giveUp(sess tp.Session, rnd *rand.Rand) {
	began := time.Now()
	after := time.Duration(rnd.IntN(50)) * time.Millisecond
	ctx, cancel := context.WithCancel(s.stop)
	defer cancel()
	if rnd.IntN(2) == 0 {
		var late context.CancelFunc
		ctx, late = context.WithTimeout(ctx, after)
		defer late()
	} else {
		time.AfterFunc(after, cancel)
	}
	rerr := sess.Pull("/hang", nil, nil, tp.WithContext(ctx)).Rerror()
	s.ended("/hang", began)
	s.gaveUp.Add(1)
	if rerr != nil {
		s.checkError("/hang", rerr, began)
	} else if !s.tainted(began) {
		s.wrong.Add(1)
		s.report("/hang: a success")
	}
}

// panic pulls what panics.
func (s *soak) panic(sess tp.Session) {
	began := time.Now()
	rerr := sess.Pull("/panics", nil, nil, tp.WithContext(s.stop)).Rerror()
	s.ended("/panics", began)
	switch {
	case rerr != nil && rerr.Code == tp.CodeInternalServerError:
		s.panics.Add(1)
	case rerr != nil:
		s.checkError("/panics", rerr, began)
	case !s.tainted(began):
		s.wrong.Add(1)
		s.report("/panics: a success")
	}
}

// ended notes how long a call took.
func (s *soak) ended(uri string, began time.Time) {
	took := time.Since(began)
	most(&s.longest, int64(took))
	if took > endsWithin {
		s.report("%s ended after %v", uri, took)
	}
}

// checkError wants an error that a fault explains, and that says so.
func (s *soak) checkError(uri string, rerr *tp.Rerror, began time.Time) {
	switch rerr.Code {
	case tp.CodeConnClosed, tp.CodeWriteFailed, tp.CodeDialFailed, tp.CodeTimeout, tp.CodeCanceled, tp.CodeServiceUnavailable:
		if rerr.Detail != "" {
			return
		}
	}
	if !s.tainted(began) {
		s.wrong.Add(1)
		s.report("%s failed with %v", uri, rerr)
	}
}

// checkPush counts a push that has come, and wants it to be intact.
func (s *soak) checkPush(n *atomic.Int64, got []byte) {
	n.Add(1)
	switch {
	case intact(got):
	case s.tainted(time.Now().Add(-flipTail)):
		s.corrupted.Add(1)
	default:
		s.wrong.Add(1)
		s.report("a push of %d bytes was not as it was sent", len(got))
	}
}
