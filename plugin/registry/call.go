package registry

import (
	"context"
	"slices"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/usercode"
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

// call is a pull or push of a client, over as many sessions as it takes.
type call struct {
	uri        string
	args       interface{}
	setting    []socket.PacketSetting
	first      *socket.Packet // that of the first attempt
	ctx        context.Context
	key        string
	idempotent bool
	tried      []tp.Session
}

// newCall makes the packet of the first attempt, since its settings say by when the call
// must be over and by which key to choose.
func newCall(uri string, args interface{}, setting []socket.PacketSetting) *call {
	p := new(socket.Packet)
	p.SetUri(uri)
	p.SetBody(args)
	for _, set := range setting {
		if set != nil {
			set(p)
		}
	}
	k := &call{uri: uri, args: args, setting: setting, first: p, ctx: p.Context(), idempotent: p.Idempotent()}
	k.key, _ = k.ctx.Value(keyOf{}).(string)
	return k
}

// made returns the setting that makes a packet the first one.
func (k *call) made() socket.PacketSetting {
	return func(p *socket.Packet) { *p = *k.first }
}

// attempt returns the settings of the next packet. Those of the caller run once for each.
func (k *call) attempt() []socket.PacketSetting {
	own := func(p *socket.Packet) {
		p.SetContext(k.ctx)
		p.SetIdempotent(false) // or a session that dials again would wait for that: another is there now
	}
	if len(k.tried) == 0 {
		return []socket.PacketSetting{k.made(), own}
	}
	return append(slices.Clip(k.setting), own)
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
// does. The PullCmd is that of the last attempt; but if one before may have been
// executed, and the last one was certainly not, it is that one, so that its
// Rerror.MaybeSent is true of all. If no member has a connection, its error has
// CodeDialFailed. The settings run once for each attempt.
func (c *Client) Pull(uri string, args, reply interface{}, setting ...socket.PacketSetting) *tp.PullCmd {
	return c.pull(newCall(uri, args, setting), reply)
}

func (c *Client) pull(k *call, reply interface{}) *tp.PullCmd {
	if c.cfg.PullTimeout > 0 {
		ctx, cancel := context.WithTimeout(k.ctx, c.cfg.PullTimeout)
		defer cancel()
		k.ctx = ctx
	}
	var last, unsure *tp.PullCmd
	for {
		m, sess, rerr := c.choose(k.ctx, k.key, k.tried)
		if sess == nil && last == nil {
			return c.peer.FailedPull(k.uri, k.args, reply, rerr, k.made())
		}
		if sess != nil {
			last = m.pull(sess, k, reply)
			if rerr = last.Rerror(); rerr == nil {
				return last
			}
			if rerr.MaybeSent() {
				unsure = last
			}
			if k.next(rerr, c.cfg.Attempts) {
				continue
			}
		}
		if unsure != nil {
			return unsure
		}
		return last
	}
}

// pull is one attempt.
func (m *member) pull(sess tp.Session, k *call, reply interface{}) *tp.PullCmd {
	defer m.pending.Add(-1) // also if a hook ends the goroutine
	cmd := sess.Pull(k.uri, k.args, reply, k.attempt()...)
	k.tried = append(k.tried, sess)
	cmd.Output().SetIdempotent(k.idempotent) // what the caller has said, for who repeats it
	return cmd
}

// GoPull is Pull that does not wait: the PullCmd is sent on done when it is finished,
// whatever the settings, hooks and codecs do, which run in another goroutine, but for the
// settings of the first attempt. A done that is full holds up nobody else; when the client
// is closed, what does not find room in it is dropped, with a warning of the log. A nil
// done panics. Args must not be changed before.
func (c *Client) GoPull(uri string, args, reply interface{}, done chan *tp.PullCmd, setting ...socket.PacketSetting) {
	if done == nil {
		panic("registry: GoPull: done is nil: make it with room for the pulls under way, or use Pull")
	}
	k := newCall(uri, args, setting)
	var cmd *tp.PullCmd
	go usercode.Run(func() { // it ends with the pull, which Close or the peer's end
		cmd = c.pull(k, reply)
	}, func(gone error) {
		if gone != nil {
			tp.Errorf("registry: the pull of %q: %s", uri, usercode.Trace(gone))
			rerr := tp.NewRerror(tp.CodeInternalServerError, tp.CodeText(tp.CodeInternalServerError), gone.Error())
			cmd = c.peer.FailedPull(uri, args, reply, rerr, k.made())
		}
		if !usercode.Hand(done, cmd, c.life.Done()) {
			c.report("the pull of %q was finished, but nobody took it from done", uri)
		}
	})
}

// Push sends args to the handler of uri on a member, as Session.Push does. Pushes go to
// different members, so their order is kept only for those with one key of
// ConsistentHash, as long as its member stays. The settings run once for each attempt.
func (c *Client) Push(uri string, args interface{}, setting ...socket.PacketSetting) *tp.Rerror {
	k := newCall(uri, args, setting)
	var last *tp.Rerror
	for {
		m, sess, rerr := c.choose(k.ctx, k.key, k.tried)
		switch {
		case sess != nil:
		case last != nil: // it says more
			return last
		default:
			return rerr
		}
		last = m.push(sess, k)
		if !k.next(last, c.cfg.Attempts) {
			return last
		}
	}
}

// push is one attempt.
func (m *member) push(sess tp.Session, k *call) *tp.Rerror {
	defer m.pending.Add(-1)
	rerr := sess.Push(k.uri, k.args, k.attempt()...)
	k.tried = append(k.tried, sess)
	return rerr
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
