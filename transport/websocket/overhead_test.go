package websocket_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/transport"
)

// floods are frames of a client that bring next to nothing, to be sent again and again
// after a first one.
var floods = map[string]struct{ first, again string }{
	"pings":             {again: "\x89\x80...."},
	"pongs":             {again: "\x8a\x80...."},
	"empty messages":    {again: "\x82\x80...."},
	"empty frames":      {first: "\x02\x81....x", again: "\x00\x80...."},
	"one byte messages": {again: "\x82\x81....x"},
	"pings in messages": {again: "\x89\x80....\x82\x8c....xxxxxxxxxxxx"},
}

// unmask makes frames of a client those of a server.
func unmask(frames string) string {
	frames = strings.ReplaceAll(frames, "....", "")
	for from, to := range map[string]string{"\x80": "\x00", "\x81": "\x01", "\x8c": "\x0c"} {
		frames = strings.ReplaceAll(frames, from, to)
	}
	return frames
}

// flood sends the frames until nobody takes them any more, but not for ever, and then a
// close frame. It returns what came, to the end.
func flood(raw net.Conn, first, again, last string) string {
	go func() {
		_, _ = io.WriteString(raw, first)
		lot := strings.Repeat(again, 1+4096/len(again))
		for range 100 * max(1, 6/len(again)) { // those of a server are shorter

			if _, err := io.WriteString(raw, lot); err != nil {
				return
			}
		}
		_, _ = io.WriteString(raw, last)
	}()
	got, _ := io.ReadAll(raw)
	return string(got)
}

// readToEnd returns the error that ends the reading of a conn.
func readToEnd(c net.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		ended <- err
	}()
	return ended
}

// Who sends what is nothing, without end, is told to leave.
func TestFlood(t *testing.T) {
	const policy = "\x03\xf0" // 1008
	for name, frames := range floods {
		t.Run(name+" of a client", func(t *testing.T) {
			lis := listen(t, nil)
			raw := upgrade(t, lis.Addr().String())
			ended := readToEnd(accept(t, lis))
			got := flood(raw, frames.first, frames.again, "\x88\x80....")
			if err := receive(t, ended); !errors.Is(err, transport.ErrFlood) {
				t.Errorf("Read returned %v", err)
			}
			if at := strings.IndexByte(got, '\x88'); at < 0 || !strings.HasPrefix(got[min(at+2, len(got)):], policy) {
				t.Errorf("the client got no close frame with 1008, but %.50q", got)
			}
			if pongs := strings.Count(got, "\x8a\x00"); pongs > 200 { // the second may have turned meanwhile
				t.Errorf("%d pings were answered", pongs)
			}
		})
		t.Run(name+" of a server", func(t *testing.T) {
			got := make(chan string, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				raw, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = raw.Close() }()
				key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				_, _ = fmt.Fprintf(raw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
					base64.StdEncoding.EncodeToString(key[:]))
				got <- flood(raw, unmask(frames.first), unmask(frames.again), "\x88\x00")
			}))
			defer srv.Close()
			near := dial(t, "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
			if err := receive(t, readToEnd(near)); !errors.Is(err, transport.ErrFlood) {
				t.Errorf("Read returned %v", err)
			}
			if !strings.Contains(receive(t, got), "\x88\xab") { // masked, with the length of the reason
				t.Error("the server got no close frame")
			}
		})
	}
}

// What is no flood: many small messages, large ones with pings between their frames, and
// Reads of any size.
func TestNoFlood(t *testing.T) {
	for _, size := range []int{1, 100, 1 << 20} {
		lis := listen(t, nil)
		client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), nil)
		noError(t, err)
		defer func() { _ = client.CloseNow() }()
		far := accept(t, lis)
		var sent bytes.Buffer
		for i := range 50_000 {
			fmt.Fprintf(&sent, "%06d", i)
		}
		go func() {
			ctx := context.Background()
			go func() { _, _, _ = client.Read(ctx) }() // pongs
			for rest := bytes.NewBuffer(sent.Bytes()); rest.Len() > 0; {
				_ = client.Write(ctx, coder.MessageBinary, rest.Next(6))
			}
			w, err := client.Writer(ctx, coder.MessageBinary)
			if err != nil {
				return
			}
			for rest := bytes.NewBuffer(sent.Bytes()); rest.Len() > 0; {
				_, _ = w.Write(rest.Next(10_000))
				_ = client.Ping(ctx)
			}
			_ = w.Close()
		}()
		got, b := make([]byte, 0, 2*sent.Len()), make([]byte, size)
		for len(got) < 2*sent.Len() {
			n, err := far.Read(b)
			noError(t, err)
			got = append(got, b[:n]...)
		}
		if !bytes.Equal(got, append(sent.Bytes(), sent.Bytes()...)) {
			t.Errorf("Reads of %d bytes: not what was sent", size)
		}
	}
}
