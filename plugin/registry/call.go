package registry

import (
	"context"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// keyOf is the key of a context's value that ConsistentHash chooses by.
type keyOf struct{}

// WithKey gives a call the key by which ConsistentHash chooses its member, such as the
// id of a user. It is kept in the context of the call, so it comes after
// tp.WithContext. It does not travel.
func WithKey(key string) socket.PacketSetting {
	return func(p *socket.Packet) { p.SetContext(ContextWithKey(p.Context(), key)) }
}

// ContextWithKey is WithKey for a context.
func ContextWithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// call is what the client must know of a call.
type call struct {
	ctx        context.Context
	key        string
	idempotent bool
	tried      []tp.Session
	maybe      bool // one of them may have executed it
}

func newCall(setting []socket.PacketSetting) *call {
	p := socket.NewPacket(setting...)
	k := &call{ctx: p.Context(), idempotent: p.Idempotent()}
	k.key, _ = k.ctx.Value(keyOf{}).(string)
	return k
}

// next reports whether another session may be tried after the call failed with rerr.
func (k *call) next(rerr *tp.Rerror, attempts int) bool {
	if rerr == nil || len(k.tried) >= attempts || k.ctx.Err() != nil {
		return false
	}
	switch rerr.Code {
	case tp.CodeConnClosed, tp.CodeWriteFailed:
		return k.idempotent || !rerr.MaybeSent()
	case tp.CodeDialFailed, tp.CodeServiceUnavailable:
		return !rerr.MaybeSent()
	}
	return false // another would answer the same
}

// Pull calls the handler of uri on a member and waits for the reply, as Session.Pull
// does. The PullCmd is that of the last attempt; if no member has a connection, its
// error has CodeDialFailed.
func (c *Client) Pull(uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd {
	k := newCall(setting)
	// A session that dials again by itself would wait for that: another is there now.
	setting = append(setting[:len(setting):len(setting)], func(p *socket.Packet) { p.SetIdempotent(false) })
	if c.cfg.PullTimeout > 0 {
		ctx, cancel := context.WithTimeout(k.ctx, c.cfg.PullTimeout)
		defer cancel()
		k.ctx = ctx
		setting = append(setting, tp.WithContext(ctx))
	}
	var last *tp.PullCmd
	for {
		m, sess, rerr := c.choose(k.ctx, k.key, k.tried)
		switch {
		case sess != nil:
		case last != nil: // it says more
			return c.settle(k, last, setting)
		default:
			return c.peer.FailedPull(uri, args, reply, rerr, setting...)
		}
		last = sess.Pull(uri, args, reply, setting...)
		m.pending.Add(-1)
		k.tried = append(k.tried, sess)
		why := last.Rerror()
		if !k.next(why, c.cfg.Attempts) {
			return c.settle(k, last, setting)
		}
		k.maybe = k.maybe || why.MaybeSent()
	}
}

// resentPrefix is what the Detail of an error begins with if an attempt before may have
// been executed: see tp.Rerror.MaybeSent.
const resentPrefix = "sent before, on a connection that was lost; now: "

// settle returns the result of a pull, whose error says that it may have been executed
// if that is so of an attempt before.
func (c *Client) settle(k *call, last *tp.PullCmd, setting []socket.PacketSetting) *tp.PullCmd {
	why := last.Rerror()
	if !k.maybe || why == nil || why.MaybeSent() {
		return last
	}
	reply, _ := last.Result()
	why = tp.NewRerror(why.Code, why.Message, resentPrefix+why.Detail)
	return c.peer.FailedPull(last.Output().Uri(), last.Output().Body(), reply, why, setting...)
}

// GoPull is Pull that does not wait: the PullCmd is sent on done when it is finished. A
// done that is full holds up nobody else; when the client is closed, what does not
// find room in it is dropped, with a warning of the log. A nil done panics. Args must
// not be changed before.
func (c *Client) GoPull(uri string, args, reply interface{}, done chan *tp.PullCmd, setting ...socket.PacketSetting) {
	if done == nil {
		panic("registry: GoPull: done is nil: make it with room for the pulls under way, or use Pull")
	}
	go func() { // it ends with the pull, which Close or the peer's end
		cmd := c.Pull(uri, args, reply, setting...)
		select {
		case done <- cmd:
			return
		default:
		}
		select {
		case done <- cmd:
		case <-c.life.Done():
			c.report("the pull of %q was finished, but nobody took it from done", uri)
		}
	}()
}

// Push sends args to the handler of uri on a member, as Session.Push does. Pushes go to
// different members, so their order is kept only for those with one key of
// ConsistentHash, as long as its member stays.
func (c *Client) Push(uri string, args interface{}, setting ...socket.PacketSetting) *tp.Rerror {
	k := newCall(setting)
	var last *tp.Rerror
	for {
		m, sess, rerr := c.choose(k.ctx, k.key, k.tried)
		switch {
		case sess != nil:
		case last != nil:
			return last
		default:
			return rerr
		}
		last = sess.Push(uri, args, setting...)
		m.pending.Add(-1)
		k.tried = append(k.tried, sess)
		if !k.next(last, c.cfg.Attempts) {
			return last
		}
	}
}

// Session returns the session of a member that takes calls, chosen as for a call, for
// who needs one: a proxy, or several calls that belong together. It waits for one as
// a call does. It must not be closed: the Client does.
func (c *Client) Session(ctx context.Context) (tp.Session, *tp.Rerror) {
	key, _ := ctx.Value(keyOf{}).(string)
	m, sess, rerr := c.choose(ctx, key, nil)
	if rerr != nil {
		return nil, rerr
	}
	m.pending.Add(-1)
	return sess, nil
}

// Pull is Client.Pull that returns the reply as a value of its type.
func Pull[R any](c *Client, uri string, args interface{}, setting ...socket.PacketSetting) (R, *tp.Rerror) {
	var reply R
	rerr := c.Pull(uri, args, &reply, setting...).Rerror()
	if rerr != nil {
		var none R
		return none, rerr
	}
	return reply, nil
}
