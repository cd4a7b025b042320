package httproto

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/socket"
)

const (
	// maxHead is the most bytes of a first line and headers, and maxFields how many
	// headers there may be.
	maxHead   = 64 << 10
	maxFields = 256
	// keptHead is up to which size the memory of a head is kept for the next one.
	keptHead = 2 << 10
)

// message is a request or response of which the head was read.
type message struct {
	isResponse bool
	method     string // of a request
	target     string
	status     int // of a response
	reason     string
	minor      byte // of the version 1.x

	size        uint64 // bytes read so far
	length      int64  // Content-Length; -1 if there is none
	chunked     bool
	contentType string
	encodings   []string // in the order in which they were applied
	hosts       int
	close       bool
	keepAlive   bool
	expects     bool // 100 Continue
	takesGzip   bool
	ptype       byte
}

// readHead reads the first line and the headers, which it adds to the packet's meta data.
// Lines must end in CRLF: what one program takes for the end of a line and another does
// not is how requests are smuggled through proxies.
func (h *proto) readHead(p *socket.Packet) (*message, error) {
	if cap(h.head) > keptHead {
		h.head = nil
	}
	h.head = h.head[:0]
	empty := 0 // lines before the first: there may be one
	for begin := 0; ; {
		b, err := h.in.LookAhead()
		if err != nil {
			if err == io.EOF && (len(h.head) > 0) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		end := bytes.IndexByte(b, '\n') + 1
		n := end
		if n == 0 {
			n = len(b)
		}
		if len(h.head)+n > maxHead {
			return h.kind(), &refusal{status: 431, detail: "the headers are too long"}
		}
		if err := p.SetSize(uint32(len(h.head) + n)); err != nil {
			return h.kind(), &refusal{status: 431, detail: err.Error(), cause: err}
		}
		h.head = append(h.head, b[:n]...)
		h.in.Discard(n)
		if begin == 0 && len(h.head) > 0 && !isToken(h.head[0]) && h.head[0] != '\r' && h.head[0] != '\n' {
			return nil, bad("this is not HTTP")
		}
		if end == 0 {
			continue
		}
		line := h.head[begin:]
		if len(line) < 2 || line[len(line)-2] != '\r' {
			return h.kind(), bad("a line that does not end in CRLF")
		}
		if len(line) > 2 {
			begin = len(h.head)
			continue
		}
		if begin > 0 {
			return h.parseHead(p)
		}
		if empty++; empty > 1 {
			return nil, bad("empty lines before a request")
		}
		h.head = h.head[:0]
	}
}

// kind returns a message of which only is known whether it is a response.
func (h *proto) kind() *message {
	return &message{isResponse: bytes.HasPrefix(h.head, []byte("HTTP/")), length: -1}
}

func (h *proto) parseHead(p *socket.Packet) (*message, error) {
	m := h.kind()
	m.size, m.ptype = uint64(len(h.head)), protometa.Pull
	line, rest := cutLine(h.head)
	var err error
	if m.isResponse {
		err = m.parseStatusLine(string(line))
	} else {
		err = m.parseRequestLine(string(line))
	}
	if err != nil {
		return m, err
	}
	var named []string // hop-by-hop, since a Connection header says so
	for fields := 0; len(rest) > 2; fields++ {
		if fields == maxFields {
			return m, &refusal{status: 431, detail: "too many headers"}
		}
		line, rest = cutLine(rest)
		key, value, err := parseField(line)
		if err != nil {
			return m, err
		}
		if key == "Connection" {
			named = append(named, m.parseConnection(string(value))...)
			if len(named) > maxFields {
				return m, &refusal{status: 431, detail: "too many headers in Connection"}
			}
			continue
		}
		if err := m.takeField(p, key, value); err != nil {
			return m, err
		}
	}
	for _, key := range named {
		if p.HasMeta() {
			p.Meta().Del(key)
		}
	}
	return m, m.checkHead(p)
}

func cutLine(b []byte) (line, rest []byte) {
	end := bytes.IndexByte(b, '\n')
	return b[:end-1], b[end+1:]
}

func (m *message) parseRequestLine(line string) error {
	method, rest, _ := strings.Cut(line, " ")
	target, version, ok := strings.Cut(rest, " ")
	if !ok || !isTokens(method) {
		return bad("the request line %.64q", line)
	}
	if err := m.parseVersion(version); err != nil {
		return err
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return bad("the request target has the byte %#02x: encode it as %%XX", c)
		}
	}
	m.method, m.target = method, target
	return nil
}

func (m *message) parseVersion(version string) error {
	if len(version) == len("HTTP/1.1") && strings.HasPrefix(version, "HTTP/") && version[6] == '.' &&
		isDigit(version[5]) && isDigit(version[7]) {
		if version[5] != '1' {
			return &refusal{status: 505, detail: "this is HTTP/1.1, not " + version}
		}
		if m.minor = version[7] - '0'; m.minor > 1 {
			m.minor = 1
		}
		return nil
	}
	return bad("the version %.16q", version)
}

func (m *message) parseStatusLine(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	if err := m.parseVersion(version); err != nil {
		return err
	}
	code, reason, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || status < 100 {
		return bad("the status line %.64q", line)
	}
	m.status, m.reason = int(status), strings.ToValidUTF8(reason, "\uFFFD")
	return nil
}

// parseField parts a header, and refuses what may be read in two ways.
func parseField(line []byte) (key string, value []byte, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		return "", nil, bad("a header that goes on in another line")
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isTokens(string(name)) {
		return "", nil, bad("the header %.64q", line)
	}
	if value = bytes.Trim(value, " \t"); !isFieldValue(value) {
		return "", nil, bad("the value of the header %.64q", name)
	}
	return textproto.CanonicalMIMEHeaderKey(string(name)), value, nil
}

// parseConnection notes what the Connection header says, and returns the keys of headers
// that are only for this connection.
func (m *message) parseConnection(value string) (named []string) {
	for _, token := range list(value) {
		switch strings.ToLower(token) {
		case "close":
			m.close = true
		case "keep-alive":
			m.keepAlive = true
		default:
			named = append(named, textproto.CanonicalMIMEHeaderKey(token))
		}
	}
	return named
}

// takeField takes what a header says of the message, or adds it to the meta data.
func (m *message) takeField(p *socket.Packet, key string, value []byte) error {
	text := string(value)
	switch key {
	case "Content-Length":
		if m.length >= 0 {
			return bad("two headers Content-Length")
		}
		n, err := parseLength(text)
		m.length = n
		return err
	case "Transfer-Encoding":
		if m.chunked || m.minor == 0 || !strings.EqualFold(text, "chunked") {
			return &refusal{status: 501, detail: "a Transfer-Encoding other than chunked, once, in HTTP/1.1"}
		}
		m.chunked = true
	case "Content-Type":
		if m.contentType != "" {
			return bad("two headers Content-Type")
		}
		m.contentType = text
	case "Content-Encoding":
		m.encodings = append(m.encodings, list(text)...)
	case "Accept-Encoding":
		m.takesGzip = m.takesGzip || acceptsGzip(text)
	case "Host":
		m.hosts++
		p.Meta().AddBytesV(key, value)
	case "Expect":
		if m.isResponse || !strings.EqualFold(text, "100-continue") {
			return &refusal{status: 417, detail: "an Expect other than 100-continue"}
		}
		m.expects = true
	case keyType:
		return m.takeType(text)
	case protometa.CapsKey, protometa.ErrorKey, keyMethod:
		// What these say, HTTP says otherwise.
	default:
		if !isReserved[key] {
			p.Meta().AddBytesV(key, value)
		}
	}
	return nil
}

func (m *message) takeType(text string) error {
	switch {
	case m.isResponse || strings.EqualFold(text, "pull"):
	case strings.EqualFold(text, "push"):
		m.ptype = protometa.Push
	default:
		return bad("%s: %.32q: there are pull and push", keyType, text)
	}
	return nil
}

func (m *message) checkHead(p *socket.Packet) error {
	if m.chunked && m.length >= 0 {
		return bad("both Content-Length and Transfer-Encoding")
	}
	if m.isResponse {
		return nil
	}
	if m.hosts > 1 || m.hosts == 0 && m.minor > 0 {
		return bad("%d headers Host", m.hosts)
	}
	if m.minor == 0 && !m.keepAlive {
		m.close = true
	}
	return nil
}

// isReserved are the headers that belong to HTTP and the connection. They are no meta
// data, neither read nor written.
var isReserved = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Content-Encoding": true,
	"Expect": true, "Accept-Encoding": true, "Date": true,
}

// parseLength reads a Content-Length, of digits only.
func parseLength(text string) (int64, error) {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return -1, bad("the Content-Length %.32q", text)
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64, nil // over each limit
	}
	if err != nil {
		return -1, bad("the Content-Length %.32q", text)
	}
	return n, nil
}

// list parts a header that is a list.
func list(value string) (items []string) {
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.Trim(item, " \t"); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// acceptsGzip reports whether an Accept-Encoding names gzip, and not with quality 0.
func acceptsGzip(value string) bool {
	for _, item := range list(value) {
		name, quality, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		key, weight, ok := strings.Cut(strings.TrimSpace(quality), "=")
		if !ok || !strings.EqualFold(key, "q") {
			return true
		}
		q, err := strconv.ParseFloat(weight, 32)
		return err == nil && q > 0
	}
	return false
}

// isToken reports whether a byte may stand in a name: see RFC 9110, 5.6.2.
func isToken(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isTokens(s string) bool {
	for i := range len(s) {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether bytes may stand in a header: no line ends above all.
func isFieldValue[T string | []byte](value T) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
