package httproto

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/henrylee2cn/teleport/socket"
)

const (
	// maxChunkLine is the most bytes of the line before a chunk, with its extensions,
	// which are dropped.
	maxChunkLine = 256
	// maxTrailers is the most bytes of headers after the last chunk, which are dropped.
	maxTrailers = 8 << 10
)

// grow counts n bytes more of the message, which are about to be read.
func (m *message) grow(p *socket.Packet, n uint64) error {
	m.size += n
	size := uint32(min(m.size, math.MaxUint32))
	if m.size < n { // more than 64 bits
		size = math.MaxUint32
	}
	if err := p.SetSize(size); err != nil {
		return &refusal{status: 413, detail: err.Error(), cause: err}
	}
	return nil
}

// readBody reads the body and gives it to the packet. decide, which may be nil, is called
// with it before, and chooses its codec.
func (h *proto) readBody(p *socket.Packet, m *message, decide func(body []byte) []byte) error {
	if m.chunked || m.length < 0 && m.isResponse {
		var b []byte
		var err error
		if m.chunked {
			b, err = h.readChunks(p, m)
		} else {
			b, err = h.readToEnd(p, m)
		}
		if err != nil {
			return err
		}
		if len(p.Filters()) > 0 {
			if b, err = p.Unfilter(b); err != nil {
				return err
			}
		}
		return p.UnmarshalBody(decide(b))
	}
	n := max(m.length, 0)
	if err := m.grow(p, uint64(n)); err != nil {
		return err
	}
	if n == 0 {
		p.XferPipe().Reset()
		return p.UnmarshalBody(decide(nil))
	}
	return p.ReadFrame(h.in, int(n), func(_ *socket.Packet, b []byte) ([]byte, error) { return decide(b), nil })
}

// readToEnd reads a body that ends with the connection.
func (h *proto) readToEnd(p *socket.Packet, m *message) (body []byte, err error) {
	for {
		b, err := h.in.LookAhead()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if err := m.grow(p, uint64(len(b))); err != nil {
			return nil, err
		}
		body = append(body, b...)
		h.in.Discard(len(b))
	}
}

// readChunks reads a body in chunks, and the trailers after it.
func (h *proto) readChunks(p *socket.Packet, m *message) (body []byte, err error) {
	for {
		line, err := h.readLine(p, m, maxChunkLine)
		if err != nil {
			return nil, err
		}
		n, err := parseChunk(line)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return body, h.dropTrailers(p, m)
		}
		if err := m.grow(p, n+2); err != nil {
			return nil, err
		}
		if body, err = h.appendBytes(body, n); err != nil {
			return nil, err
		}
		var end [2]byte
		if _, err := io.ReadFull(h.in, end[:]); err != nil {
			return nil, unexpectedEOF(err)
		}
		if end != [2]byte{'\r', '\n'} {
			return nil, bad("a chunk that is longer than it says")
		}
	}
}

// parseChunk returns the size of a chunk.
func parseChunk(line []byte) (uint64, error) {
	size, _, _ := bytes.Cut(line, []byte(";"))
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || !isFieldValue(line) {
		return 0, bad("the line %.64q before a chunk", line)
	}
	for _, c := range size {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0, bad("the size %.64q of a chunk", size)
		}
	}
	n, err := strconv.ParseUint(string(size), 16, 63)
	if err != nil {
		return 0, bad("the size %.64q of a chunk", size)
	}
	return n, nil
}

// appendBytes reads n bytes, for which memory is taken as they arrive.
func (h *proto) appendBytes(body []byte, n uint64) ([]byte, error) {
	for n > 0 {
		b, err := h.in.LookAhead()
		if err != nil {
			return nil, unexpectedEOF(err)
		}
		b = b[:min(uint64(len(b)), n)]
		body = append(body, b...)
		h.in.Discard(len(b))
		n -= uint64(len(b))
	}
	return body, nil
}

// readLine reads a line of at most the given size, and returns it without its end.
func (h *proto) readLine(p *socket.Packet, m *message, most int) ([]byte, error) {
	var line []byte
	for {
		b, err := h.in.LookAhead()
		if err != nil {
			return nil, unexpectedEOF(err)
		}
		end := bytes.IndexByte(b, '\n') + 1
		n := end
		if n == 0 {
			n = len(b)
		}
		if len(line)+n > most {
			return nil, bad("a line of a chunked body is too long")
		}
		if err := m.grow(p, uint64(n)); err != nil {
			return nil, err
		}
		line = append(line, b[:n]...)
		h.in.Discard(n)
		if end == 0 {
			continue
		}
		if !bytes.HasSuffix(line, []byte("\r\n")) {
			return nil, bad("a line that does not end in CRLF")
		}
		return line[:len(line)-2], nil
	}
}

func (h *proto) dropTrailers(p *socket.Packet, m *message) error {
	for left := maxTrailers; ; {
		line, err := h.readLine(p, m, left)
		if err != nil || len(line) == 0 {
			return err
		}
		if _, _, err := parseField(line); err != nil {
			return err
		}
		left -= len(line)
	}
}

// dropBody reads a body that nobody wants.
func (h *proto) dropBody(p *socket.Packet, m *message) error {
	var unwanted socket.Packet
	unwanted.SetLimits(socket.Options{PacketLimit: p.SizeLimit()})
	if err := h.readBody(&unwanted, m, func([]byte) []byte { return nil }); err != nil {
		return err
	}
	return p.SetSize(unwanted.Size())
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w in a body", io.ErrUnexpectedEOF)
	}
	return err
}
