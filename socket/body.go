package socket

import (
	"errors"
	"fmt"

	"github.com/henrylee2cn/teleport/codec"
)

// Body is the part of a Packet that carries the user's value.
type Body interface {
	// BodyCodec returns the id of the body's codec.
	BodyCodec() byte
	// SetBodyCodec sets the id of the body's codec.
	SetBodyCodec(bodyCodec byte)
	// Body returns the body.
	Body() interface{}
	// SetBody sets the body.
	SetBody(body interface{})
	// SetNewBody sets the function that makes the body to decode into.
	SetNewBody(newBodyFunc NewBodyFunc)
	// MarshalBody returns the encoded body.
	MarshalBody() ([]byte, error)
	// UnmarshalNewBody decodes into a body made by the NewBodyFunc.
	UnmarshalNewBody(bodyBytes []byte) error
	// UnmarshalBody decodes into the body, or one made by the NewBodyFunc.
	UnmarshalBody(bodyBytes []byte) error
}

// ErrUndecodable says that the body of a packet cannot be decoded. What comes
// after the packet can still be read. The errors that are returned wrap it: use
// errors.Is.
var ErrUndecodable = errors.New("socket: cannot decode a body")

// NewBodyFunc makes the value to decode a body into, by what the header says.
// Returning nil means that the body is not wanted.
type NewBodyFunc func(seq uint64, ptype byte, uri string) interface{}

// BodyCodec returns the id of the body's codec; 0 is none.
func (p *Packet) BodyCodec() byte { return p.bodyCodec }

// SetBodyCodec sets the id of the body's codec.
func (p *Packet) SetBodyCodec(bodyCodec byte) { p.bodyCodec = bodyCodec }

// Body returns the body.
func (p *Packet) Body() interface{} { return p.body }

// SetBody sets the body. For a packet to be read it must be a pointer.
func (p *Packet) SetBody(body interface{}) { p.body = body }

// SetNewBody sets the function that makes the body to decode into, for a
// packet to be read.
func (p *Packet) SetNewBody(newBodyFunc NewBodyFunc) { p.needMore().newBodyFunc = newBodyFunc }

// MarshalBody returns the encoded body.
//
// A []byte or *[]byte is the encoded body already, whatever the codec. Any
// other body without a codec gets the one of GetDefaultBodyCodec. A nil body
// is what the codec makes of nil (null in JSON), and empty without a codec.
func (p *Packet) MarshalBody() ([]byte, error) {
	if body, encoded := p.encodedBody(); encoded {
		return body, nil
	}
	return p.AppendBody(nil)
}

// AppendBody appends the encoded body to dst: see MarshalBody. After an error
// what it returns is of no use.
func (p *Packet) AppendBody(dst []byte) ([]byte, error) {
	if body, encoded := p.encodedBody(); encoded {
		return append(dst, body...), nil
	}
	if p.bodyCodec == codec.NilCodecId {
		p.bodyCodec = GetDefaultBodyCodec().Id()
	}
	c, err := codec.Get(p.bodyCodec)
	if err != nil {
		return dst, err
	}
	b, err := marshalAppend(c, dst, p.body)
	if err != nil {
		return dst, unencodable(c, p.body, err)
	}
	return b, nil
}

// It is not inlined, as undecodable: what a codec calls lies on top of their callers'
// frames, which are to be small (doc/adr/0023).
//
//go:noinline
func unencodable(c codec.Codec, body interface{}, err error) error {
	return fmt.Errorf("socket: encode a body of type %T with codec %q: %w", body, c.Name(), err)
}

//go:noinline
func undecodable(c codec.Codec, n int, body interface{}, err error) error {
	return fmt.Errorf("%w of %d bytes with codec %q into %T: %w", ErrUndecodable, n, c.Name(), body, err)
}

// encodedBody returns the body if that is encoded already.
func (p *Packet) encodedBody() (body []byte, encoded bool) {
	switch body := p.body.(type) {
	case nil:
		return nil, p.bodyCodec == codec.NilCodecId
	case []byte:
		return body, true
	case *[]byte:
		if body == nil {
			return nil, true
		}
		return *body, true
	}
	return nil, false
}

// marshalAppend runs code of the user, which may panic.
func marshalAppend(c codec.Codec, dst []byte, v interface{}) (b []byte, err error) {
	defer recoverCodec(&err)
	return codec.MarshalAppend(c, dst, v)
}

// UnmarshalNewBody decodes bodyBytes into a body made by the NewBodyFunc, and
// drops them when there is none.
func (p *Packet) UnmarshalNewBody(bodyBytes []byte) error {
	if p.hold {
		p.keepBody(bodyBytes)
		return nil
	}
	p.body = nil
	return p.UnmarshalBody(bodyBytes)
}

// UnmarshalBody decodes bodyBytes into Body(), or when that is nil into what
// the NewBodyFunc makes; without either they are dropped. A *[]byte gets a
// copy of the bytes, whatever the codec. An empty body changes nothing else. The
// sequence number, type, URI and codec must be set before.
//
// bodyBytes is not used after the call.
func (p *Packet) UnmarshalBody(bodyBytes []byte) error {
	if p.hold {
		p.keepBody(bodyBytes)
		return nil
	}
	if !p.copiesBody() {
		bodyBytes = append([]byte(nil), bodyBytes...)
	}
	return p.decodeBody(bodyBytes)
}

// decodeBody lets the decoded body alias b only if the codec does not copy.
func (p *Packet) decodeBody(b []byte) error {
	if p.body == nil && p.more != nil && p.more.newBodyFunc != nil {
		if err := p.makeBody(); err != nil {
			return err
		}
	}
	switch body := p.body.(type) {
	case nil:
		return nil
	case *[]byte:
		if body != nil {
			*body = append((*body)[:0:0], b...)
		}
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	c, err := codec.Get(p.bodyCodec)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if err := unmarshal(c, b, p.body); err != nil {
		return undecodable(c, len(b), p.body, err)
	}
	return nil
}

// makeBody runs code of the user, which may panic.
func (p *Packet) makeBody() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("socket: the NewBodyFunc panicked: %v", r)
		}
	}()
	p.body = p.more.newBodyFunc(p.seq, p.ptype, p.uri)
	return nil
}

// unmarshal runs code of the user, which may panic.
func unmarshal(c codec.Codec, b []byte, v interface{}) (err error) {
	defer recoverCodec(&err)
	return c.Unmarshal(b, v)
}

func recoverCodec(err *error) {
	if r := recover(); r != nil {
		*err = newPanicError(r)
	}
}

// copiesBody reports whether what is decoded never aliases the bytes.
func (p *Packet) copiesBody() bool {
	c, err := codec.Get(p.bodyCodec)
	return err != nil || codec.CopiesData(c)
}

// HoldBody makes UnmarshalBody and UnmarshalNewBody keep the bytes instead of
// decoding them, so that a goroutine other than the reader can decode them
// later, with DecodeBody. Package tp reads every packet so.
func (p *Packet) HoldBody() { p.hold = true }

// OwnBody says whether the bytes of a held body are to be in memory of their
// own, which DecodeBody can give to a *[]byte as it is. It is wasted on a body
// that is decoded into anything else, and means nothing to one of a frame that
// is large or went through filters.
func (p *Packet) OwnBody(own bool) { p.own = own }

// HeldBody returns the bytes of a held body. They are valid until
// ReleaseBody, DecodeBody or Reset: use TakeBody to keep them.
func (p *Packet) HeldBody() []byte { return p.held }

// DecodeBody decodes a held body as UnmarshalBody would have, and releases it.
func (p *Packet) DecodeBody() error {
	if body, ok := p.body.(*[]byte); ok && body != nil && p.frame == nil && len(p.held) > 0 {
		*body, p.held = p.held, nil
		return nil
	}
	if p.frame != nil && !p.copiesBody() {
		p.frame = nil // what is decoded may alias it: it is the user's now
	}
	err := p.decodeBody(p.held)
	p.ReleaseBody()
	return err
}

// TakeBody returns the bytes of a held body. They belong to the caller.
func (p *Packet) TakeBody() []byte {
	b := p.held
	if b == nil {
		b = []byte{}
	}
	p.held, p.frame = nil, nil
	return b
}

// ReleaseBody gives up a held body without decoding it.
func (p *Packet) ReleaseBody() {
	if p.frame != nil {
		putBuffer(p.frame)
	}
	p.held, p.frame = nil, nil
}

// keepBody holds a copy: a Proto may use its buffer again at once.
func (p *Packet) keepBody(b []byte) {
	p.ReleaseBody()
	if len(b) == 0 {
		return
	}
	if p.own {
		p.held = append([]byte(nil), b...)
		return
	}
	frame := getBuffer(len(b))
	frame.B = append(frame.B, b...)
	p.held, p.frame = frame.B, frame
	p.compact(cap(frame.B))
}

// compactSlack is how much more memory than twice its size a held body may
// pin.
const compactSlack = 1 << 10

// compact copies a held body out of the memory that it pins, if that is much
// more: a body may have to wait for long, and with many others.
func (p *Packet) compact(pinned int) {
	if pinned <= 2*len(p.held)+compactSlack {
		return
	}
	held := append([]byte{}, p.held...) // an empty body stays one
	p.ReleaseBody()
	p.held = held
}

// adoptBody is UnmarshalBody for our own Protos, which hand over the pooled
// frame that body is a part of. A nil frame means that body is not pooled.
// Pinned is how much memory body is a part of, pooled or not.
func (p *Packet) adoptBody(body []byte, frame *buffer, pinned int) error {
	p.ReleaseBody()
	p.held, p.frame = body, frame
	if p.hold {
		p.compact(pinned)
		return nil
	}
	return p.DecodeBody()
}
