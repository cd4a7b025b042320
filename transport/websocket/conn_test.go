package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// exchange sends 1 MiB each way at once.
func exchange(t *testing.T, a, b net.Conn) {
	t.Helper()
	var all sync.WaitGroup
	for i, side := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
		sent := bytes.Repeat([]byte{byte(i), 1, 2, 3, 4, 5, 6}, 150_000)
		all.Go(func() {
			for rest := sent; len(rest) > 0; {
				n, err := side.from.Write(rest[:min(len(rest), 100_000)])
				if err != nil {
					t.Errorf("Write: %v", err)
					return
				}
				rest = rest[n:]
			}
		})
		all.Go(func() {
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(side.to, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("what arrived is not what was sent, or %v", err)
			}
		})
	}
	all.Wait()
}

func TestConnCarriesBytes(t *testing.T) {
	far, near := pair(t, nil, nil)
	exchange(t, near, far)
	equal(t, "the client's own address", near.LocalAddr().String(), far.RemoteAddr().String())
	equal(t, "the server's address", near.RemoteAddr().String(), far.LocalAddr().String())
	for _, c := range []net.Conn{near, far} {
		if _, ok := c.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
			t.Error("NetConn is no TCP conn")
		}
	}
}

func TestConnOverTLS(t *testing.T) {
	server, client := newTLS(t)
	server.NextProtos = []string{"h2"} // of another use of the same configuration
	lis := listen(t, &websocket.Config{TLSConfig: server})
	near := dial(t, "wss://"+lis.Addr().String(), &websocket.Config{TLSConfig: client})
	far := accept(t, lis)
	exchange(t, near, far)
	if _, ok := far.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
		t.Error("NetConn is no TCP conn")
	}
	if _, err := websocket.Dial(within(t), "wss://"+lis.Addr().String(), nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Dial without the root: %v", err)
	}
	if _, err := websocket.Dial(within(t), "ws://"+lis.Addr().String(), nil); err == nil {
		t.Error("a plain WebSocket was let in")
	}
}

// What was written before CloseWrite is read to the end, on both sides.
func TestConnCloseWrite(t *testing.T) {
	for _, first := range []string{"server", "client", "both"} {
		t.Run(first, func(t *testing.T) {
			far, near := pair(t, nil, nil)
			body := bytes.Repeat([]byte("x"), 1<<20)
			var all sync.WaitGroup
			for _, c := range []net.Conn{far, near} {
				all.Go(func() {
					for range 4 {
						if _, err := c.Write(body); err != nil {
							t.Errorf("Write: %v", err)
						}
					}
				})
				all.Go(func() {
					if _, err := io.CopyN(io.Discard, c, int64(4*len(body))); err != nil {
						t.Errorf("Read: %v", err)
					}
				})
			}
			all.Wait()
			for _, c := range []net.Conn{far, near} {
				if first == "both" || (first == "server") == (c == far) {
					_, err := c.Write([]byte("bye"))
					noError(t, err)
					noError(t, c.(interface{ CloseWrite() error }).CloseWrite())
					if _, err := c.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
						t.Errorf("Write after CloseWrite: %v", err)
					}
				}
			}
			for _, c := range []net.Conn{far, near} {
				all.Go(func() {
					want := "bye"
					if first != "both" && (first == "server") == (c == far) {
						want = ""
					}
					got, err := io.ReadAll(c)
					if err != nil || string(got) != want {
						t.Errorf("at the end came %q, %v, want %q and EOF", got, err, want)
					}
				})
			}
			all.Wait()
			if _, err := near.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after the end: %v", err)
			}
			for _, c := range []net.Conn{far, near} {
				noError(t, c.Close())
				if err := c.Close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the second Close returned %v", err)
				}
				if err := c.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("CloseWrite after Close returned %v", err)
				}
			}
		})
	}
}

// Nothing follows a close frame: no answer to a ping, and no second close frame.
func TestConnSaysNothingAfterCloseWrite(t *testing.T) {
	lis := listen(t, nil)
	raw := upgrade(t, lis.Addr().String())
	far := accept(t, lis)
	noError(t, far.(interface{ CloseWrite() error }).CloseWrite())
	noError(t, far.(interface{ CloseWrite() error }).CloseWrite()) // changes nothing
	mask := []byte{0, 0, 0, 0}
	_, err := raw.Write(slices.Concat([]byte{0x89, 0x80}, mask, []byte{0x82, 0x81}, mask, []byte("x"), []byte{0x88, 0x82}, mask, []byte{0x03, 0xe8}))
	noError(t, err)
	last, err := io.ReadAll(far)
	noError(t, err)
	equal(t, "what came after CloseWrite", string(last), "x")
	got, err := io.ReadAll(raw)
	noError(t, err)
	equal(t, "what was sent", string(got), "\x88\x02\x03\xe8")
}

// Close ends what waits, on this side as closed, on the other as cut off.
func TestConnClose(t *testing.T) {
	far, near := pair(t, nil, nil)
	ended := make(chan error, 3)
	for _, c := range []net.Conn{far, near} {
		go func() {
			_, err := io.ReadAll(c)
			ended <- err
		}()
	}
	blocked := make(chan struct{})
	go func() { // nobody reads so much
		defer close(blocked)
		for {
			if _, err := near.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	noError(t, near.Close())
	receive(t, blocked)
	closed, cut := 0, 0
	for range cap(ended) {
		switch err := receive(t, ended); {
		case errors.Is(err, net.ErrClosed):
			closed++
		case errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "reset"):
			cut++
		default:
			t.Errorf("unexpected error: %v", err)
		}
	}
	if closed != 2 || cut != 1 {
		t.Errorf("%d closed, %d cut off", closed, cut)
	}
}

func TestConnReadDeadline(t *testing.T) {
	lis := listen(t, nil)
	raw := upgrade(t, lis.Addr().String())
	far := accept(t, lis)
	// A frame of 8 bytes, of which 4 come: they are masked and of no use alone.
	_, err := raw.Write([]byte{0x82, 0x88, 1, 2, 3, 4, 'a', 'b', 'c', 'd'})
	noError(t, err)
	noError(t, far.SetDeadline(time.Now().Add(50*time.Millisecond)))
	n, err := far.Read(make([]byte, 100))
	var timeout net.Error
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("Read returned %d, %v", n, err)
	}
	noError(t, far.SetReadDeadline(time.Time{}))
	if _, again := far.Read(make([]byte, 100)); again == nil || again.Error() != err.Error() {
		t.Errorf("the next Read returned %v", again)
	}
}

// A Write has its deadline, also one that is set while it waits. What is no Write
// has none: the answer to a ping goes out long after it.
func TestConnWriteDeadline(t *testing.T) {
	for _, when := range []string{"before", "meanwhile"} {
		t.Run(when, func(t *testing.T) {
			_, near := pair(t, nil, nil)
			if when == "before" {
				noError(t, near.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
			} else {
				time.AfterFunc(50*time.Millisecond, func() { _ = near.SetDeadline(time.Now()) })
			}
			var err error
			for err == nil {
				_, err = near.Write(make([]byte, 1<<20))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write returned %v", err)
			}
		})
	}
	lis := listen(t, nil)
	client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), nil)
	noError(t, err)
	defer func() { _ = client.CloseNow() }()
	far := accept(t, lis)
	deadline := time.Now().Add(time.Second)
	noError(t, far.SetWriteDeadline(deadline))
	_, err = far.Write([]byte("in time"))
	noError(t, err)
	time.Sleep(time.Until(deadline))
	go func() { _, _ = io.Copy(io.Discard, far) }()
	got := make(chan string, 1)
	go func() {
		_, b, _ := client.Read(context.Background())
		got <- string(b)
		_, _, _ = client.Read(context.Background())
	}()
	equal(t, "message", receive(t, got), "in time")
	noError(t, client.Ping(within(t)))
	if _, err := far.Write([]byte("too late")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write after its deadline returned %v", err)
	}
}

// What a client sends that is no stream of packets ends the conn, and the client
// learns why.
func TestConnRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind coder.MessageType
		size int
		want coder.StatusCode
		err  string
	}{
		"a text message":      {coder.MessageText, 10, coder.StatusUnsupportedData, "text"},
		"too long a message":  {coder.MessageBinary, 1001, coder.StatusMessageTooBig, "too big"},
		"the longest message": {coder.MessageBinary, 1000, coder.StatusNormalClosure, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			lis := listen(t, &websocket.Config{ReadLimit: 1000})
			client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), nil)
			noError(t, err)
			defer func() { _ = client.CloseNow() }()
			far := accept(t, lis)
			ended := make(chan error, 1)
			go func() {
				b := make([]byte, 300)
				for {
					if _, err := far.Read(b); err != nil {
						ended <- err
						return
					}
				}
			}()
			noError(t, client.Write(within(t), c.kind, make([]byte, c.size)))
			if c.want == coder.StatusNormalClosure {
				noError(t, client.Close(c.want, ""))
			} else {
				_, _, err = client.Read(within(t))
				equal(t, "status", coder.CloseStatus(err), c.want)
			}
			if err := receive(t, ended); !strings.Contains(err.Error(), c.err) {
				t.Errorf("Read returned %v, want %q in it", err, c.err)
			}
		})
	}
}

// Of the ways in which the other side may close, some are an orderly end.
func TestConnEnds(t *testing.T) {
	for code, want := range map[coder.StatusCode]string{
		coder.StatusNormalClosure:   "EOF",
		coder.StatusGoingAway:       "EOF",
		coder.StatusNoStatusRcvd:    "EOF",
		coder.StatusPolicyViolation: "policy",
		-1:                          "unexpected EOF",
	} {
		lis := listen(t, nil)
		client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), nil)
		noError(t, err)
		far := accept(t, lis)
		noError(t, client.Write(within(t), coder.MessageBinary, []byte("last")))
		go func() {
			if code < 0 {
				_ = client.CloseNow()
				return
			}
			_ = client.Close(code, "policy")
		}()
		b := make([]byte, 10)
		n, err := far.Read(b)
		noError(t, err)
		equal(t, "message", string(b[:n]), "last")
		_, err = far.Read(b)
		orderly := err == io.EOF
		if orderly != (want == "EOF") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: Read returned %v, want %s", code, err, want)
		}
	}
}

// Empty messages and Writes are nothing, and a message may come in any pieces.
func TestConnPieces(t *testing.T) {
	lis := listen(t, nil)
	client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), nil)
	noError(t, err)
	defer func() { _ = client.CloseNow() }()
	far := accept(t, lis)
	go func() {
		_ = client.Write(context.Background(), coder.MessageBinary, nil)
		w, err := client.Writer(context.Background(), coder.MessageBinary)
		if err != nil {
			return
		}
		for _, piece := range []string{"a", "", "bc", "def"} {
			_, _ = io.WriteString(w, piece)
		}
		_ = w.Close()
		_ = client.Write(context.Background(), coder.MessageBinary, []byte("ghi"))
	}()
	got := make([]byte, 9)
	_, err = io.ReadFull(far, got)
	noError(t, err)
	equal(t, "bytes", string(got), "abcdefghi")

	n, err := far.Write(nil)
	noError(t, err)
	equal(t, "bytes written", n, 0)
	n, err = far.Read(nil)
	noError(t, err)
	equal(t, "bytes read", n, 0)
	_, err = far.Write([]byte("one"))
	noError(t, err)
	_, b, err := client.Read(within(t))
	noError(t, err)
	equal(t, "message", string(b), "one")
}
