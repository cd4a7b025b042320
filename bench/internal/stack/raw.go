package stack

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"sync"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
)

// Raw is the limit of what the same callers can reach: frames with a length on
// a TCP connection, read and written as many at once as there are, and nothing
// else: no codec, no handler goroutine, no allocation. On the server one
// goroutine a connection echoes. On the client one goroutine a connection reads
// and wakes the callers, which are goroutines that wait, as everywhere else;
// the first of those who want to write writes for all.
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

// rawClient is the callers of all connections.
type rawClient struct {
	scenario scenario.Scenario
	payload  []byte
	conns    []net.Conn
}

var _ Client = (*rawClient)(nil)

// Run starts a goroutine for each connection, and one for each caller.
func (c *rawClient) Run(m *meter.Meter) {
	if rawHeader+c.scenario.Size >= rawLarge {
		for i, conn := range c.conns {
			go func() {
				if err := c.runLarge(conn, m, m.Recorder(i)); err != nil {
					m.Fail(err)
				}
			}()
		}
		return
	}
	for i, conn := range c.conns {
		mux := &rawMux{conn: conn, waiting: make([]rawCaller, c.scenario.Callers)}
		for n := range mux.waiting {
			mux.waiting[n].ready = make(chan struct{}, 1)
			go func() {
				call := func() ([]byte, error) { return mux.call(n, c.payload) }
				if err := drive(call, m, i*c.scenario.Callers+n, c.payload); err != nil {
					m.Fail(err)
				}
			}()
		}
		go func() {
			if err := mux.read(); err != nil {
				m.Fail(err)
			}
		}()
	}
}

// rawMux is a connection that callers share. The number of a frame is that of
// its caller.
type rawMux struct {
	conn    net.Conn
	waiting []rawCaller

	mu       sync.Mutex // protects following
	out      []byte
	spare    []byte
	flushing bool
}

type rawCaller struct {
	ready chan struct{}
	reply []byte
}

// call waits for the reply, which is valid until the caller's next call. The
// first of those who want to write writes for all.
func (x *rawMux) call(n int, payload []byte) ([]byte, error) {
	x.mu.Lock()
	x.out = rawAppend(x.out, uint64(n), payload)
	first := !x.flushing
	x.flushing = true
	x.mu.Unlock()
	if first {
		runtime.Gosched()
		if err := x.flush(); err != nil {
			return nil, err
		}
	}
	caller := &x.waiting[n]
	<-caller.ready
	return caller.reply, nil
}

func (x *rawMux) flush() error {
	for {
		x.mu.Lock()
		out := x.out
		if len(out) == 0 {
			x.flushing = false
			x.mu.Unlock()
			return nil
		}
		x.out = x.spare[:0]
		x.mu.Unlock()
		if _, err := x.conn.Write(out); err != nil {
			return err
		}
		x.mu.Lock()
		x.spare = out
		x.mu.Unlock()
	}
}

func (x *rawMux) read() error {
	in := rawReader{conn: x.conn, buf: make([]byte, rawBuffer)}
	for {
		if err := in.fill(); err != nil {
			return err
		}
		for {
			seq, payload, ok := in.next()
			if !ok {
				break
			}
			if seq >= uint64(len(x.waiting)) {
				return fmt.Errorf("a reply for caller %d", seq)
			}
			caller := &x.waiting[seq]
			caller.reply = append(caller.reply[:0], payload...)
			caller.ready <- struct{}{}
		}
	}
}
