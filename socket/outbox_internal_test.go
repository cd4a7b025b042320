package socket

import (
	"bufio"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"
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

// A body that was lent is not held by the list that it was in, when another part
// of that list was handed over.
func TestLentBodyIsLetGo(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, Options{QueueLimit: 64 << 20})
	defer c.Close()
	if flush, err := c.QueuePacketUnflushed(NewPacket(WithUri("/a"))); !flush || err != nil {
		t.Fatal(flush, err)
	}
	batch := c.out.begin() // now there is a flusher, as in WriteQueued
	queued := func(n int) {
		for c.Queued() < n {
			time.Sleep(time.Millisecond)
		}
	}
	var all sync.WaitGroup
	var body weak.Pointer[[100 << 10]byte]
	all.Go(func() {
		lent := new([100 << 10]byte)
		body = weak.Make(lent)
		if err := c.QueuePacket(NewPacket(WithBody(lent[:]))); err != nil {
			t.Error(err)
		}
	})
	queued(100 << 10)
	all.Go(func() {
		if err := c.QueuePacket(NewPacket(WithBody(make([]byte, 8<<20)))); err != nil {
			t.Error(err)
		}
	})
	queued(8 << 20)
	if !c.out.leave(batch, c.writeBatch(batch, 0)) {
		t.Fatal("there is no more")
	}
	c.FlushSoon() // the kernel takes the first body, and a part of the second
	all.Go(func() { _, _ = io.Copy(io.Discard, b) })
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	all.Wait()
	for range 5 {
		runtime.GC()
	}
	if body.Value() != nil {
		t.Error("the Conn holds a body whose writer has returned")
	}
	runtime.KeepAlive(c)
}

// One frame for many Conns is not copied for those that were once busy.
func TestFrameIsNotCopied(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, Options{})
	defer c.Close()
	var all sync.WaitGroup
	all.Go(func() { _, _ = io.Copy(io.Discard, b) })
	for range 2000 {
		if _, err := c.QueuePacketUnflushed(NewPacket(WithUri("/0123456789"))); err != nil {
			t.Fatal(err)
		}
	}
	c.WriteQueued()
	f, err := NewFrame(NewPacket(WithBody(make([]byte, 1000))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.QueueFrame(f); err != nil {
		t.Fatal(err)
	}
	c.out.mu.Lock()
	first := c.out.queue[0]
	c.out.mu.Unlock()
	if first != f.buf {
		t.Errorf("it was copied into %d bytes", cap(first.B))
	}
	c.WriteQueued()
	c.Close()
	all.Wait()
}
