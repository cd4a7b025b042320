package main

import (
	"encoding/binary"
	"net"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/stack"
)

// Raw is the limit of what the same callers can reach: frames with a length on
// a TCP connection, read and written as many at once as there are, and nothing
// else: no handler goroutine, no allocation, and no codec but where the scenario
// wants one. On the server one goroutine a connection echoes. On the client one
// goroutine a connection reads and wakes the callers, which are goroutines that
// wait, as everywhere else; the first of those who want to write writes for all.
//
// A frame is the length of its payload (4 bytes), a number that comes back (8
// bytes), and the payload.
type Raw struct {
	worker bool // a variant: another goroutine of the server sends the reply
}

var _ stack.Stack = Raw{}

const (
	headerSize = 4 + 8
	bufferSize = 64 << 10
	// largeFrame is the size of a frame from which a read brings less than one:
	// see runLarge.
	largeFrame = 32 << 10
)

// Name returns "raw", or that of the variant.
func (r Raw) Name() string {
	if r.worker {
		return "raw-worker"
	}
	return "raw"
}

// Serve echoes frames.
func (r Raw) Serve(s scenario.Scenario, fail func(error)) (string, error) {
	lis, addr, err := stack.Listen()
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				fail(err)
				return
			}
			// An error is the end of the client, whose process reports why.
			if r.worker {
				go func() { _ = echoByWorker(conn) }()
			} else if isLarge(s) {
				go func() { _ = echoLarge(conn, headerSize+s.Size) }()
			} else {
				go func() { _ = echo(conn, newReplyFunc(s.Body)) }()
			}
		}
	}()
	return addr, nil
}

func isLarge(s scenario.Scenario) bool { return headerSize+s.Size >= largeFrame }

func echo(conn net.Conn, reply replyFunc) error {
	in := reader{conn: conn, buf: make([]byte, bufferSize)}
	out := make([]byte, 0, bufferSize)
	for {
		if err := in.fill(); err != nil {
			return err
		}
		out = out[:0]
		for {
			seq, payload, ok := in.next()
			if !ok {
				break
			}
			start := len(out)
			var header [headerSize]byte
			var err error
			if out, err = reply(append(out, header[:]...), payload); err != nil {
				return err
			}
			binary.BigEndian.PutUint32(out[start:], uint32(len(out)-start-headerSize))
			binary.BigEndian.PutUint64(out[start+4:], seq)
		}
		if len(out) == 0 {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// reader cuts what was read into frames.
type reader struct {
	conn       net.Conn
	buf        []byte
	start, end int // of what was read and not yet cut
}

// fill reads once. No whole frame may be left.
func (r *reader) fill() error {
	r.end = copy(r.buf, r.buf[r.start:r.end])
	r.start = 0
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	return err
}

// next returns a frame, if a whole one is there. It is valid until fill.
func (r *reader) next() (seq uint64, payload []byte, ok bool) {
	have := r.buf[r.start:r.end]
	if len(have) < headerSize {
		return 0, nil, false
	}
	size := headerSize + int(binary.BigEndian.Uint32(have))
	if len(have) < size {
		return 0, nil, false
	}
	r.start += size
	return binary.BigEndian.Uint64(have[4:]), have[headerSize:size], true
}

func appendFrame(dst []byte, seq uint64, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint64(dst, seq)
	return append(dst, payload...)
}

// Dial connects.
func (r Raw) Dial(addr string, s scenario.Scenario, m *meter.Meter) (stack.Client, error) {
	if r.worker {
		if err := stack.Carries(r.Name(), s, scenario.Bytes); err != nil {
			return nil, err
		}
	}
	var conns []stack.Connection
	payload := s.Payload()
	large := &largeClient{scenario: s, meter: m}
	for i := range s.Conns + s.Idle {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		if isLarge(s) {
			large.conns = append(large.conns, conn)
			continue
		}
		callers := s.Callers
		if i >= s.Conns {
			callers = 1 // that of an idle connection
		}
		shared := newMux(conn, callers, m)
		conns = append(conns, func() stack.Caller { return shared.caller(s.Body, payload) })
	}
	if isLarge(s) {
		return large, nil
	}
	return stack.NewCallers(s, m, conns)
}
