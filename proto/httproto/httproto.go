// Package httproto is HTTP/1.1 as a packet format: a request is a pull, and its response
// the reply, so that curl, browsers and any HTTP client can call handlers:
//
//	go peer.ServeListener(lis, httproto.NewProtoFunc())
//
//	$ curl -d '{"a":1}' http://127.0.0.1:8080/group/home/test
//
// A request with the header "X-Packet-Type: push" is a push, and answered with 202. Headers
// are meta data, the Content-Type is the codec of the body, a Content-Encoding is its
// transfer filters, and an error is a response with its status and the error as JSON.
//
// A session that is dialled with this ProtoFunc is an HTTP client: its pulls and pushes
// are requests. On one connection requests go one way only, since that is HTTP: the side
// that takes them cannot pull or push (see ErrNotCarried). All rules are in
// doc/httproto.md.
package httproto

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/henrylee2cn/teleport/internal/lookahead"
	"github.com/henrylee2cn/teleport/internal/protometa"
	"github.com/henrylee2cn/teleport/internal/underway"
	"github.com/henrylee2cn/teleport/socket"
)

// ErrNotCarried says that a packet is nothing that HTTP can carry here. The errors of Pack
// that are returned wrap it: use errors.Is.
var ErrNotCarried = errors.New("httproto: HTTP cannot carry the packet")

const (
	// maxPipelined is how many requests of a conn may be under way: then no more are
	// read. Their responses have to wait for each other.
	maxPipelined = 64
	// minWaiting is how many bytes of responses may wait for their turn, at least: see
	// proto.hold.
	minWaiting = 1 << 20
	// answerTime is how long requests have to be answered once the client has said
	// that it sends no more. Most who say that have gone.
	answerTime = time.Second
	// continues is the type of the packet that is written as 100 Continue. It never
	// leaves this package.
	continues = 0xff
)

// Keys of meta data that mean something here.
const (
	// keyType makes a request a push.
	keyType = "X-Packet-Type"
	// keyMethod is the method of a request that is no POST.
	keyMethod = "X-Http-Method"
)

// role is which side of HTTP this is. The first packet decides.
type role uint8

const (
	unknown role = iota
	server
	client
)

// proto packs and unpacks. One Pack runs at a time, beside one Unpack.
type proto struct {
	rw     io.ReadWriter
	in     lookahead.Reader
	stream socket.Stream  // what rw is on a Conn, else nil
	pulls  underway.Pulls // requests of the other side whose responses are not queued

	// The reader's.
	head  []byte // of the message being read
	ended bool   // no message follows

	mu    sync.Mutex // protects following
	role  role
	first uint64 // the number of slots[0]
	slots []slot // of the server: requests without a written response, in order
	held  int    // bytes of their responses that wait
	wrote int    // responses that were written and are not queued yet
	sent  []sent // of the client: requests without a response, in order
}

var (
	_ socket.FrameWatcher = new(proto)
	_ io.Closer           = new(proto)
)

// NewProtoFunc returns the ProtoFunc of HTTP/1.1, for both sides.
func NewProtoFunc() socket.ProtoFunc {
	return func(rw io.ReadWriter) socket.Proto {
		h := &proto{rw: rw, in: lookahead.New(rw)}
		h.stream, _ = rw.(socket.Stream)
		return h
	}
}

// Version returns 'h' and "http". The id is not on the wire.
func (h *proto) Version() (byte, string) { return 'h', "http" }

// Close ends a wait of Unpack.
func (h *proto) Close() error {
	h.pulls.Close()
	return nil
}

// Pack writes a request or a response.
func (h *proto) Pack(p *socket.Packet) error {
	switch p.Ptype() {
	case protometa.Reply:
		return h.packResponse(p)
	case protometa.Pull, protometa.Push:
		if !h.is(client) {
			return fmt.Errorf("%w: requests go one way, and this side takes them", ErrNotCarried)
		}
		return h.packRequest(p)
	case continues:
		const text = "HTTP/1.1 100 Continue\r\n\r\n"
		if err := p.SetSize(uint32(len(text))); err != nil {
			return err
		}
		_, err := io.WriteString(h.rw, text)
		return err
	}
	return fmt.Errorf("%w: its type is %d", ErrNotCarried, p.Ptype())
}

// FrameQueued counts the responses, for the session must not end before they are queued.
func (h *proto) FrameQueued(*socket.Packet) {
	h.mu.Lock()
	n := h.wrote
	h.wrote = 0
	h.mu.Unlock()
	for range n {
		h.pulls.End()
	}
}

// is reports whether this side has the role, which it takes if it has none.
func (h *proto) is(want role) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.role == unknown {
		h.role = want
	}
	return h.role == want
}

// answer packs a packet from within Unpack.
func (h *proto) answer(p *socket.Packet) error {
	if h.stream == nil {
		return h.Pack(p)
	}
	return h.stream.Answer(p)
}

// Unpack reads the next request or response.
func (h *proto) Unpack(p *socket.Packet) error {
	for {
		if h.ended {
			h.pulls.Wait(0, 0)
			return socket.ErrNoMore
		}
		if !h.pulls.Wait(maxPipelined-1, 0) {
			return socket.ErrNoMore // closed
		}
		again, err := h.unpackMessage(p)
		if err != nil || !again {
			return err
		}
		if err := h.next(p); err != nil {
			return err
		}
	}
}

// next is called after a message that is none for the user: the next one has nothing of
// its headers.
func (h *proto) next(p *socket.Packet) error {
	p.SetMeta(nil)
	p.XferPipe().Reset()
	if h.stream == nil {
		return nil
	}
	return h.stream.NextPacket()
}

// unpackMessage reads one message. It reports true if that is none for the user.
func (h *proto) unpackMessage(p *socket.Packet) (again bool, err error) {
	m, err := h.readHead(p)
	if err == io.EOF {
		h.pulls.Wait(0, answerTime)
		return false, err
	}
	if m != nil && m.isResponse {
		if err == nil && !h.is(client) {
			err = fmt.Errorf("%w: a response to no request", socket.ErrProtoUnmatch)
		}
		if err != nil {
			return false, clientError(err)
		}
		return h.unpackResponse(p, m)
	}
	if !h.is(server) {
		if err == nil {
			err = errors.New("a request where a response should be: requests go one way")
		}
		return false, clientError(err)
	}
	s := slot{}
	again = true
	if err == nil {
		again, err = h.unpackRequest(p, m, &s)
	}
	var no *refusal
	if !errors.As(err, &no) {
		return again, err
	}
	if !no.goesOn {
		s.close = true
	}
	if err := h.refuse(no, &s); err != nil {
		return false, err
	}
	if no.goesOn {
		return true, nil
	}
	h.pulls.Wait(0, 0)
	return false, fmt.Errorf("%w: %w", socket.ErrNoMore, no)
}

// clientError returns the error of what came in the place of a response.
func clientError(err error) error {
	var no *refusal
	if errors.As(err, &no) && !errors.Is(err, socket.ErrExceedPacketSizeLimit) {
		return fmt.Errorf("%w: %s", socket.ErrMalformed, no.detail)
	}
	return err
}

// refusal is why a message is refused, with the status that tells so.
type refusal struct {
	status int
	detail string
	cause  error // wrapped, if not nil
	goesOn bool  // the next message can be read
	allow  bool  // tell which methods there are
}

func (r *refusal) Error() string { return fmt.Sprintf("refused with %d: %s", r.status, r.detail) }

// Unwrap makes it a malformed frame, unless it is something else.
func (r *refusal) Unwrap() error {
	if r.cause != nil {
		return r.cause
	}
	return socket.ErrMalformed
}

func bad(format string, args ...any) error {
	return &refusal{status: 400, detail: fmt.Sprintf(format, args...)}
}
