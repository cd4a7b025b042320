package tp

import (
	"context"
	"net/url"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/socket"
)

// The faces of an exchange's Context. One exchange has one Context, and no
// other exchange ever has the same: a handler may keep it, and what it gives
// out. It is not safe for concurrent use, but for Session and Peer.
type (
	// PushCtx is what the handler of a push may ask. Controllers of pushes
	// embed it.
	PushCtx interface {
		// Context ends when the session does, for a push after those that
		// arrived before it have been handled. Its cause is ErrConnClosed. It is
		// made only when it is asked for.
		Context() context.Context
		// Seq returns the sequence number.
		Seq() uint64
		// GetBodyCodec returns the id of the codec of the body that came.
		GetBodyCodec() byte
		// GetMeta returns a value of the meta data that came, or nil.
		GetMeta(key string) []byte
		// Uri returns the URI, as a plugin may have rewritten it.
		Uri() string
		// Path returns the URI's path.
		Path() string
		// RawQuery returns what follows '?' in the URI.
		RawQuery() string
		// Query returns the URI's query, parsed; malformed pairs are left out.
		Query() url.Values
		// Public returns the session's map of the user's own values.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
		// Ip returns the address of the other side, with its port as in
		// teleport v3.
		Ip() string
		// Peer returns the peer.
		Peer() *Peer
		// Session returns the session.
		Session() Session
	}

	// PullCtx is what the handler of a pull may ask, and set of the reply.
	// Controllers of pulls embed it. Its Context also ends when nobody waits for
	// the reply any more: the other side has closed, its caller has given up (the
	// cause is context.Canceled), or the caller's deadline has passed, which is
	// that of the Context; and when the handler has returned.
	PullCtx interface {
		PushCtx
		// SetBodyCodec sets the codec of the reply's body. By default it is the
		// pull's.
		SetBodyCodec(byte)
		// SetMeta sets a value of the reply's meta data.
		SetMeta(key, value string)
		// AddXferPipe adds transfer filters to those of the pull, with which
		// the reply goes. With one that is not registered the reply is a 500,
		// which says which it is.
		AddXferPipe(filterId ...byte)
	}

	// UnknownPushCtx is what the handler of unknown pushes may ask.
	UnknownPushCtx interface {
		PushCtx
		// InputBodyBytes returns the encoded body. It belongs to the caller.
		InputBodyBytes() []byte
		// Bind decodes the body into v, a pointer, and returns the codec's id.
		Bind(v interface{}) (bodyCodec byte, err error)
		// Unmarshal decodes b, which is in the codec of the body, into v, a
		// pointer, and returns the codec's name. With print it also logs b, cut
		// at 4 KiB.
		Unmarshal(b []byte, v interface{}, print ...bool) (codecName string, err error)
	}

	// UnknownPullCtx is what the handler of unknown pulls may ask, and set of
	// the reply.
	UnknownPullCtx interface {
		UnknownPushCtx
		// SetBodyCodec sets the codec of the reply's body. By default it is the
		// pull's.
		SetBodyCodec(byte)
		// SetMeta sets a value of the reply's meta data.
		SetMeta(key, value string)
		// AddXferPipe adds transfer filters to those of the pull.
		AddXferPipe(filterId ...byte)
	}

	// ReadCtx is what a plugin may ask of a packet that is read.
	ReadCtx interface {
		// Input returns the packet.
		Input() *socket.Packet
		// Context returns the context of the exchange.
		Context() context.Context
		// SetContext replaces the context of the exchange, for the hooks that
		// follow and for the handler. What replaces it should be made from it.
		SetContext(ctx context.Context)
		// Public returns the session's map of the user's own values.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
		// Ip returns the address of the other side, with its port.
		Ip() string
		// Peer returns the peer.
		Peer() *Peer
		// Session returns the session.
		Session() Session
	}

	// WriteCtx is what a plugin may ask of a packet that is written.
	WriteCtx interface {
		// Output returns the packet.
		Output() *socket.Packet
		// Context returns the context of the exchange.
		Context() context.Context
		// SetContext replaces the context of the exchange, for the hooks that
		// follow. It does not change the bound of a pull under way.
		SetContext(ctx context.Context)
		// Public returns the session's map of the user's own values.
		Public() goutil.Map
		// PublicLen returns how many values Public holds.
		PublicLen() int
		// Ip returns the address of the other side, with its port.
		Ip() string
		// Peer returns the peer.
		Peer() *Peer
		// Session returns the session.
		Session() Session
	}
)
