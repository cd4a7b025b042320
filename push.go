package tp

import (
	"context"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/socket"
)

// pushCmd is a push of this side, as plugins see it.
type pushCmd struct {
	sess   *session
	output socket.Packet
	ctx    context.Context

	neverWaits bool // for room in the outgoing queue, nor for the kernel
}

var _ WriteCtx = new(pushCmd)

// Push sends args to the handler of uri.
func (s *session) Push(uri string, args interface{}, setting ...socket.PacketSetting) *Rerror {
	c := &pushCmd{sess: s}
	c.fill(s.peer, uri, args, setting)
	return c.pushed()
}

// pushed is push with one error.
func (c *pushCmd) pushed() *Rerror {
	rerr, err := c.push()
	if err != nil {
		rerr = writeRerror(err)
	}
	return rerr
}

func (c *pushCmd) fill(peer *Peer, uri string, args interface{}, setting []socket.PacketSetting) {
	fillLaunch(&c.output, peer, uri, args, setting)
	c.output.SetPtype(TypePush)
}

// push sends the push. It returns either why it was refused, or what kept it
// from being written.
func (c *pushCmd) push() (refused *Rerror, err error) {
	plugins := c.sess.peer.plugins
	told := plugins.seesExchanges() && (!c.neverWaits || plugins.seesPushes())
	if !c.sess.peer.observes && !told {
		return c.launch()
	}
	start := sinceStart()
	refused, err = c.launch()
	logged := refused
	if err != nil {
		logged = writeRerror(err)
	}
	c.logExchange(start, logged)
	if told {
		c.tellOver(start, logged)
	}
	return refused, err
}

// check returns what is wrong with the push itself.
func (c *pushCmd) check() *Rerror {
	if c.output.Uri() == "" {
		return notSent(CodeBadPacket, "the URI of the push is empty")
	}
	if err := c.output.Context().Err(); err != nil {
		return writeRerror(err)
	}
	return nil
}

func (c *pushCmd) launch() (refused *Rerror, err error) {
	if rerr := c.check(); rerr != nil {
		return rerr, nil
	}
	if c.neverWaits {
		l, rerr := c.sess.live()
		if rerr != nil {
			return rerr, nil
		}
		return c.sendOn(l, l.sendNeverWaiting)
	}
	for {
		l, rerr := c.awaitLive()
		if rerr != nil {
			return rerr, nil
		}
		send := l.send
		if c.sess.peer.cfg.SlowPolicy != SlowWait {
			send = l.sendNow
		}
		refused, err = c.sendOn(l, send)
		if err == nil || !isUnlinked(err) || c.sess.redial == nil {
			return refused, err
		}
		l.refuse() // it takes nothing any more; the next one will
	}
}

// awaitLive returns the link, and during a redial waits for one within the write
// timeout.
func (c *pushCmd) awaitLive() (*link, *Rerror) {
	l, rerr := c.sess.live()
	if rerr == nil || c.sess.redial == nil {
		return l, rerr
	}
	ctx := c.output.Context()
	if d := c.sess.WriteTimeout(); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return c.sess.awaitLive(ctx)
}

func (c *pushCmd) sendOn(l *link, send func(*socket.Packet) error) (refused *Rerror, err error) {
	plugins := c.sess.peer.plugins
	c.output.SetSeq(l.pushSeq.Add(1) - 1)
	if rerr := plugins.PreWritePush(c); rerr != nil {
		return rerr, nil
	}
	if err := send(&c.output); err != nil {
		return nil, err
	}
	if rerr := plugins.PostWritePush(c); rerr != nil {
		c.sess.peer.log().Warnf("session %s: PostWritePush of %q: %v", c.sess.Id(), c.output.Uri(), rerr)
	}
	return nil, nil
}

// Output returns the packet.
func (c *pushCmd) Output() *socket.Packet { return &c.output }

// Context returns the context of WithContext, or what a plugin made of it.
func (c *pushCmd) Context() context.Context {
	if c.ctx != nil {
		return c.ctx
	}
	return c.output.Context()
}

// SetContext replaces the context, for plugins.
func (c *pushCmd) SetContext(ctx context.Context) { c.ctx = ctx }

// Public returns the session's map of the user's own values.
func (c *pushCmd) Public() goutil.Map { return c.sess.Public() }

// PublicLen returns how many values Public holds.
func (c *pushCmd) PublicLen() int { return c.sess.PublicLen() }

// Ip returns the address of the other side, with its port.
func (c *pushCmd) Ip() string { return c.sess.RemoteIp() }

// Peer returns the peer.
func (c *pushCmd) Peer() *Peer { return c.sess.peer }

// Session returns the session.
func (c *pushCmd) Session() Session { return c.sess }
