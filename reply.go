package tp

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// reply sends the answer to a pull.
func (c *handlerCtx) reply(body interface{}, rerr *Rerror) {
	plugins := c.link.sess.peer.plugins
	if c.handler != nil {
		plugins = c.handler.plugins
	}
	answered := false
	defer func() {
		if !answered { // a hook or a codec ended the goroutine: the caller must not wait for ever
			c.fillReply(nil, hookGone("a hook or the codec of the reply"))
			_ = c.send()
		}
	}()
	c.fillReply(body, rerr)
	if veto := plugins.PreWriteReply(c); veto != nil {
		rerr = veto
		c.fillReply(nil, rerr)
	}
	err := c.send()
	if errors.Is(err, socket.ErrPack) {
		rerr, err = c.sendFailure(err)
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
		c.link.sess.peer.log().Debugf("session %s: the reply to %q was not sent: %v", c.link.sess.Id(), clipURI(c.uri), err)
	}
	c.logExchange(rerr, &c.output)
}

// sendFailure answers with why the reply could not be packed.
func (c *handlerCtx) sendFailure(why error) (*Rerror, error) {
	c.link.sess.peer.log().Errorf("session %s: the reply to %q cannot be sent: %v", c.link.sess.Id(), clipURI(c.uri), why)
	rerr := NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), c.tell(why))
	c.fillReply(nil, rerr)
	err := c.send()
	if errors.Is(err, socket.ErrPack) {
		c.fillBareReply(rerr)
		err = c.send()
	}
	return rerr, err
}

// fillReply makes the output the answer. An error without a body is JSON
// null: programs of 2017 never return from a pull that is answered with an
// empty body.
func (c *handlerCtx) fillReply(body interface{}, rerr *Rerror) {
	out := &c.output
	out.SetSeq(c.input.Seq())
	out.SetPtype(TypeReply)
	out.SetUri(c.uri)
	out.SetBody(body)
	out.AppendXferPipeFrom(&c.input)
	if out.BodyCodec() == codec.NilCodecId {
		out.SetBodyCodec(c.input.BodyCodec())
	}
	if rerr != nil {
		rerr.SetToMeta(out.Meta())
		if isNil(body) {
			out.SetBody(nil)
			out.SetBodyCodec(codec.ID_JSON)
		}
	}
}

// fillBareReply makes the output an answer that can always be sent: its
// filters may fail, and the URI that it repeats or the meta data that a
// handler set may leave no room. A caller that got no answer would wait for
// ever.
func (c *handlerCtx) fillBareReply(rerr *Rerror) {
	c.output.XferPipe().Reset()
	c.output.SetUri("")
	c.output.SetMeta(nil)
	rerr.SetToMeta(c.output.Meta())
}

// isNil reports whether body is nil or a nil pointer, as it is when a handler
// of pointers returns nil and an error: not every codec takes one.
func isNil(body interface{}) bool {
	v := reflect.ValueOf(body)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func (c *handlerCtx) send() error {
	if c.handler != nil && c.handler.mode == DispatchInline {
		return c.link.sendFromReader(&c.output)
	}
	return c.link.send(&c.output)
}

func (c *handlerCtx) logVeto(hook string, veto *Rerror) {
	c.link.sess.peer.log().Warnf("session %s: %s of %q: %v", c.link.sess.Id(), hook, clipURI(c.uri), veto)
}
