package jsonproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// object is a packet as it is read. It may be one that went through filters.
type object struct {
	Seq    uint64          `json:"seq"`
	Type   json.RawMessage `json:"type"`
	URI    string          `json:"uri"`
	Meta   json.RawMessage `json:"meta"`
	Error  json.RawMessage `json:"error"`
	Codec  json.RawMessage `json:"codec"`
	Body   json.RawMessage `json:"body"`
	Body64 []byte          `json:"body64"`

	Filters json.RawMessage `json:"filters"`
	Packet  []byte          `json:"packet"`
}

// Unpack reads one line. When the other side sends no more, its pulls are answered first.
func (j *proto) Unpack(p *socket.Packet) error {
	body, err := j.readPacket(p)
	if err == io.EOF {
		j.pulls.Wait(0, answerTime)
	}
	if err != nil {
		return err
	}
	if p.Ptype() == protometa.Pull {
		j.pulls.Begin()
	}
	return p.UnmarshalBody(body)
}

func (j *proto) readPacket(p *socket.Packet) (body []byte, err error) {
	var begun []byte // of a line that has not arrived as a whole
	size := 0
	for {
		b, err := j.ahead.LookAhead()
		if err == io.EOF && size > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		end := bytes.IndexByte(b, '\n') + 1
		n := end
		if n == 0 {
			n = len(b)
		}
		if err := p.SetSize(uint32(min(size+n, math.MaxUint32))); err != nil {
			return nil, err
		}
		line := b[:n]
		if end == 0 || len(begun) > 0 {
			begun = append(begun, line...)
			line = begun
		}
		size += n
		if end > 0 && len(bytes.TrimSpace(line)) > 0 {
			body, err := parseLine(p, line)
			j.ahead.Discard(n)
			return body, err
		}
		j.ahead.Discard(n)
		if end > 0 { // empty, as from a keyboard
			begun, size = nil, 0
			if j.next == nil {
				continue
			}
			if err := j.next(); err != nil {
				return nil, err
			}
		}
	}
}

func parseLine(p *socket.Packet, line []byte) (body []byte, err error) {
	o, err := parseObject(line)
	if err != nil {
		return nil, err
	}
	ids, err := parseFilters(o.Filters)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		if err := p.SetFilters(ids); err != nil {
			return nil, err
		}
		plain, err := p.Unfilter(o.Packet)
		if err != nil {
			return nil, err
		}
		if o, err = parseObject(plain); err != nil {
			return nil, err
		}
		if ids, err = parseFilters(o.Filters); err != nil || len(ids) > 0 {
			return nil, malformed("filters within filters")
		}
	}
	return o.fill(p)
}

func parseObject(b []byte) (*object, error) {
	o := new(object)
	if b = bytes.TrimLeft(b, " \t\r\n"); len(b) == 0 || b[0] != '{' { // null would do, too
		return nil, malformed("a line that is no object: %.64q", b)
	}
	if err := json.Unmarshal(b, o); err != nil {
		return nil, malformed("%w", err)
	}
	return o, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", socket.ErrMalformed, fmt.Errorf(format, args...))
}

// parseFilters parses a list of filters, which may be null. Of one that is too long it
// returns the beginning, which is too long as well.
func parseFilters(list json.RawMessage) (ids []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(list))
	dec.UseNumber()
	switch token, _ := dec.Token(); token {
	case nil:
		return nil, nil
	case json.Delim('['):
	default:
		return nil, malformed("the filters %.32s are no list", list)
	}
	for dec.More() && len(ids) <= xfer.MaxFilters {
		item, _ := dec.Token() // the whole was valid
		text := fmt.Sprint(item)
		if _, isText := item.(string); isText && len(text) == 1 {
			ids = append(ids, text[0])
			continue
		}
		id, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return nil, malformed("the filter %.32s", text)
		}
		ids = append(ids, byte(id))
	}
	return ids, nil
}

// fill fills the packet but for its body, which it returns.
func (o *object) fill(p *socket.Packet) (body []byte, err error) {
	ptype, err := o.ptype()
	if err != nil {
		return nil, err
	}
	p.SetSeq(o.Seq)
	p.SetPtype(ptype)
	p.SetUri(o.URI)
	if len(o.Meta) > 0 {
		if err := parseMeta(p, o.Meta); err != nil {
			return nil, err
		}
	}
	if len(o.Error) > 0 && string(o.Error) != "null" {
		e, err := protometa.Parse(o.Error)
		if err != nil {
			return nil, malformed("the error: %w", err)
		}
		e.SetTo(p.Meta())
	}
	return o.body(p)
}

// ptype returns the type: a name, a number, or none for a pull.
func (o *object) ptype() (byte, error) {
	if len(o.Type) == 0 {
		return protometa.Pull, nil
	}
	var name string
	if o.Type[0] == '"' && json.Unmarshal(o.Type, &name) == nil {
		for i, known := range types {
			if name == known {
				return byte(i + 1), nil
			}
		}
	}
	n, err := strconv.ParseUint(string(o.Type), 10, 8)
	if err != nil {
		return 0, malformed("the type %.32s", o.Type)
	}
	return byte(n), nil
}

// parseMeta adds an object, of which each value is text, a number, a boolean or a list of
// these, or text in the form of a query.
func parseMeta(p *socket.Packet, b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	token, _ := dec.Token()
	switch token := token.(type) {
	case nil:
		return nil
	case string:
		if !p.MetaFits(len(token)) { // it is refused as one long value, which costs less
			p.Meta().Set("", token)
			return nil
		}
		p.Meta().Parse(token)
		return nil
	case json.Delim:
		if token != '{' {
			return malformed("the meta data is a list")
		}
	default:
		return malformed("the meta data is %v", token)
	}
	m := metaReader{p: p}
	for dec.More() && m.fits() {
		key, _ := dec.Token() // the whole was valid
		value, _ := dec.Token()
		if value == json.Delim('[') {
			for dec.More() && m.fits() {
				item, _ := dec.Token()
				if err := m.add(key, item); err != nil {
					return err
				}
			}
			if m.fits() {
				_, _ = dec.Token()
			}
			continue
		}
		if err := m.add(key, value); err != nil {
			return err
		}
	}
	return nil
}

// metaReader adds pairs to the meta data of a packet.
type metaReader struct {
	p    *socket.Packet
	size int // the least that their encoding takes
}

// fits reports whether the packet is not refused already: a pair of a list may be of 3
// bytes, and takes 50 in memory.
func (m *metaReader) fits() bool { return m.p.MetaFits(max(m.size-1, 0)) }

func (m *metaReader) add(key, value json.Token) error {
	var text string
	switch value := value.(type) {
	case string:
		text = value
	case json.Number:
		text = value.String()
	case bool:
		text = strconv.FormatBool(value)
	default:
		return malformed("the meta data has no text for %.64q", key)
	}
	m.p.Meta().Add(key.(string), text)
	m.size += len(key.(string)) + len(text) + 2
	return nil
}

// body returns the encoded body, and sets its codec.
func (o *object) body(p *socket.Packet) ([]byte, error) {
	id, err := o.codec()
	if err != nil {
		return nil, err
	}
	p.SetBodyCodec(id)
	switch {
	case o.Body == nil:
		return o.Body64, nil
	case o.Body64 != nil:
		return nil, malformed("body and body64")
	case id == codec.ID_JSON:
		return o.Body, nil
	}
	var text string
	if o.Body[0] != '"' {
		return nil, malformed("the body is no text, which codec %d needs", id)
	}
	if err := json.Unmarshal(o.Body, &text); err != nil {
		return nil, malformed("the body: %w", err)
	}
	return []byte(text), nil
}

// codec returns the id of the body's codec: of a name, a number, or none, which is JSON
// for a body in JSON. A name that nobody has here is that of no codec.
func (o *object) codec() (byte, error) {
	switch {
	case len(o.Codec) == 0 && o.Body != nil:
		return codec.ID_JSON, nil
	case len(o.Codec) == 0:
		return codec.NilCodecId, nil
	}
	var name string
	if o.Codec[0] == '"' && json.Unmarshal(o.Codec, &name) == nil {
		if c, err := codec.GetByName(name); err == nil {
			return c.Id(), nil
		}
		return codec.NilCodecId, nil
	}
	id, err := strconv.ParseUint(string(o.Codec), 10, 8)
	if err != nil {
		return 0, malformed("the codec %.32s", o.Codec)
	}
	return byte(id), nil
}
