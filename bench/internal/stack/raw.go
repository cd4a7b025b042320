package stack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Raw is the physical limit: frames with a length on a TCP connection, read
// and written as many at once as there are, by one goroutine a connection, with
// nothing between them and the kernel. A framework can come near and not past.
//
// A frame is the length of its payload (4 bytes), a number that comes back (8
// bytes), and the payload.
type Raw struct{}

var _ Stack = Raw{}

const (
	rawHeader = 4 + 8
	rawBuffer = 64 << 10
	// rawLarge is the size of a frame from which a read brings less than one:
	// see runLarge.
	rawLarge = 32 << 10
)

// Name returns "raw".
func (Raw) Name() string { return "raw" }

// Serve echoes frames.
func (Raw) Serve(lis net.Listener, s scenario.Scenario) error {
	for {
		conn, err := lis.Accept()
		if err != nil {
			return err
		}
		// An error is the end of the client, whose process reports why.
		if rawHeader+s.Size >= rawLarge {
			go func() { _ = rawEchoLarge(conn, rawHeader+s.Size) }()
		} else {
			go func() { _ = rawEcho(conn) }()
		}
	}
}

func rawEcho(conn net.Conn) error {
	in := rawReader{conn: conn, buf: make([]byte, rawBuffer)}
	out := make([]byte, 0, rawBuffer)
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
			out = rawAppend(out, seq, payload)
		}
		if len(out) == 0 {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}

// rawReader cuts what was read into frames.
type rawReader struct {
	conn       net.Conn
	buf        []byte
	start, end int // of what was read and not yet cut
}

// fill reads once. No whole frame may be left.
func (r *rawReader) fill() error {
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
func (r *rawReader) next() (seq uint64, payload []byte, ok bool) {
	have := r.buf[r.start:r.end]
	if len(have) < rawHeader {
		return 0, nil, false
	}
	size := rawHeader + int(binary.BigEndian.Uint32(have))
	if len(have) < size {
		return 0, nil, false
	}
	r.start += size
	return binary.BigEndian.Uint64(have[4:]), have[rawHeader:size], true
}

func rawAppend(dst []byte, seq uint64, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint64(dst, seq)
	return append(dst, payload...)
}

// Dial connects.
func (Raw) Dial(addr string, s scenario.Scenario) (Client, error) {
	c := &rawClient{scenario: s, payload: s.Payload()}
	for range s.Conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// rawClient keeps a window of as many requests as there are callers in flight
// on each connection. The number of a frame is the place of its request in the
// window.
type rawClient struct {
	scenario scenario.Scenario
	payload  []byte
	conns    []net.Conn
}

var _ Client = (*rawClient)(nil)

// Run starts a goroutine for each connection.
func (c *rawClient) Run(m *meter.Meter) {
	run := c.run
	if rawHeader+c.scenario.Size >= rawLarge {
		run = c.runLarge
	}
	for i, conn := range c.conns {
		go func() {
			if err := run(conn, m, m.Recorder(i)); err != nil {
				m.Fail(err)
			}
		}()
	}
}

func (c *rawClient) run(conn net.Conn, m *meter.Meter, recorder meter.Recorder) error {
	in := rawReader{conn: conn, buf: make([]byte, rawBuffer)}
	out := make([]byte, 0, rawBuffer)
	sent := make([]int64, c.scenario.Callers) // when
	// The window opens by two requests for a reply, so that neither side
	// begins with more than the kernel takes while the other one writes too.
	first := 0
	opening := func(n int, now int64) {
		for ; n > 0 && first < len(sent); n-- {
			sent[first] = now
			out = rawAppend(out, uint64(first), c.payload)
			first++
		}
	}
	opening(min(len(sent), rawBuffer/(rawHeader+len(c.payload))), m.Now())
	for {
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if err := in.fill(); err != nil {
			return err
		}
		// One time for all that came, and that goes with the next write.
		now := m.Now()
		for {
			seq, payload, ok := in.next()
			if !ok {
				break
			}
			if err := c.check(seq, payload, sent); err != nil {
				return err
			}
			if !recorder.Record(sent[seq], now) {
				return nil
			}
			sent[seq] = now
			out = rawAppend(out, seq, c.payload)
			opening(1, now)
		}
	}
}

// check looks at the length of each reply, and at the content of some.
func (c *rawClient) check(seq uint64, payload []byte, sent []int64) error {
	if seq >= uint64(len(sent)) || len(payload) != len(c.payload) {
		return fmt.Errorf("a wrong reply: number %d, %d bytes", seq, len(payload))
	}
	if seq == 0 && !bytes.Equal(payload, c.payload) {
		return fmt.Errorf("a reply of other content")
	}
	return nil
}
