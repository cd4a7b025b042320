package httproto

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/xfer"
)

// allowed are the methods that there are.
const allowed = "GET, HEAD, POST, OPTIONS"

// gzipFrom is the least size in bytes of a body that is compressed only because the client
// takes that.
const gzipFrom = 1 << 10

// slot is the place of a request's response, for responses leave in the order of the
// requests.
type slot struct {
	head, close  bool
	keepAlive    bool // of HTTP/1.0
	gzip         bool // the client takes it, and it is allowed here
	unknownMedia bool
	status       int  // not 0: without body, and of no error
	allow        bool // the methods are told
	done         bool
	bytes        []byte // of a response that is done before its turn
}

// begin gives a request the next place.
func (h *proto) begin(s *slot) (seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots = append(h.slots, *s)
	h.pulls.Begin()
	return h.first + uint64(len(h.slots)) - 1
}

// unpackRequest reads the rest of a request. It reports true if that is none for the
// user.
func (h *proto) unpackRequest(p *socket.Packet, m *message, s *slot) (again bool, err error) {
	s.head = m.method == http.MethodHead
	s.close, s.keepAlive = m.close, m.minor == 0 && !m.close
	h.ended = m.close
	if m.ptype == protometa.Push {
		s.status = http.StatusAccepted
	}
	if err := m.parseTarget(p); err != nil {
		return false, err
	}
	if err := h.checkMethod(p, m, s); err != nil {
		return false, err
	}
	if m.method == http.MethodOptions {
		s.status, s.allow = http.StatusNoContent, true
		if err := h.sayContinue(p, m); err != nil {
			return false, err
		}
		if err := h.dropBody(p, m); err != nil {
			return false, requestError(err)
		}
		return true, h.answer(reply(h.begin(s)))
	}
	if m.takesGzip {
		s.gzip = p.SetFilters([]byte{gzipID}) == nil
		p.XferPipe().Reset()
	}
	if err := h.setFilters(p, m); err != nil {
		return false, err
	}
	if err := h.sayContinue(p, m); err != nil {
		return false, err
	}
	err = h.readRequestBody(p, m, s)
	if err != nil && !errors.Is(err, socket.ErrUndecodable) { // which the user is to answer
		return false, requestError(err)
	}
	return false, errors.Join(h.accept(p, s), err)
}

// accept gives the request its place, and answers a push.
func (h *proto) accept(p *socket.Packet, s *slot) error {
	seq := h.begin(s)
	p.SetSeq(seq)
	if p.Ptype() == protometa.Push {
		return h.answer(reply(seq))
	}
	return nil
}

func (h *proto) readRequestBody(p *socket.Packet, m *message, s *slot) error {
	p.SetPtype(m.ptype)
	if m.method != http.MethodPost {
		p.Meta().Set(keyMethod, m.method)
	}
	h.mu.Lock()
	p.SetSeq(h.first + uint64(len(h.slots))) // as begin will say
	h.mu.Unlock()
	return h.readBody(p, m, func(body []byte) []byte {
		if len(body) == 0 && m.contentType == "" {
			return body
		}
		id, known := codecOf(m.contentType, body)
		if !known {
			p.Meta().Set("Content-Type", m.contentType)
		}
		_, err := codec.Get(id)
		s.unknownMedia = err != nil
		p.SetBodyCodec(id)
		return body
	})
}

// requestError returns why a body was refused, if that can be told to the client.
func requestError(err error) error {
	var no *refusal
	if !errors.As(err, &no) && errors.Is(err, socket.ErrMalformed) {
		return &refusal{status: http.StatusBadRequest, detail: err.Error(), cause: err}
	}
	return err
}

// parseTarget sets the URI: path and query as they stand there.
func (m *message) parseTarget(p *socket.Packet) error {
	target := m.target
	if target == "*" && m.method == http.MethodOptions {
		return nil
	}
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
			continue
		}
		at := strings.IndexAny(target[len(scheme):], "/?")
		host := target[len(scheme):]
		if at < 0 {
			target = "/"
		} else {
			host, target = host[:at], host[at:]
		}
		if target[0] == '?' {
			target = "/" + target
		}
		p.Meta().Set("Host", host)
		break
	}
	if target == "" || target[0] != '/' {
		return bad("the request target %.64q", m.target)
	}
	p.SetUri(target)
	return nil
}

// checkMethod refuses methods that there are not. The connection goes on.
func (h *proto) checkMethod(p *socket.Packet, m *message, s *slot) error {
	no := &refusal{goesOn: true}
	switch m.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		return nil
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		no.status, no.detail, no.allow = http.StatusMethodNotAllowed, "the method "+m.method, true
	default:
		no.status, no.detail = http.StatusNotImplemented, fmt.Sprintf("the method %.32s", m.method)
	}
	if m.expects { // its body, which may come or not
		no.goesOn, no.cause = false, socket.ErrNoMore
		return no
	}
	if err := h.dropBody(p, m); err != nil {
		return requestError(err)
	}
	return no
}

// setFilters gives the packet the filters of the Content-Encoding.
func (h *proto) setFilters(p *socket.Packet, m *message) error {
	if len(m.encodings) == 0 {
		return nil
	}
	ids, err := filtersOf(m.encodings)
	if err == nil {
		err = p.SetFilters(ids)
	}
	var no *refusal
	if err != nil && !errors.As(err, &no) {
		return &refusal{status: http.StatusUnsupportedMediaType, detail: err.Error(), cause: err}
	}
	return err
}

// sayContinue tells a client that waits for that to send the body, once all before it is
// answered. One that will be refused for its size needs not be sent.
func (h *proto) sayContinue(p *socket.Packet, m *message) error {
	if !m.expects || m.minor == 0 || !m.chunked && m.length <= 0 ||
		m.length > int64(p.SizeLimit())-int64(m.size) {
		return nil
	}
	if !h.pulls.Wait(0, 0) {
		return socket.ErrNoMore
	}
	return h.answer(socket.NewPacket(socket.WithPtype(continues)))
}

func reply(seq uint64) *socket.Packet {
	return socket.NewPacket(socket.WithPtype(protometa.Reply), socket.WithSeq(seq), socket.WithBody([]byte(nil)))
}

// refuse answers a request in its turn with why it is refused.
func (h *proto) refuse(no *refusal, s *slot) error {
	s.status, s.allow = 0, no.allow
	h.ended = h.ended || !no.goesOn
	answer := reply(h.begin(s))
	e := protometa.Error{Code: int32(no.status), Message: http.StatusText(no.status), Detail: no.detail}
	e.SetTo(answer.Meta())
	return h.answer(answer)
}

// packResponse writes the response to a request if it is its turn, and those that wait for
// it. Else it waits itself, and nothing is written.
func (h *proto) packResponse(p *socket.Packet) error {
	if h.stream == nil { // nobody else will say so
		defer h.FrameQueued(p)
	}
	h.mu.Lock()
	at := p.Seq() - h.first
	if at >= uint64(len(h.slots)) || h.slots[at].done {
		h.mu.Unlock()
		return fmt.Errorf("%w: a response to no request, number %d", ErrNotCarried, p.Seq())
	}
	s := h.slots[at]
	h.mu.Unlock()
	head, body, err := buildResponse(p, &s)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at = p.Seq() - h.first; at > 0 {
		return h.hold(&h.slots[at], p, head, body)
	}
	if _, err := h.rw.Write(head); err != nil {
		return err
	}
	if _, err := h.rw.Write(body); err != nil {
		return err
	}
	return h.writeDone()
}

// hold keeps a response until its turn, for which a client can have it wait as long as it
// likes: together they must not be more than a single one may be. Errors are small and are
// always kept, or the request would never be answered. mu is held.
func (h *proto) hold(s *slot, p *socket.Packet, head, body []byte) error {
	n, most := len(head)+len(body), max(minWaiting, uint64(p.SizeLimit()))
	if uint64(h.held+n) > most && !isError(p) {
		return fmt.Errorf("%w: %d bytes of responses wait for an earlier one already, and with %d more that is over %d: use more connections",
			ErrNotCarried, h.held, n, most)
	}
	s.bytes, s.done = slices.Concat(head, body), true
	h.held += n
	return nil
}

// writeDone takes the first slot out, and writes those after it that are done. mu is held.
func (h *proto) writeDone() error {
	for {
		h.slots[0] = slot{}
		h.slots = h.slots[1:]
		h.first++
		h.wrote++
		if len(h.slots) == 0 {
			h.slots = nil
			return nil
		}
		if !h.slots[0].done {
			return nil
		}
		h.held -= len(h.slots[0].bytes)
		if _, err := h.rw.Write(h.slots[0].bytes); err != nil {
			return err
		}
	}
}

// buildResponse returns the response in two parts, and records its size.
func buildResponse(p *socket.Packet, s *slot) (head, body []byte, err error) {
	status, media, body, err := content(p, s)
	if err != nil {
		return nil, nil, err
	}
	head = make([]byte, 0, 256)
	head = appendStatusLine(head, status)
	head = append(head, "Date: "...)
	head = time.Now().UTC().AppendFormat(head, http.TimeFormat)
	head = append(head, "\r\n"...)
	if s.close {
		head = append(head, "Connection: close\r\n"...)
	} else if s.keepAlive {
		head = append(head, "Connection: keep-alive\r\n"...)
	}
	if s.allow {
		head = append(head, "Allow: "+allowed+"\r\n"...)
	}
	filters := s.filters(p, body)
	if len(filters) > 0 {
		head = append(append(append(head, "Content-Encoding: "...), codingsOf(filters)...), "\r\n"...)
		if body, err = filtered(body, filters, p.SizeLimit()); err != nil {
			return nil, nil, err
		}
	}
	if s.gzip {
		head = append(head, "Vary: Accept-Encoding\r\n"...)
	}
	if head, err = appendFields(head, p, media, !isError(p)); err != nil {
		return nil, nil, err
	}
	if status != http.StatusNoContent {
		head = append(head, "X-Content-Type-Options: nosniff\r\nContent-Length: "...)
		head = strconv.AppendInt(head, int64(len(body)), 10)
		head = append(head, "\r\n"...)
	}
	head = append(head, "\r\n"...)
	if s.head || status == http.StatusNoContent {
		body = nil
	}
	size := uint32(min(len(head)+len(body), math.MaxUint32))
	return head, body, p.SetSize(size)
}

func isError(p *socket.Packet) bool { return p.HasMeta() && protometa.Has(p.Meta()) }

// content returns what a response says.
func content(p *socket.Packet, s *slot) (status int, media string, body []byte, err error) {
	if isError(p) {
		e := protometa.From(p.Meta())
		status := statusOf(e.Code)
		if s.unknownMedia && e.Code == codeNotImplemented {
			status = http.StatusUnsupportedMediaType
		}
		return status, mediaOf(codec.ID_JSON), append(e.JSON(), '\n'), nil
	}
	if s.status != 0 {
		return s.status, "", nil, nil
	}
	if body, err = p.MarshalBody(); err != nil {
		return 0, "", nil, err
	}
	if p.BodyCodec() != codec.NilCodecId {
		media = mediaOf(p.BodyCodec())
	}
	return http.StatusOK, media, body, nil
}

// filters returns the ids of the filters that the body of a response goes through.
func (s *slot) filters(p *socket.Packet, body []byte) (ids []byte) {
	if len(body) == 0 {
		return nil
	}
	compressed := false
	for _, id := range p.Filters() {
		if id == gzipID {
			if !s.gzip {
				continue
			}
			compressed = true
		}
		ids = append(ids, id)
	}
	if s.gzip && !compressed && len(body) >= gzipFrom {
		ids = append(ids, gzipID)
	}
	return ids
}

// filtered returns what the filters make of a body, which must be within the limit.
func filtered(body, ids []byte, limit uint32) ([]byte, error) {
	if uint64(len(body)) > uint64(limit) {
		return nil, fmt.Errorf("%w: a body of %d bytes, the limit is %d", socket.ErrExceedPacketSizeLimit, len(body), limit)
	}
	var pipe xfer.XferPipe
	if err := pipe.Append(ids...); err != nil {
		return nil, err
	}
	return pipe.OnPack(body)
}
