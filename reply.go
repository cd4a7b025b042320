package tp

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// reply sends the answer to a pull.
func (c *handlerCtx) reply(body interface{}, rerr *Rerror) {
	plugins := c.link.peer.plugins
	if c.handler != nil {
		plugins = c.handler.plugins
	}
	hidden, ok := body.(*hiddenReply)
	if !ok && c.hidesReply(plugins) {
		hidden = hiddenReplies.Get().(*hiddenReply)
	}
	var out *socket.Packet
	if hidden != nil {
		plugins = noPlugins // one that was added meanwhile comes too late
		out = &hidden.packet
		if ok {
			body = &hidden.bytes
		}
	} else {
		out = c.Output()
	}
	answered := false
	defer func() {
		if !answered { // a hook or a codec ended the goroutine: the caller must not wait for ever
			c.fillReply(out, nil, hookGone("a hook or the codec of the reply"))
			_ = c.send(out)
		}
	}()
	c.fillReply(out, body, rerr)
	if veto := plugins.PreWriteReply(c); veto != nil {
		rerr = veto
		c.fillReply(out, nil, rerr)
	}
	err := c.send(out)
	if errors.Is(err, socket.ErrPack) {
		rerr, err = c.sendFailure(out, err)
	}
	answered = true
	switch {
	case err == nil:
		if veto := plugins.PostWriteReply(c); veto != nil {
			c.logVeto("PostWriteReply", veto)
		}
	// The caller must not wait for ever.
	case errors.Is(err, socket.ErrQueueTimeout):
		c.link.abort(fmt.Errorf("a reply found no room to be sent: %w", err))
	case errors.Is(err, socket.ErrPack):
		c.link.abort(fmt.Errorf("the pull of %q cannot be answered: %w", clipURI(c.uri), err))
	default:
		c.link.peer.log().Debugf("session %s: the reply to %q was not sent: %v", c.link.sess.Id(), clipURI(c.uri), err)
	}
	c.logExchange(rerr, out)
	if hidden == nil {
		c.tellOver(rerr, out)
		return
	}
	out.Reset()
	hidden.bytes = nil
	hiddenReplies.Put(hidden)
}

// hiddenReply is a reply that nobody but the library sees.
type hiddenReply struct {
	packet socket.Packet
	bytes  []byte // the body, if it came as bytesBody
}

var hiddenReplies = sync.Pool{New: func() any { return new(hiddenReply) }}

// hidesReply reports whether nobody has asked for the packet of the reply, and
// nobody will see it: no hook, no log, and no Proto but ours.
func (c *handlerCtx) hidesReply(plugins *pluginChain) bool {
	return c.output == nil && !plugins.seesReplies() && !c.link.peer.observes && c.link.conn.TakesFrame()
}

// bytesBody returns what reply takes for a body that is b. Where nobody will see it,
// that is no new interface.
func (c *handlerCtx) bytesBody(b []byte) interface{} {
	if !c.hidesReply(c.handler.plugins) {
		return b
	}
	hidden := hiddenReplies.Get().(*hiddenReply)
	hidden.bytes = b
	return hidden
}

// sendFailure answers with why the reply could not be packed.
func (c *handlerCtx) sendFailure(out *socket.Packet, why error) (*Rerror, error) {
	c.link.peer.log().Errorf("session %s: the reply to %q cannot be sent: %v", c.link.sess.Id(), clipURI(c.uri), why)
	rerr := NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), c.tell(why))
	c.fillReply(out, nil, rerr)
	err := c.send(out)
	if errors.Is(err, socket.ErrPack) {
		c.fillBareReply(out, rerr)
		err = c.send(out)
	}
	return rerr, err
}

// fillReply makes out the answer. An error without a body is JSON
// null: programs of 2017 never return from a pull that is answered with an
// empty body.
func (c *handlerCtx) fillReply(out *socket.Packet, body interface{}, rerr *Rerror) {
	out.SetSeq(c.input.Seq())
	out.SetPtype(TypeReply)
	out.SetUri(c.uri)
	out.SetBody(body)
	out.AppendXferPipeFrom(&c.input)
	if out.BodyCodec() == codec.NilCodecId {
		out.SetBodyCodec(c.input.BodyCodec())
	}
	if rerr != nil {
		rerr.setToMeta(out.Meta(), c.link.peer.cfg.rerrorRoom())
		if isNil(body) {
			out.SetBody(nil)
			out.SetBodyCodec(codec.ID_JSON)
		}
	}
}

// fillBareReply makes out an answer that can always be sent: its filters may
// fail, and the URI that it repeats or the meta data that a handler set may
// leave no room. A caller that got no answer would wait for ever.
func (c *handlerCtx) fillBareReply(out *socket.Packet, rerr *Rerror) {
	out.XferPipe().Reset()
	out.SetUri("")
	out.SetMeta(nil)
	rerr.setToMeta(out.Meta(), c.link.peer.cfg.rerrorRoom())
}

// isNil reports whether body is nil or a nil pointer, as it is when a handler
// of pointers returns nil and an error: not every codec takes one.
func isNil(body interface{}) bool {
	v := reflect.ValueOf(body)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func (c *handlerCtx) send(out *socket.Packet) error {
	if c.handler != nil && c.handler.mode == DispatchInline {
		return c.link.sendFromReader(out)
	}
	return c.link.sendFromWorker(out)
}

func (c *handlerCtx) logVeto(hook string, veto *Rerror) {
	c.link.peer.log().Warnf("session %s: %s of %q: %v", c.link.sess.Id(), hook, clipURI(c.uri), veto)
}
