package socket

import (
	"bufio"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return
}

// A Proto that leaves some packets out: its Pack writes nothing for them.
type skipProto struct {
	rw io.ReadWriter
	Proto
}

func (s *skipProto) Pack(p *Packet) error {
	if p.Uri() == "/skip" {
		return nil
	}
	_, err := s.rw.Write([]byte(p.Uri()))
	return err
}

func TestEmptyFramePromisesNothing(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, Options{}, func(rw io.ReadWriter) Proto { return &skipProto{rw: rw} })
	defer c.Close()
	for _, uri := range []string{"/skip", "/x"} {
		flush, err := c.QueuePacketNeverWaiting(NewPacket(WithUri(uri)))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(uri, flush)
		if flush {
			c.FlushSoon()
		}
	}
	b.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 10)
	if n, err := b.Read(buf); err != nil {
		t.Fatalf("lost flush: %v, %d queued", err, c.Queued())
	} else {
		t.Log(string(buf[:n]))
	}
}

func TestAwaitSeesBufferedProto(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, Options{}, func(rw io.ReadWriter) Proto {
		return NewFastProto(struct {
			io.Reader
			io.Writer
		}{bufio.NewReader(rw), rw})
	})
	defer c.Close()
	f, _ := NewFrame(NewPacket(WithUri("/x")))
	two := append(append([]byte(nil), f.buf.B...), f.buf.B...)
	if _, err := b.Write(two); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	c.SetReadTimeout(time.Second)
	for i := range 2 {
		if err := c.Await(); err != nil {
			t.Fatalf("packet %d: Await: %v", i, err)
		}
		if err := c.ReadPacket(NewPacket()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueuePinsWhatWaits(t *testing.T) {
	a, _ := net.Pipe()
	c := NewConn(a, Options{})
	defer c.Close()
	c.out.flushing = true // a peer that takes nothing
	big, _ := NewFrame(NewPacket(WithUri("/big"), WithBody(make([]byte, 4400))))
	for {
		if _, err := c.QueueFrame(big); err != nil {
			break
		}
		if _, err := c.QueuePacketNeverWaiting(NewPacket(WithUri("/s"), WithBody([]byte("ok")))); err != nil {
			break
		}
	}
	pinned := 0
	for _, b := range c.out.queue {
		if !b.shared {
			pinned += cap(b.B)
		}
	}
	if pinned > 3*c.Queued() {
		t.Errorf("%d bytes wait (limit %d), and pin %d of the Conn's own", c.Queued(), c.opt.QueueLimit, pinned)
	}
}

func TestQueuePinsWhatWaitsHint(t *testing.T) {
	a, _ := net.Pipe()
	c := NewConn(a, Options{})
	defer c.Close()
	c.out.flushing = true
	huge, mid := string(make([]byte, 10<<10)), string(make([]byte, 4400))
	for i := 0; ; i++ {
		body := &mid
		if i%20 == 0 {
			body = &huge
		}
		if _, err := c.QueuePacketNeverWaiting(NewPacket(WithBodyCodec('s'), WithBody(body))); err != nil {
			break
		}
	}
	pinned := 0
	for _, b := range c.out.queue {
		pinned += cap(b.B)
	}
	t.Logf("%d bytes wait (limit %d), and pin %d", c.Queued(), c.opt.QueueLimit, pinned)
	if pinned > 3*c.Queued() {
		t.Errorf("%d bytes wait (limit %d), and pin %d", c.Queued(), c.opt.QueueLimit, pinned)
	}
}

// slowConn takes a byte every perByte, and heeds its write deadline.
type slowConn struct {
	net.Conn
	mu       sync.Mutex
	perByte  time.Duration
	deadline time.Time
}

func (s *slowConn) SetWriteDeadline(d time.Time) error {
	s.mu.Lock()
	s.deadline = d
	s.mu.Unlock()
	return nil
}

func (s *slowConn) Write(b []byte) (int, error) {
	need := time.Duration(len(b)) * s.perByte
	s.mu.Lock()
	left := time.Until(s.deadline)
	s.mu.Unlock()
	if left < need {
		time.Sleep(left)
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(need)
	return len(b), nil
}

func TestWriteTimeoutIsFor64KiB(t *testing.T) {
	a, _ := net.Pipe()
	const timeout = 300 * time.Millisecond
	s := &slowConn{Conn: a, perByte: 10 * time.Microsecond} // 64 KiB in 655 ms
	c := NewConn(s, Options{})
	defer c.Close()
	c.SetWriteTimeout(timeout)
	c.out.flushing = true
	n := 0
	for c.Queued() < 128<<10 {
		if err := c.QueuePacket(NewPacket(WithBody(make([]byte, 5000)))); err != nil {
			t.Fatal(err)
		}
		n++
	}
	c.out.mu.Lock()
	c.out.flushing = false
	c.out.mu.Unlock()
	start := time.Now()
	err := c.Flush(t.Context())
	took := time.Since(start)
	if err == nil {
		t.Errorf("%d frames, 128 KiB, were taken in %v though 64 KiB may take %v", n, took, timeout)
	}
}

func TestEmptyWriteLeavesFrameAlone(t *testing.T) {
	f, _ := NewFrame(NewPacket(WithUri("/x")))
	var wg sync.WaitGroup
	for range 4 {
		a, b := tcpPair(t)
		c := NewConn(a, Options{})
		defer c.Close()
		go io.Copy(io.Discard, b)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 200 {
				c.QueueFrame(f)
				c.Write(nil)
			}
		}()
	}
	wg.Wait()
}
