package socket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

// bodyPacket returns a packet of n bytes in all.
func bodyPacket(n int, settings ...socket.PacketSetting) *socket.Packet {
	return socket.NewPacket(append(settings, socket.WithBody(make([]byte, n-24)))...)
}

// Frames of many writers arrive whole, those of each in its order.
func TestWriteConcurrently(t *testing.T) {
	const writers, packets = 64, 200
	for _, kind := range connKinds {
		for name, protoFunc := range map[string]socket.ProtoFunc{"fast": nil, "line": newLineProto} {
			t.Run(kind.name+" "+name, func(t *testing.T) {
				c, conn := kind.conns(t, protoFunc)
				peer := socket.NewConn(conn, socket.Options{}, protoFunc)
				var all sync.WaitGroup
				for w := range writers {
					write := c.WritePacket
					if w%2 == 0 {
						write = c.QueuePacket
					}
					all.Go(func() {
						for i := range packets {
							err := write(socket.NewPacket(
								socket.WithSeq(uint64(i)), socket.WithPtype(byte(w)), socket.WithBodyCodec(codec.ID_STRING),
								socket.WithBody(strings.Repeat(string(rune('!'+w)), i*w/16)),
							))
							if err != nil {
								t.Errorf("writer %d, packet %d: %v", w, i, err)
								return
							}
						}
					})
				}
				var next [writers]int
				for range writers * packets {
					p := rawPacket()
					noError(t, peer.ReadPacket(p))
					w := int(p.Ptype())
					equal(t, "seq", p.Seq(), uint64(next[w]))
					equal(t, "body", string(*p.Body().(*[]byte)), strings.Repeat(string(rune('!'+w)), next[w]*w/16))
					next[w]++
				}
				all.Wait()
				noError(t, c.Flush(context.Background()))
				equal(t, "queued", c.Queued(), 0)
			})
		}
	}
}

// gate is a script whose writes wait until it is opened.
func gate() (s *script, open func()) {
	s = newScript()
	opened := make(chan struct{})
	var out bytes.Buffer
	s.onWrite = func(b []byte) (int, error) {
		<-opened
		s.mu.Lock()
		defer s.mu.Unlock()
		s.written = append(s.written, b...)
		return out.Write(b)
	}
	return s, func() { close(opened) }
}

// uris reads all packets and returns their URIs.
func uris(t *testing.T, stream []byte) string {
	t.Helper()
	c := newScript(stream).conn(socket.Options{})
	var all []string
	for {
		p := rawPacket()
		err := c.ReadPacket(p)
		if err == io.EOF {
			return strings.Join(all, " ")
		}
		noError(t, err)
		all = append(all, p.Uri())
	}
}

// A frame is admitted while less than the limit is queued before it; then
// writers wait, until there is room, or their context ends, or the Conn.
func TestWriteQueueLimit(t *testing.T) {
	for name, protoFunc := range map[string]socket.ProtoFunc{"appender": nil, "stage": newStagedFastProto} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, open := gate()
				c := s.conn(socket.Options{QueueLimit: 1000}, protoFunc)
				var waiting sync.WaitGroup
				waiting.Go(func() { noError(t, c.QueuePacket(bodyPacket(999, socket.WithUri("")))) })
				synctest.Wait() // the flusher
				noError(t, c.QueuePacket(socket.NewPacket(socket.WithUri("/last"), socket.WithBody([]byte{}))))
				equal(t, "queued", c.Queued(), 999+29)

				ctx, cancel := context.WithCancel(context.Background())
				errs := make(chan error, 3)
				write := func(settings ...socket.PacketSetting) {
					waiting.Go(func() { errs <- c.WritePacket(socket.NewPacket(settings...)) })
					synctest.Wait()
					equal(t, "not waiting", len(errs), 0)
				}
				write(socket.WithUri("/canceled"), socket.WithContext(ctx))
				cancel()
				wantError(t, <-errs, context.Canceled)
				write(socket.WithUri("/patient"))
				open()
				noError(t, <-errs)
				waiting.Wait()
				equal(t, "arrived", uris(t, s.output()), " /last /patient")
			})
		})
	}
}

// newStagedFastProto is FastProto as a Proto that is no FrameAppender.
func newStagedFastProto(rw io.ReadWriter) socket.Proto {
	return struct{ socket.Proto }{socket.NewFastProto(rw)}
}

// All who wait for room wake together, but the limit holds for each of them.
func TestWriteQueueLimitHoldsForAll(t *testing.T) {
	for name, protoFunc := range map[string]socket.ProtoFunc{"appender": nil, "stage": newStagedFastProto} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				step := make(chan struct{})
				s.onWrite = func(b []byte) (int, error) {
					<-step
					return len(b), nil
				}
				c := s.conn(socket.Options{QueueLimit: 1000}, protoFunc)
				var waiting sync.WaitGroup
				for range 50 {
					waiting.Go(func() { noError(t, c.QueuePacket(bodyPacket(900))) })
				}
				synctest.Wait()
				most := 0
				for c.Queued() > 0 {
					most = max(most, c.Queued())
					step <- struct{}{}
					synctest.Wait()
				}
				waiting.Wait()
				equal(t, "most that was queued", most, 1800) // less than 1000 and a frame
			})
		})
	}
}

// A peer that reads slowly but reads costs the writer a packet, not the Conn.
func TestWriteQueueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := net.Pipe()
		failed := make(chan error, 1)
		c := socket.NewConn(a, socket.Options{QueueLimit: 1000, OnWriteError: func(err error) { failed <- err }})
		c.SetWriteTimeout(-1)
		equal(t, "negative", c.WriteTimeout(), 0)
		c.SetWriteTimeout(time.Minute)
		equal(t, "timeout", c.WriteTimeout(), time.Minute)
		var writer sync.WaitGroup
		writer.Go(func() { noError(t, c.WritePacket(bodyPacket(1<<20))) })
		arrived := make(chan []byte)
		go func() {
			var all []byte
			b := make([]byte, 64<<10)
			for {
				n, err := io.ReadFull(peer, b)
				all = append(all, b[:n]...)
				if err != nil {
					arrived <- all
					return
				}
				time.Sleep(40 * time.Second)
			}
		}()
		synctest.Wait()
		start := time.Now()
		err := c.QueuePacket(socket.NewPacket(socket.WithUri("/late")))
		wantError(t, err, socket.ErrQueueTimeout)
		wantError(t, err, os.ErrDeadlineExceeded)
		equal(t, "waited", time.Since(start), time.Minute) // synctest's clock

		writer.Wait()
		noError(t, c.WritePacket(socket.NewPacket(socket.WithUri("/after"))))
		noError(t, c.Close())
		equal(t, "arrived", uris(t, <-arrived), " /after")
		equal(t, "write errors", len(failed), 0)
	})
}

// A large frame is given to the kernel in large pieces, but a peer that takes
// 64 KiB within the write timeout is still fast enough.
func TestWriteLargeSlowly(t *testing.T) {
	a, b := tcpPair(t)
	c, tcp := socket.NewConn(a, socket.Options{}), b.(*net.TCPConn)
	noError(t, tcp.SetReadBuffer(64<<10))
	noError(t, c.NetConn().(*net.TCPConn).SetWriteBuffer(64<<10))
	c.SetWriteTimeout(500 * time.Millisecond)
	read := make(chan int64, 1)
	go func() {
		n := int64(0)
		for {
			time.Sleep(150 * time.Millisecond)
			more, err := io.CopyN(io.Discard, tcp, 64<<10)
			if n += more; err != nil {
				read <- n
				return
			}
		}
	}()
	p := bodyPacket(2 << 20)
	noError(t, c.WritePacket(p))
	noError(t, c.Close())
	equal(t, "read", <-read, int64(p.Size()))
}

// Who waits for room in the queue waits for what has left, so that the kernel takes a
// part of a large frame is to be seen before it has all of a piece.
func TestLargeFrameIsCountedAsItLeaves(t *testing.T) {
	a, b := tcpPair(t)
	noError(t, b.(*net.TCPConn).SetReadBuffer(16<<10))
	noError(t, a.(*net.TCPConn).SetWriteBuffer(16<<10))
	c := socket.NewConn(a, socket.Options{})
	written := make(chan error, 1)
	go func() { written <- c.QueuePacket(bodyPacket(4 << 20)) }()
	const arrived = 700 << 10
	_, err := io.CopyN(io.Discard, b, arrived)
	noError(t, err)
	for deadline := time.Now().Add(20 * time.Second); c.Queued() > 4<<20-arrived/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes have arrived, and %d wait", arrived, 4<<20, c.Queued())
		}
	}
	noError(t, c.Close())
	wantError(t, <-written, socket.ErrProactivelyCloseSocket)
}

// Frames of all sizes around those at which they are written in another way, with URIs
// that alone are large.
func TestWriteAllSizes(t *testing.T) {
	a, b := tcpPair(t)
	w, r := socket.NewConn(a, socket.Options{}), socket.NewConn(b, socket.Options{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer w.Close()
	defer r.Close()
	const KiB = 1 << 10
	var sizes []int
	for _, n := range []int{4 * KiB, 16 * KiB, 64 * KiB, 80 * KiB, 128 * KiB, 136 * KiB, 1024 * KiB, 1040 * KiB, 4096 * KiB} {
		sizes = append(sizes, n-1, n, n+1)
	}
	sizes = append(sizes, 0, 1, 64*KiB-40)
	uris := []string{"", "/a", strings.Repeat("u", 900), strings.Repeat("u", 70*KiB)}
	body := func(i, j, n int) []byte { return bytes.Repeat([]byte{byte(i*len(uris) + j + 1)}, n) }
	wg.Go(func() {
		for i, n := range sizes {
			for j, uri := range uris {
				b := body(i, j, n)
				p := socket.NewPacket(socket.WithUri(uri), socket.WithBody(b))
				if j%2 == 1 {
					p.Meta().Set("k", strings.Repeat("v", 20*KiB))
				}
				if err := w.QueuePacket(p); err != nil {
					t.Errorf("a body of %d bytes, a URI of %d: %v", n, len(uri), err)
					w.Close()
				}
				clear(b) // it is the user's again
			}
		}
	})
	for i, n := range sizes {
		for j, uri := range uris {
			var got []byte
			p := socket.NewPacket(socket.WithBody(&got))
			if err := r.ReadPacket(p); err != nil {
				t.Fatalf("a body of %d bytes, a URI of %d: %v", n, len(uri), err)
			}
			if p.Uri() != uri || !bytes.Equal(got, body(i, j, n)) {
				t.Fatalf("a body of %d bytes, a URI of %d: got %d and %d, or others", n, len(uri), len(got), len(p.Uri()))
			}
		}
	}
}

// What the reader sends never waits: it has a reserve, and then it fails.
func TestWriteNoWait(t *testing.T) {
	for name, protoFunc := range map[string]socket.ProtoFunc{"appender": nil, "stage": newStagedFastProto} {
		t.Run(name, func(t *testing.T) {
			s, open := gate()
			c := s.conn(socket.Options{QueueLimit: 1000}, protoFunc)
			sent := 0
			for {
				err := c.QueuePacketNoWait(bodyPacket(1000, socket.WithUri("")))
				if err != nil {
					wantError(t, err, socket.ErrQueueFull)
					break
				}
				sent++
			}
			equal(t, "admitted", sent, (1000+256<<10+999)/1000)
			wantError(t, c.QueuePacketNoWait(socket.NewPacket()), socket.ErrQueueFull)
			open()
			noError(t, c.Flush(context.Background()))
			equal(t, "written", len(s.output()), sent*1000)
			noError(t, c.QueuePacketNoWait(socket.NewPacket()))
		})
	}
}

// What the reader has queued leaves when it waits for bytes.
func TestWriteNoWaitLeavesWithRead(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, conn := kind.conns(t)
			peer := socket.NewConn(conn, socket.Options{})
			noError(t, c.QueuePacketNoWait(socket.NewPacket(socket.WithUri("/a"))))
			equal(t, "queued", c.Queued(), 26)
			done := make(chan error)
			go func() { done <- c.ReadPacket(rawPacket()) }()
			p := rawPacket()
			noError(t, peer.ReadPacket(p))
			equal(t, "uri", p.Uri(), "/a")
			noError(t, peer.WritePacket(socket.NewPacket()))
			noError(t, <-done)
		})
	}
}

// FlushSoon and Flush send it too. Much more than the kernel takes at once
// goes on in another goroutine.
func TestWriteFlush(t *testing.T) {
	for _, kind := range connKinds {
		for _, size := range []int{100, 12 << 20} {
			t.Run(fmt.Sprintf("%s %d", kind.name, size), func(t *testing.T) {
				c, conn := kind.connsWith(t, socket.Options{QueueLimit: size})
				peer := socket.NewConn(conn, socket.Options{})
				c.FlushSoon() // nothing to do
				noError(t, c.Flush(context.Background()))
				noError(t, c.QueuePacketNoWait(bodyPacket(size)))
				c.FlushSoon()
				noError(t, c.QueuePacketNoWait(bodyPacket(100)))
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				if size > 100 || kind.name == "pipe" { // nobody reads yet
					wantError(t, c.Flush(ended), context.Canceled)
				}
				flushed := make(chan error)
				go func() { flushed <- c.Flush(context.Background()) }()
				for _, want := range []int{size, 100} {
					p := rawPacket()
					noError(t, peer.ReadPacket(p))
					equal(t, "size", int(p.Size()), want)
				}
				noError(t, <-flushed)
				equal(t, "queued", c.Queued(), 0)
			})
		}
	}
}

// Flush waits for what was queued before it, not for what the reader queues
// meanwhile, which may stay until it reads on.
func TestWriteFlushWaitsForItsOwn(t *testing.T) {
	s := newScript()
	var c *socket.Conn
	c = s.conn(socket.Options{Go: func(fn func()) {
		fn()
		noError(t, c.QueuePacketNoWait(socket.NewPacket(socket.WithUri("/later"))))
	}})
	noError(t, c.QueuePacketNoWait(socket.NewPacket(socket.WithUri("/first"))))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	noError(t, c.Flush(ctx))
	equal(t, "written", uris(t, s.output()), "/first")
}

// A writer does not write for others for ever: Go gets what is left.
func TestWriteHandsOver(t *testing.T) {
	s := newScript()
	var c *socket.Conn
	handedOver, written := 0, 0
	c = s.conn(socket.Options{Go: func(fn func()) { handedOver++; fn() }})
	s.onWrite = func(b []byte) (int, error) {
		if written++; written < 20 { // someone else, while we write
			noError(t, c.QueuePacket(socket.NewPacket()))
		}
		return len(b), nil
	}
	noError(t, c.QueuePacket(socket.NewPacket()))
	equal(t, "written", written, 20)
	equal(t, "handed over", handedOver, 1)
}

// A write timeout in the middle of a frame ends the Conn: nothing after half a
// frame could be understood.
func TestWriteTimeoutInsideFrame(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			var failures atomic.Int32
			c, peer := kind.connsWith(t, socket.Options{
				QueueLimit:   1,
				OnWriteError: func(error) { failures.Add(1) },
			})
			c.SetWriteTimeout(50 * time.Millisecond)
			var writers sync.WaitGroup
			for range 3 {
				writers.Go(func() {
					err := c.WritePacket(bodyPacket(12 << 20))
					if !isTimeout(err) {
						t.Errorf("got %v, want a timeout", err)
					}
				})
			}
			writers.Wait()
			for name, err := range map[string]error{
				"WritePacket":       c.WritePacket(socket.NewPacket()),
				"QueuePacket":       c.QueuePacket(socket.NewPacket()),
				"QueuePacketNoWait": c.QueuePacketNoWait(socket.NewPacket()),
				"Flush":             c.Flush(context.Background()),
			} {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s afterwards: got %v, want what ended the Conn", name, err)
				}
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write afterwards: got %v, want what ended the Conn", err)
			}
			equal(t, "calls of OnWriteError", failures.Load(), 1)
			equal(t, "queued", c.Queued(), 0)
			if err := socket.NewConn(peer, socket.Options{}).ReadPacket(rawPacket()); err == nil {
				t.Error("the other side read a whole packet")
			}
		})
	}
}

// The deadline is that of each piece, and goes when there is no timeout.
func TestWriteTimeoutTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := net.Pipe()
		defer peer.Close()
		c := socket.NewConn(a, socket.Options{})
		defer c.Close()
		go io.Copy(io.Discard, peer)
		for _, timeout := range []time.Duration{time.Minute, time.Second, 0, time.Minute} {
			c.SetWriteTimeout(timeout)
			for range 3 {
				noError(t, c.WritePacket(socket.NewPacket()))
				time.Sleep(10 * time.Minute)
			}
		}
		c.SetWriteTimeout(0)
		noError(t, c.SetWriteDeadline(time.Now())) // the caller's own
		_ = c.WritePacket(socket.NewPacket())
		noError(t, c.SetWriteDeadline(time.Now()))
		if err := c.WritePacket(socket.NewPacket()); !isTimeout(err) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

func TestWriteErrorOfConn(t *testing.T) {
	errWrite := errors.New("cable cut")
	s := newScript()
	s.onWrite = func([]byte) (int, error) { return 3, errWrite }
	var seen []error
	c := s.conn(socket.Options{OnWriteError: func(err error) { seen = append(seen, err) }})
	wantError(t, c.WritePacket(socket.NewPacket()), errWrite)
	wantError(t, c.WritePacket(socket.NewPacket()), errWrite)
	equal(t, "calls of OnWriteError", len(seen), 1)
	wantError(t, seen[0], errWrite)
	noError(t, c.Close())
	wantError(t, c.WritePacket(socket.NewPacket()), errWrite) // the first cause stays
}

// The reader meets the failure of a flush of its own.
func TestWriteErrorMetByReader(t *testing.T) {
	failed := make(chan error, 1)
	c, peer := tcp.connsWith(t, socket.Options{OnWriteError: func(err error) { failed <- err }})
	noError(t, peer.(*net.TCPConn).SetLinger(0))
	noError(t, peer.Close()) // resets
	for c.ReadPacket(rawPacket()) == nil {
		t.Fatal("read a packet that nobody sent")
	}
	noError(t, c.QueuePacketNoWait(socket.NewPacket()))
	c.FlushSoon()
	if err := <-failed; err == nil {
		t.Error("OnWriteError without an error")
	}
	if err := c.ReadPacket(rawPacket()); err == nil {
		t.Error("read a packet from a failed Conn")
	}
}

// Raw bytes leave in turn with the packets.
func TestWriteRawBetweenPackets(t *testing.T) {
	s := newScript()
	c := s.conn(socket.Options{})
	noError(t, c.QueuePacketNoWait(socket.NewPacket()))
	n, err := c.Write([]byte("raw"))
	equal(t, "n", n, 3)
	noError(t, err)
	noError(t, c.WritePacket(socket.NewPacket()))
	n, err = c.Write(nil)
	equal(t, "n", n, 0)
	noError(t, err)
	equal(t, "size", len(s.output()), 24+3+24)
	equal(t, "raw", string(s.output()[24:27]), "raw")
}

// BenchmarkWriteRead measures one packet after the other through loopback.
func BenchmarkWriteRead(b *testing.B) {
	for _, kind := range connKinds {
		for _, size := range benchSizes {
			b.Run(kind.name+"/body="+byteCount(size), func(b *testing.B) {
				c, conn := kind.conns(b)
				peer := socket.NewConn(conn, socket.Options{})
				p := benchPacket(size)
				var writer sync.WaitGroup
				writer.Go(func() {
					for range b.N {
						if err := c.QueuePacket(p); err != nil {
							b.Error(err)
							return
						}
					}
				})
				in := socket.NewPacket()
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for range b.N {
					in.Reset(socket.WithBody(new([]byte)))
					if err := peer.ReadPacket(in); err != nil {
						b.Fatal(err)
					}
				}
				writer.Wait()
			})
		}
	}
}

// discarding returns a Conn whose writes go nowhere at once.
func discarding() *socket.Conn {
	s := newScript()
	s.onWrite = func(b []byte) (int, error) { return len(b), nil }
	return s.conn(socket.Options{})
}

// BenchmarkQueuePacket packs, queues and flushes one pull after the other, without a kernel.
func BenchmarkQueuePacket(b *testing.B) {
	for _, pull := range benchPulls[:2] {
		for _, size := range benchSizes {
			b.Run(pull.name+"/body="+byteCount(size), func(b *testing.B) {
				c, p := discarding(), benchPacket(size, pull.settings...)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := c.QueuePacket(p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkQueuePacketParallel is BenchmarkQueuePacket with 50 goroutines a processor, whose frames gather.
func BenchmarkQueuePacketParallel(b *testing.B) {
	const size = 581
	c := discarding()
	b.ReportAllocs()
	b.SetBytes(size)
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		p := benchPacket(size)
		for pb.Next() {
			if err := c.QueuePacket(p); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// Who is told of a failed write is told before the reader meets the closed
// conn, or it could not say why.
func TestWriteErrorComesBeforeTheReaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		read := make(chan error, 1)
		told := false
		c := socket.NewConn(a, socket.Options{OnWriteError: func(error) {
			synctest.Wait()
			told = len(read) == 0
		}})
		c.SetWriteTimeout(time.Second)
		go func() { read <- c.ReadPacket(rawPacket()) }()
		wantError(t, c.WritePacket(socket.NewPacket()), os.ErrDeadlineExceeded)
		<-read
		equal(t, "told before", told, true)
		noError(t, c.Close())
	})
}

// A large body is not copied, and yet it is the caller's again when the write
// returns: beside other writers, small packets, and on every kind of conn.
func TestWriteLargeBodyIsGivenBack(t *testing.T) {
	const writers, packets = 6, 12
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, conn := kind.conns(t)
			peer := socket.NewConn(conn, socket.Options{})
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					body := make([]byte, 100<<10+w)
					for i := range packets {
						for j := range body {
							body[j] = byte(w*packets + i)
						}
						p := socket.NewPacket(socket.WithSeq(uint64(i)), socket.WithPtype(byte(w)), socket.WithBody(body))
						if w%2 == 0 {
							p.Meta().Set("k", "v")
						}
						noError(t, c.QueuePacket(p))
						clear(body)
						noError(t, c.QueuePacket(socket.NewPacket(socket.WithSeq(uint64(i)), socket.WithPtype(writers), socket.WithBody([]byte("small")))))
					}
				})
			}
			var next [writers]int
			for range 2 * writers * packets {
				p := rawPacket()
				noError(t, peer.ReadPacket(p))
				body, w := *p.Body().(*[]byte), int(p.Ptype())
				if w == writers {
					equal(t, "small body", string(body), "small")
					continue
				}
				equal(t, "seq", p.Seq(), uint64(next[w]))
				equal(t, "size", len(body), 100<<10+w)
				equal(t, "meta", p.HasMeta(), w%2 == 0)
				if n := bytes.Count(body, []byte{byte(w*packets + next[w])}); n != len(body) {
					t.Fatalf("packet %d of writer %d: %d of %d bytes are right", next[w], w, n, len(body))
				}
				next[w]++
			}
			all.Wait()
		})
	}
}

// It is given back with an error when the conn fails, to those whose turn had
// not come too.
func TestWriteLargeBodyOfFailedConn(t *testing.T) {
	for _, kind := range connKinds {
		t.Run(kind.name, func(t *testing.T) {
			c, _ := kind.connsWith(t, socket.Options{QueueLimit: 64 << 20})
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					body := make([]byte, 12<<20)
					if err := c.QueuePacket(socket.NewPacket(socket.WithBody(body))); err == nil {
						t.Error("a packet that nobody read was written")
					}
					clear(body)
				})
			}
			for c.Queued() <= 2*12<<20 { // the kernel takes a part
				time.Sleep(time.Millisecond)
			}
			c.Close()
			all.Wait()
		})
	}
}

// Of those who do not flush, the first is told to see to it; and who does is
// told whether more came meanwhile.
func TestWriteQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := gate()
		c := s.conn(socket.Options{})
		queue := func(uri string) bool {
			flush, err := c.QueuePacketUnflushed(socket.NewPacket(socket.WithUri(uri)))
			noError(t, err)
			return flush
		}
		equal(t, "the first is to flush", queue("/a"), true)
		equal(t, "the second is to flush", queue("/b"), false)
		more := make(chan bool)
		go func() { more <- c.WriteQueued() }()
		synctest.Wait()
		equal(t, "one who comes while it is written is to flush", queue("/c"), false)
		equal(t, "a second flusher writes", c.WriteQueued(), false)
		open()
		equal(t, "more came meanwhile", <-more, true)
		equal(t, "who comes now is to flush", queue("/d"), false)
		equal(t, "more came again", c.WriteQueued(), false)
		equal(t, "arrived", uris(t, s.output()), "/a /b /c /d")
		equal(t, "queued", c.Queued(), 0)

		equal(t, "alone", c.WritesAlone(), false)
		for range 16 {
			equal(t, "is to flush", queue("/e"), true)
			c.WriteQueued()
		}
		equal(t, "alone", c.WritesAlone(), true)
		queue("/f")
		queue("/g")
		c.WriteQueued()
		equal(t, "alone", c.WritesAlone(), false)
		equal(t, "nothing is there", c.WriteQueued(), false)
	})
}

// Who flushes soon does not rely on one who does when the Conn's turn comes, but the other
// way round.
func TestUnflushedInTurn(t *testing.T) {
	s, open := gate()
	open()
	c := s.conn(socket.Options{})
	queue := func(as func(*socket.Packet) (bool, error), uri string) bool {
		flush, err := as(socket.NewPacket(socket.WithUri(uri)))
		noError(t, err)
		return flush
	}
	for range 2 {
		equal(t, "in turn", queue(c.QueuePacketNeverWaiting, "/a"), true)
		equal(t, "in turn again", queue(c.QueuePacketNeverWaiting, "/b"), false)
		equal(t, "soon", queue(c.QueuePacketUnflushed, "/c"), true)
		equal(t, "soon again", queue(c.QueuePacketUnflushed, "/d"), false)
		equal(t, "more came meanwhile", c.WriteQueued(), false)
		equal(t, "soon", queue(c.QueuePacketUnflushed, "/e"), true)
		equal(t, "in turn", queue(c.QueuePacketNeverWaiting, "/f"), false)
		equal(t, "more came meanwhile", c.WriteQueued(), false)
	}
	equal(t, "arrived", uris(t, s.output()), "/a /b /c /d /e /f /a /b /c /d /e /f")
}

// takesAll is a conn whose kernel takes all, and that calls then when it has a
// number of bytes.
type takesAll struct {
	net.Conn
	left int
	then func()
}

func (s *takesAll) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left <= 0 {
		s.then()
	}
	return len(b), nil
}

// What the kernel has was written, also if the Conn is closed at that moment: by
// the reader, for example, whom the other side's answer told to.
func TestWriteThenClose(t *testing.T) {
	for _, n := range []int{60 << 10, 100 << 10} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			s := &takesAll{Conn: a, left: n + 24}
			c := socket.NewConn(s, socket.Options{})
			s.then = func() { c.Close() }
			noError(t, c.WritePacket(socket.NewPacket(socket.WithBody(make([]byte, n)))))
		})
	}
}
