package httproto

import (
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"strconv"
	"unicode/utf8"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

// maxSent is how many requests may have no response: a server that reads, and never
// answers, would have this side note them for ever, also those of pushes and of pulls that
// were given up.
const maxSent = 1 << 16

// sent is a request of this side that waits for its response.
type sent struct {
	seq    uint64
	uri    string
	isPush bool
	isHead bool
}

// packRequest writes a pull or a push as a request.
func (h *proto) packRequest(p *socket.Packet) error {
	uri := p.Uri()
	if uri == "" || uri[0] != '/' {
		return fmt.Errorf("%w: the URI %.64q does not begin with '/'", ErrNotCarried, uri)
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("%w: its URI has the byte %#02x: encode it as %%XX", ErrNotCarried, c)
		}
	}
	h.mu.Lock()
	unanswered := len(h.sent)
	h.mu.Unlock()
	if unanswered == maxSent {
		return fmt.Errorf("%w: %d requests have no response yet", ErrNotCarried, unanswered)
	}
	method := http.MethodPost
	if p.HasMeta() && p.Meta().Has(keyMethod) {
		if method = string(p.Meta().Peek(keyMethod)); !isTokens(method) {
			return fmt.Errorf("%w: the method %.32q", ErrNotCarried, method)
		}
	}
	var body []byte
	var err error
	if p.Body() != nil || method == http.MethodPost {
		if body, err = p.MarshalBody(); err != nil {
			return err
		}
	}
	head := make([]byte, 0, 256)
	head = append(append(append(append(head, method...), ' '), uri...), " HTTP/1.1\r\n"...)
	if !p.HasMeta() || !p.Meta().Has("Host") {
		head = append(append(append(head, "Host: "...), h.host()...), "\r\n"...)
	}
	if p.Ptype() == protometa.Push {
		head = append(head, keyType+": push\r\n"...)
	}
	if ids := p.Filters(); len(ids) > 0 && len(body) > 0 {
		codings := codingsOf(ids)
		head = append(append(append(head, "Content-Encoding: "...), codings...), "\r\nAccept-Encoding: "...)
		head = append(append(head, codings...), "\r\n"...)
		if body, err = filtered(body, ids, p.SizeLimit()); err != nil {
			return err
		}
	}
	media := ""
	if len(body) > 0 || method == http.MethodPost && p.BodyCodec() != codec.NilCodecId {
		media = mediaOf(p.BodyCodec())
	}
	if head, err = appendFields(head, p, media, true); err != nil {
		return err
	}
	if len(body) > 0 || method == http.MethodPost {
		head = append(head, "Content-Length: "...)
		head = strconv.AppendInt(head, int64(len(body)), 10)
		head = append(head, "\r\n"...)
	}
	head = append(head, "\r\n"...)
	if err := p.SetSize(uint32(min(len(head)+len(body), math.MaxUint32))); err != nil {
		return err
	}
	if _, err := h.rw.Write(head); err != nil {
		return err
	}
	if _, err := h.rw.Write(body); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, sent{p.Seq(), uri, p.Ptype() == protometa.Push, method == http.MethodHead})
	return nil
}

// host returns the address of the server, for those who do not say which they mean.
func (h *proto) host() string {
	if h.stream == nil {
		return ""
	}
	host := h.stream.RemoteAddr().String()
	for i := range len(host) {
		if c := host[i]; !isToken(c) && c != ':' && c != '[' && c != ']' {
			return "localhost" // such as the path of a unix conn
		}
	}
	return host
}

// appendFields appends the packet's meta data as headers, and its Content-Type, for which
// that of the meta data goes first if that may be.
func appendFields(b []byte, p *socket.Packet, media string, ownMedia bool) (_ []byte, err error) {
	if p.HasMeta() {
		p.Meta().VisitAll(func(key, value []byte) {
			name := textproto.CanonicalMIMEHeaderKey(string(key))
			switch {
			case err != nil:
				return
			case name == protometa.CapsKey || name == protometa.ErrorKey || name == keyMethod || name == keyType:
				return
			case !isTokens(name):
				err = fmt.Errorf("%w: the key %.64q in its meta data is no name of a header", ErrNotCarried, key)
				return
			case isReserved[name]:
				err = fmt.Errorf("%w: the key %q in its meta data belongs to HTTP itself", ErrNotCarried, key)
				return
			case !isFieldValue(value):
				err = fmt.Errorf("%w: the value of %q in its meta data has bytes that no header has", ErrNotCarried, key)
				return
			case name == "Content-Type":
				if !ownMedia || media == "" {
					return
				}
				media = string(value)
				return
			}
			b = append(append(append(append(b, key...), ": "...), value...), "\r\n"...)
		})
	}
	if err != nil {
		return nil, err
	}
	if media != "" {
		b = append(append(append(b, "Content-Type: "...), media...), "\r\n"...)
	}
	return b, nil
}

// unpackResponse reads the rest of a response. It reports true if that is none for the
// user.
func (h *proto) unpackResponse(p *socket.Packet, m *message) (again bool, err error) {
	if m.status == http.StatusSwitchingProtocols {
		return false, fmt.Errorf("%w: the server wants to speak something else", socket.ErrProtoUnmatch)
	}
	if m.status < 200 {
		return true, nil
	}
	h.mu.Lock()
	if len(h.sent) == 0 {
		h.mu.Unlock()
		return false, fmt.Errorf("%w: a response %d to no request", socket.ErrMalformed, m.status)
	}
	request := h.sent[0]
	if h.sent = h.sent[1:]; len(h.sent) == 0 {
		h.sent = nil
	}
	h.mu.Unlock()
	if m.minor == 0 && !m.keepAlive || m.length < 0 && !m.chunked {
		m.close = m.close || !m.hasNoBody(request.isHead)
	}
	if m.hasNoBody(request.isHead) {
		m.length, m.chunked, m.encodings = 0, false, nil
	}
	h.ended = m.close
	if request.isPush {
		return true, clientError(h.dropBody(p, m))
	}
	p.SetSeq(request.seq)
	p.SetPtype(protometa.Reply)
	p.SetUri(request.uri)
	ids, err := filtersOf(m.encodings)
	if err == nil {
		err = p.SetFilters(ids)
	}
	if err == nil {
		err = h.readBody(p, m, func(body []byte) []byte { return m.takeContent(p, body) })
	}
	return false, clientError(err)
}

func (m *message) hasNoBody(isHead bool) bool {
	return isHead || m.status == http.StatusNoContent || m.status == http.StatusNotModified
}

// takeContent sets the codec of the body of a response, and makes an error of one that is
// no success.
func (m *message) takeContent(p *socket.Packet, body []byte) []byte {
	if m.status < 300 {
		if len(body) > 0 || m.contentType != "" {
			id, known := codecOf(m.contentType, body)
			if !known {
				p.Meta().Set("Content-Type", m.contentType)
			}
			p.SetBodyCodec(id)
		}
		return body
	}
	e, err := protometa.Parse(body)
	if err != nil {
		e = protometa.Error{Code: int32(m.status), Message: m.reason}
		if e.Message == "" {
			e.Message = http.StatusText(m.status)
		}
		if utf8.Valid(body) {
			e.Detail = string(body[:min(len(body), maxDetail)])
		}
	}
	e.SetTo(p.Meta())
	p.SetBodyCodec(codec.ID_JSON)
	return nil
}

// maxDetail is how much of what a server says to an error becomes its detail.
const maxDetail = 1 << 10
