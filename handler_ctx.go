package tp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// handlerCtx is the Context of an exchange that the other side began, or of a
// reply to one that this side began. It is made for one packet and never used
// for another: a handler may keep it.
//
// The reader fills it and hands it to the goroutine that handles it.
type handlerCtx struct {
	sess    *session
	link    *link
	input   socket.Packet
	output  socket.Packet
	handler *Handler
	cmd     *PullCmd // of a reply
	rerr    *Rerror  // what ends the exchange before its handler

	uri    string // as received; Input().Uri() may have been rewritten
	weight int    // what it counts in the line
	inline bool   // it runs in the reader
	start  time.Time
	text   string // of the input's body, for the log
	ctx    context.Context

	queryOf string // the raw query that query was parsed from
	query   url.Values
}

var (
	_ UnknownPullCtx = new(handlerCtx)
	_ PullCtx        = new(handlerCtx)
	_ ReadCtx        = new(handlerCtx)
	_ WriteCtx       = new(handlerCtx)
	_ task           = new(handlerCtx)
)

func newHandlerCtx(l *link) *handlerCtx {
	return &handlerCtx{sess: l.sess, link: l}
}

// prepare is the reader's, when a pull or push has arrived.
func (c *handlerCtx) prepare() {
	c.uri = c.input.Uri()
	c.weight = c.weigh()
	if c.sess.peer.observes {
		c.start = time.Now()
	}
}

// weigh returns about how many bytes of memory the input takes. It may be a
// thousand times what came over the wire, where filters compress.
func (c *handlerCtx) weigh() int {
	p := &c.input
	n := len(p.HeldBody()) + len(p.Uri())
	if p.HasMeta() {
		p.Meta().VisitAll(func(key, value []byte) { n += pairOverhead + len(key) + len(value) })
	}
	return pushOverhead + max(n, int(p.Size()))
}

// run handles a pull or push. It is the task of a worker.
func (c *handlerCtx) run() {
	defer c.link.finish()
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
		c.reply(body, rerr)
	}()
	body, rerr = c.handlePull()
	returned = true
}

func (c *handlerCtx) handlePull() (interface{}, *Rerror) {
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
	return c.handler.call(c, c.input.Body())
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
	if c.input.Ptype() == TypePush {
		c.dropPush(NewRerror(CodeConnClosed, CodeText(CodeConnClosed), "its handler had no turn before the session ended"))
	}
	c.link.finish()
}

func (c *handlerCtx) dropPush(why *Rerror) {
	c.input.ReleaseBody()
	c.sess.peer.log().Warnf("session %s: push %q dropped: %v", c.sess.Id(), clipURI(c.uri), why)
}

// bind decodes the body into a new value of what the handler takes.
func (c *handlerCtx) bind() *Rerror {
	if c.sess.peer.cfg.PrintBody {
		c.text = clip(c.input.HeldBody())
	}
	if c.handler.isUnknown {
		body := c.input.TakeBody()
		c.input.SetBody(&body)
		return nil
	}
	arg := c.handler.newArg()
	c.input.SetBody(arg)
	if _, raw := arg.(*[]byte); !raw && (c.input.BodyCodec() != codec.NilCodecId || len(c.input.HeldBody()) > 0) {
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
	c.sess.peer.log().Errorf("session %s: the encoding or decoding of a body of %q failed: %v\n%s", c.sess.Id(), clipURI(c.uri), err, stack)
	return strings.ReplaceAll(err.Error(), panicked.Error(), "it panicked")
}

// wrongBody is the answer when a hook left a body that the handler does not
// take.
func (c *handlerCtx) wrongBody(want reflect.Type) *Rerror {
	detail := fmt.Sprintf("a plugin left a body of type %T for %s, which takes %s", c.input.Body(), c.handler.name, want)
	c.sess.peer.log().Errorf("session %s: %s", c.sess.Id(), detail)
	return NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), detail)
}

// panicked logs what the recovered value and the stack say, and returns what
// the other side is told, which is neither.
func (c *handlerCtx) panicked(r interface{}) *Rerror {
	if r == nil {
		r = "it ended its goroutine"
	}
	c.sess.peer.log().Errorf("session %s: the handler of %s %q panicked: %v\n%s",
		c.sess.Id(), TypeText(c.input.Ptype()), clipURI(c.input.Uri()), r, debug.Stack())
	return NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), "the handler failed")
}

// reply sends the answer to a pull.
func (c *handlerCtx) reply(body interface{}, rerr *Rerror) {
	plugins := c.sess.peer.plugins
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
		c.sess.peer.log().Debugf("session %s: the reply to %q was not sent: %v", c.sess.Id(), clipURI(c.uri), err)
	}
	c.logExchange(rerr, &c.output)
}

// sendFailure answers with why the reply could not be packed.
func (c *handlerCtx) sendFailure(why error) (*Rerror, error) {
	c.sess.peer.log().Errorf("session %s: the reply to %q cannot be sent: %v", c.sess.Id(), clipURI(c.uri), why)
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
	if c.inline {
		return c.link.sendFromReader(&c.output)
	}
	return c.link.send(&c.output)
}

func (c *handlerCtx) logVeto(hook string, veto *Rerror) {
	c.sess.peer.log().Warnf("session %s: %s of %q: %v", c.sess.Id(), hook, clipURI(c.uri), veto)
}

// Seq returns the sequence number of the input.
func (c *handlerCtx) Seq() uint64 { return c.input.Seq() }

// GetBodyCodec returns the id of the codec of the input's body.
func (c *handlerCtx) GetBodyCodec() byte { return c.input.BodyCodec() }

// GetMeta returns a value of the input's meta data.
func (c *handlerCtx) GetMeta(key string) []byte {
	if !c.input.HasMeta() {
		return nil
	}
	return c.input.Meta().Peek(key)
}

// Uri returns the URI that was routed by.
func (c *handlerCtx) Uri() string { return c.input.Uri() }

// Path returns the path of the URI.
func (c *handlerCtx) Path() string {
	path, _, _ := splitURI(c.input.Uri())
	return path
}

// RawQuery returns what follows '?' in the URI.
func (c *handlerCtx) RawQuery() string {
	_, query, _ := splitURI(c.input.Uri())
	return query
}

// Query returns the parsed query; malformed pairs are left out.
func (c *handlerCtx) Query() url.Values {
	raw := c.RawQuery()
	if c.query == nil || c.queryOf != raw {
		c.queryOf = raw
		c.query, _ = url.ParseQuery(raw)
	}
	return c.query
}

// Public returns the session's map of the user's own values.
func (c *handlerCtx) Public() goutil.Map { return c.sess.Public() }

// PublicLen returns how many values Public holds.
func (c *handlerCtx) PublicLen() int { return c.sess.PublicLen() }

// Ip returns the address of the other side.
func (c *handlerCtx) Ip() string { return c.sess.RemoteIp() }

// Peer returns the peer.
func (c *handlerCtx) Peer() *Peer { return c.sess.peer }

// Session returns the session.
func (c *handlerCtx) Session() Session { return c.sess }

// Input returns the packet that was read.
func (c *handlerCtx) Input() *socket.Packet { return &c.input }

// Output returns the packet that is or will be written.
func (c *handlerCtx) Output() *socket.Packet { return &c.output }

// Context returns the context of the exchange.
func (c *handlerCtx) Context() context.Context {
	switch {
	case c.cmd != nil:
		return c.cmd.Context()
	case c.ctx != nil:
		return c.ctx
	case c.input.Ptype() == TypePush:
		return c.link.contextOf(&c.link.pushCtx)
	}
	return c.link.contextOf(&c.link.pullCtx)
}

// SetContext replaces the context of the exchange.
func (c *handlerCtx) SetContext(ctx context.Context) {
	if c.cmd != nil {
		c.cmd.SetContext(ctx)
		return
	}
	c.ctx = ctx
}

// SetBodyCodec sets the codec of the reply's body.
func (c *handlerCtx) SetBodyCodec(codecId byte) { c.output.SetBodyCodec(codecId) }

// SetMeta sets a value of the reply's meta data.
func (c *handlerCtx) SetMeta(key, value string) { c.output.Meta().Set(key, value) }

// AddXferPipe adds filters to those of the pull for the reply.
func (c *handlerCtx) AddXferPipe(filterId ...byte) {
	if err := c.output.XferPipe().Append(filterId...); err != nil {
		panic(err)
	}
}

// InputBodyBytes returns the body of the input as it arrived.
func (c *handlerCtx) InputBodyBytes() []byte {
	if body, ok := c.input.Body().(*[]byte); ok && body != nil {
		return *body
	}
	return nil
}

// Bind decodes the body of the input into v.
func (c *handlerCtx) Bind(v interface{}) (bodyCodec byte, err error) {
	_, err = c.Unmarshal(c.InputBodyBytes(), v)
	return c.input.BodyCodec(), err
}

// Unmarshal decodes b, which is in the codec of the input's body, into v.
func (c *handlerCtx) Unmarshal(b []byte, v interface{}, print ...bool) (codecName string, err error) {
	p := socket.NewPacket(socket.WithBodyCodec(c.input.BodyCodec()), socket.WithBody(v))
	if cd, err := codec.Get(c.input.BodyCodec()); err == nil {
		codecName = cd.Name()
	}
	if err = p.UnmarshalBody(b); err == nil && len(print) > 0 && print[0] {
		c.sess.peer.log().Infof("session %s: %s %q: body in codec %q: %s", c.sess.Id(), TypeText(c.input.Ptype()), clipURI(c.uri), codecName, clip(b))
	}
	return codecName, err
}

// splitURI parts a URI into path and query. Only one that is not plain goes
// through url.Parse.
func splitURI(uri string) (path, query string, err error) {
	path, query, _ = strings.Cut(uri, "?")
	if strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "%#") {
		return path, query, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", err
	}
	return u.Path, u.RawQuery, nil
}
