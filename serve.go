package tp

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// run handles a pull or push. It is the task of a worker.
func (c *handlerCtx) run() {
	defer c.end()
	if c.input.Ptype() == TypePull {
		c.servePull()
	} else {
		c.servePush()
	}
}

// servePull answers, whatever the handler does: also if it panics, or ends
// its goroutine.
func (c *handlerCtx) servePull() {
	var body interface{}
	var rerr *Rerror
	returned := false
	defer func() {
		if !returned {
			body, rerr = nil, c.panicked(recover())
		}
		if gone := c.gaveUp(); gone != nil {
			body, rerr = nil, gone
		}
		c.reply(body, rerr)
	}()
	body, rerr = c.handlePull()
	returned = true
}

func (c *handlerCtx) handlePull() (interface{}, *Rerror) {
	if c.rerr == nil {
		c.rerr = c.overdue()
	}
	if c.rerr != nil {
		c.input.ReleaseBody()
		return nil, c.rerr
	}
	plugins := c.handler.plugins
	if rerr := plugins.PreReadPullBody(c); rerr != nil {
		c.input.ReleaseBody()
		return nil, rerr
	}
	if rerr := c.bind(); rerr != nil {
		return nil, rerr
	}
	if rerr := plugins.PostReadPullBody(c); rerr != nil {
		return nil, rerr
	}
	body, rerr := c.handler.call(c, c.input.Body())
	return body, rerr.executed(c.handler.isUnknown)
}

func (c *handlerCtx) servePush() {
	returned := false
	defer func() {
		if !returned {
			c.rerr = c.panicked(recover())
		} else if c.rerr != nil {
			c.dropPush(c.rerr)
		}
		c.logExchange(c.rerr, nil)
		c.tellOver(c.rerr, nil)
	}()
	c.rerr = c.handlePush()
	returned = true
}

func (c *handlerCtx) handlePush() *Rerror {
	plugins := c.handler.plugins
	if rerr := plugins.PreReadPushBody(c); rerr != nil {
		return rerr
	}
	if rerr := c.bind(); rerr != nil {
		return rerr
	}
	if rerr := plugins.PostReadPushBody(c); rerr != nil {
		return rerr
	}
	_, rerr := c.handler.call(c, c.input.Body())
	return rerr
}

// drop gives up an exchange that waited in line when its link ended.
func (c *handlerCtx) drop() {
	c.input.ReleaseBody()
	why := NewRerror(CodeConnClosed, CodeText(CodeConnClosed), "its handler had no turn before the session ended")
	if c.input.Ptype() == TypePush {
		c.dropPush(why)
	}
	c.tellOver(why, nil)
	c.end()
}

func (c *handlerCtx) dropPush(why *Rerror) {
	c.input.ReleaseBody()
	c.link.peer.tally.refuse(refusedPush)
	c.link.peer.drops.warn(c.link.peer.log(), "session %s: push %q dropped: %v", c.link.sess.Id(), clipURI(c.uri), why)
}

// bind decodes the body into a new value of what the handler takes.
func (c *handlerCtx) bind() *Rerror {
	if c.link.peer.cfg.PrintBody {
		c.needMore().printed = &printedBodies{in: clip(c.input.HeldBody())}
	}
	if c.handler.isUnknown {
		c.bytes = c.input.TakeBody()
		c.input.SetBody(&c.bytes)
		return nil
	}
	if c.handler.newArg == nil {
		c.input.SetBody(&c.bytes)
	} else if c.input.SetBody(c.handler.newArg()); c.input.BodyCodec() != codec.NilCodecId || len(c.input.HeldBody()) > 0 {
		if _, err := codec.Get(c.input.BodyCodec()); err != nil {
			c.input.ReleaseBody()
			return NewRerror(CodeNotImplemented, CodeText(CodeNotImplemented), err.Error())
		}
	}
	if err := c.input.DecodeBody(); err != nil {
		return NewRerror(CodeBadPacket, CodeText(CodeBadPacket), "the args: "+c.tell(err))
	}
	return nil
}

// tell returns what the other side may know of an error of encoding or
// decoding: all, but of a panic neither text nor stack, which it logs.
func (c *handlerCtx) tell(err error) string {
	var panicked error
	var stack []byte
	if p := (*socket.PanicError)(nil); errors.As(err, &p) {
		panicked, stack = p, p.Stack
	} else if p := (*xfer.PanicError)(nil); errors.As(err, &p) {
		panicked, stack = p, p.Stack
	} else {
		return err.Error()
	}
	c.link.peer.log().Errorf("session %s: the encoding or decoding of a body of %q failed: %v\n%s", c.link.sess.Id(), clipURI(c.uri), err, stack)
	return strings.ReplaceAll(err.Error(), panicked.Error(), "it panicked")
}

// wrongBody is the answer when a hook left a body that the handler does not
// take.
func (c *handlerCtx) wrongBody(want reflect.Type) *Rerror {
	detail := fmt.Sprintf("a plugin left a body of type %T for %s, which takes %s", c.input.Body(), c.handler.name, want)
	c.link.peer.log().Errorf("session %s: %s", c.link.sess.Id(), detail)
	return NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), detail)
}

// panicked logs what the recovered value and the stack say, and returns what
// the other side is told, which is neither.
func (c *handlerCtx) panicked(r interface{}) *Rerror {
	if r == nil {
		r = "it ended its goroutine"
	}
	c.link.peer.log().Errorf("session %s: the handler of %s %q panicked: %v\n%s",
		c.link.sess.Id(), TypeText(c.input.Ptype()), clipURI(c.input.Uri()), r, debug.Stack())
	return NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), "the handler failed")
}
