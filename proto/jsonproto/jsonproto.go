// Package jsonproto is a packet format for scripts and browsers: each packet is one JSON
// object in a line of its own. Both sides of a connection must use it:
//
//	peer.ServeListener(lis, jsonproto.NewProtoFunc())
//
// So a pull can be written by hand:
//
//	$ echo '{"uri":"/math/add","body":[1,2]}' | nc -N 127.0.0.1 9090
//	{"seq":0,"type":"reply","uri":"/math/add","body":3}
//
// It carries all that a packet of this library may be. The fields are listed in
// doc/jsonproto.md.
package jsonproto

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/lookahead"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/underway"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// ErrNotCarried says that a packet is nothing that the format can carry. The errors of
// Pack that are returned wrap it: use errors.Is.
var ErrNotCarried = errors.New("jsonproto: the format cannot carry the packet")

// answerTime is how long pulls have to be answered once the other side has said that it
// sends no more, as a script whose input has ended does.
const answerTime = 10 * time.Second

// types are the names of the packet types from 1 on.
var types = []string{"pull", "reply", "push", "cancel", "goaway", "ping", "pong"}

// proto packs and unpacks. Its AppendFrame may be called by many goroutines at once,
// Unpack by one.
type proto struct {
	rw    io.ReadWriter
	ahead lookahead.Reader
	next  func() error   // that of socket.Stream; nil without one
	pulls underway.Pulls // of the other side
}

var (
	_ socket.FrameAppender = new(proto)
	_ socket.FrameWatcher  = new(proto)
	_ io.Closer            = new(proto)
)

// NewProtoFunc returns the ProtoFunc of the format.
func NewProtoFunc() socket.ProtoFunc {
	return func(rw io.ReadWriter) socket.Proto {
		j := &proto{rw: rw, ahead: lookahead.New(rw)}
		if s, ok := rw.(socket.Stream); ok {
			j.next = s.NextPacket
		}
		return j
	}
}

// Version returns '{', with which each packet begins, and "json".
func (j *proto) Version() (byte, string) { return '{', "json" }

// Close ends a wait of Unpack.
func (j *proto) Close() error {
	j.pulls.Close()
	return nil
}

// Pack writes the packet's line with one Write. On a Conn, AppendFrame is used instead.
func (j *proto) Pack(p *socket.Packet) error {
	line, err := j.AppendFrame(nil, p)
	if err != nil {
		return err
	}
	if _, err = j.rw.Write(line); err == nil {
		j.FrameQueued(p)
	}
	return err
}

// AppendFrame appends the packet's line to dst.
func (j *proto) AppendFrame(dst []byte, p *socket.Packet) ([]byte, error) {
	b, err := appendLine(dst, p)
	if err != nil {
		return dst, err
	}
	if err := p.SetSize(uint32(min(len(b)-len(dst), math.MaxUint32))); err != nil {
		return dst, err
	}
	return b, nil
}

// FrameQueued counts the replies, for the session must not end before they are queued.
func (j *proto) FrameQueued(p *socket.Packet) {
	if p.Ptype() == protometa.Reply {
		j.pulls.End()
	}
}

func appendLine(dst []byte, p *socket.Packet) ([]byte, error) {
	ids := p.Filters()
	if len(ids) == 0 {
		b, err := appendPacket(dst, p)
		return append(b, '\n'), err
	}
	filtered, err := p.AppendFiltered(nil, appendPacket)
	if err != nil {
		return nil, err
	}
	b := append(dst, `{"filters":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		if id > ' ' && id < 0x7f {
			b = appendText(b, string(rune(id)))
		} else {
			b = strconv.AppendUint(b, uint64(id), 10)
		}
	}
	b = append(b, `],"packet":"`...)
	b = base64.StdEncoding.AppendEncode(b, filtered)
	return append(b, '"', '}', '\n'), nil
}

// appendPacket appends the object of a packet without its filters.
func appendPacket(b []byte, p *socket.Packet) ([]byte, error) {
	body, err := p.MarshalBody() // first: it may choose the codec
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(p.Uri()) {
		return nil, fmt.Errorf("%w: the URI %.64q is no UTF-8", ErrNotCarried, p.Uri())
	}
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, p.Seq(), 10)
	b = append(b, `,"type":`...)
	if n := int(p.Ptype()); n > 0 && n <= len(types) {
		b = appendText(b, types[n-1])
	} else {
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	if p.Uri() != "" {
		b = appendText(append(b, `,"uri":`...), p.Uri())
	}
	if p.HasMeta() {
		b = appendMeta(b, p)
	}
	return append(appendBody(b, p.BodyCodec(), body), '}'), nil
}

func appendMeta(b []byte, p *socket.Packet) []byte {
	meta := p.Meta()
	if p.Ptype() == protometa.Reply && protometa.Has(meta) {
		b = append(append(b, `,"error":`...), protometa.From(meta).JSON()...)
		meta = protometa.Without(meta, protometa.ErrorKey)
	}
	if meta.Len() == 0 {
		return b
	}
	b = append(b, `,"meta":`...)
	groups, isText := groupMeta(meta)
	if !isText {
		return appendText(b, meta.String())
	}
	for i, g := range groups {
		b = appendText(append(b, "{,"[min(i, 1)]), g.key)
		b = append(b, ':')
		if len(g.values) == 1 {
			b = appendText(b, g.values[0])
			continue
		}
		for i, value := range g.values {
			b = appendText(append(b, "[,"[min(i, 1)]), value)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// group is a key of meta data with its values.
type group struct {
	key    string
	values []string
}

// groupMeta returns the pairs by their keys, unless there is one that is no UTF-8.
func groupMeta(meta *utils.Args) (groups []group, isText bool) {
	places := make(map[string]int, meta.Len())
	isText = true
	meta.VisitAll(func(key, value []byte) {
		isText = isText && utf8.Valid(key) && utf8.Valid(value)
		at, ok := places[string(key)]
		if !ok {
			at = len(groups)
			groups = append(groups, group{key: string(key)})
			places[groups[at].key] = at
		}
		groups[at].values = append(groups[at].values, string(value))
	})
	return groups, isText
}

// appendBody appends the body as JSON if it is that, as text if it is that, and else in
// base64.
func appendBody(b []byte, codecID byte, body []byte) []byte {
	isJSON := codecID == codec.ID_JSON && len(body) > 0 && json.Valid(body)
	if isJSON {
		b = append(b, `,"body":`...)
		if bytes.IndexByte(body, '\n') < 0 {
			return append(b, body...)
		}
		compact := bytes.NewBuffer(b)
		_ = json.Compact(compact, body) // it is valid
		return compact.Bytes()
	}
	if codecID != codec.NilCodecId || len(body) > 0 {
		b = append(b, `,"codec":`...)
		if c, err := codec.Get(codecID); err == nil && utf8.ValidString(c.Name()) {
			b = appendText(b, c.Name())
		} else {
			b = strconv.AppendUint(b, uint64(codecID), 10)
		}
	}
	switch {
	case len(body) == 0:
	case codecID != codec.ID_JSON && utf8.Valid(body):
		b = appendText(append(b, `,"body":`...), body)
	default:
		b = append(b, `,"body64":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, body), '"')
	}
	return b
}

// appendText appends text that is UTF-8 as a JSON string.
func appendText[T string | []byte](b []byte, text T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
