package tp

import (
	"context"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/uri"
	"github.com/henrylee2cn/teleport/socket"
)

// handlerCtx is the Context of an exchange that the other side began, or, for
// PreReadHeader, of any packet. It is made for one packet and never used for
// another: a handler may keep it.
//
// The reader fills it and hands it to the goroutine that handles it.
type handlerCtx struct {
	link    *link
	input   socket.Packet
	output  *socket.Packet // nil as long as nobody has asked for it
	handler *Handler
	rerr    *Rerror // what ends the exchange before its handler

	bytes []byte // the args of a handler that takes them encoded
	uri   string // as received; Input().Uri() may have been rewritten
	more  atomic.Pointer[handlerMore]

	returned atomic.Bool // the exchange is over
	heldKiB  int32       // see link.hold
}

// handlerMore is what few handlers need.
type handlerMore struct {
	ctx      context.Context // nil unless it was replaced
	query    *parsedQuery
	deadline time.Time               // until when the caller of a pull waits; zero is for ever
	end      atomic.Pointer[pullEnd] // nil as long as nobody has asked for it

	// If exchanges may be logged, or plugins see them when they are over.
	start   time.Duration // since processStart
	printed *printedBodies
}

// needMore may be called beside Context: a handler's goroutine waits for that.
func (c *handlerCtx) needMore() *handlerMore {
	if more := c.more.Load(); more != nil {
		return more
	}
	c.more.CompareAndSwap(nil, new(handlerMore))
	return c.more.Load()
}

// parsedQuery is a query, parsed.
type parsedQuery struct {
	raw    string
	values url.Values
}

var (
	_ UnknownPullCtx = new(handlerCtx)
	_ PullCtx        = new(handlerCtx)
	_ ReadCtx        = new(handlerCtx)
	_ WriteCtx       = new(handlerCtx)
	_ task           = new(handlerCtx)
)

func newHandlerCtx(l *link) *handlerCtx {
	return &handlerCtx{link: l}
}

// prepare is the reader's, when a pull or push has arrived.
func (c *handlerCtx) prepare() {
	c.uri = c.input.Uri()
	if c.link.peer.observes || c.link.peer.plugins.seesExchanges() {
		c.needMore().start = sinceStart()
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
	path, _, _ := uri.Split(c.input.Uri())
	return path
}

// RawQuery returns what follows '?' in the URI.
func (c *handlerCtx) RawQuery() string {
	_, query, _ := uri.Split(c.input.Uri())
	return query
}

// Query returns the parsed query; malformed pairs are left out.
func (c *handlerCtx) Query() url.Values {
	raw, more := c.RawQuery(), c.needMore()
	if more.query == nil || more.query.raw != raw {
		values, _ := url.ParseQuery(raw)
		more.query = &parsedQuery{raw, values}
	}
	return more.query.values
}

// Public returns the session's map of the user's own values.
func (c *handlerCtx) Public() goutil.Map { return c.link.sess.Public() }

// PublicLen returns how many values Public holds.
func (c *handlerCtx) PublicLen() int { return c.link.sess.PublicLen() }

// Ip returns the address of the other side.
func (c *handlerCtx) Ip() string { return c.link.sess.RemoteIp() }

// Peer returns the peer.
func (c *handlerCtx) Peer() *Peer { return c.link.peer }

// Session returns the session.
func (c *handlerCtx) Session() Session { return c.link.sess }

// Input returns the packet that was read.
func (c *handlerCtx) Input() *socket.Packet { return &c.input }

// Output returns the packet that is or will be written.
func (c *handlerCtx) Output() *socket.Packet {
	if c.output == nil {
		c.output = new(socket.Packet)
	}
	return c.output
}

// Context returns the context of the exchange.
func (c *handlerCtx) Context() context.Context {
	more := c.more.Load()
	switch {
	case more != nil && more.ctx != nil:
		return more.ctx
	case c.input.Ptype() == TypePush:
		return c.link.contextOf(&c.link.pushCtx)
	case c.input.Ptype() != TypePull: // PreReadHeader: there is no exchange yet
		return c.link.contextOf(&c.link.pullCtx)
	}
	return c.link.pullContext(c)
}

// SetContext replaces the context of the exchange.
func (c *handlerCtx) SetContext(ctx context.Context) {
	c.needMore().ctx = ctx
}

// SetBodyCodec sets the codec of the reply's body.
func (c *handlerCtx) SetBodyCodec(codecId byte) { c.Output().SetBodyCodec(codecId) }

// SetMeta sets a value of the reply's meta data.
func (c *handlerCtx) SetMeta(key, value string) { c.Output().Meta().Set(key, value) }

// AddXferPipe adds filters to those of the pull for the reply.
func (c *handlerCtx) AddXferPipe(filterId ...byte) {
	socket.WithXferPipe(filterId...)(c.Output())
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
		c.link.peer.log().Infof("session %s: %s %q: body in codec %q: %s", c.link.sess.Id(), TypeText(c.input.Ptype()), clipURI(c.uri), codecName, clip(b))
	}
	return codecName, err
}
