package tp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	_ "github.com/henrylee2cn/teleport/transport/websocket"
)

// rawWebSocket returns a TCP conn on which a WebSocket was opened, and what is read
// from it.
func rawWebSocket(t testing.TB, addr string) (net.Conn, io.Reader) {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(addr, "ws://"), "/")
	raw, err := net.Dial("tcp", host)
	noError(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	noError(t, raw.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(raw, "GET /%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	noError(t, err)
	r := bufio.NewReader(raw)
	resp, err := http.ReadResponse(r, nil)
	noError(t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return raw, r
}

// A client that floods with what is no packet is told to leave, and counted; the others
// are served.
func TestFaultWebSocketFlood(t *testing.T) {
	log := new(logBook)
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"ws://127.0.0.1:0/tp"}, Logger: log})
	echo(srv)
	addr := serveWebSocket(t, srv, "ws")
	healthy := dial(t, newPeer(t, tp.PeerConfig{}), addr)
	for i, frame := range []string{"\x89\x80....", "\x82\x80...."} {
		raw, answers := rawWebSocket(t, addr)
		go func() {
			for range 100 {
				if _, err := io.WriteString(raw, strings.Repeat(frame, 1000)); err != nil {
					return
				}
			}
			_, _ = io.WriteString(raw, "\x88\x80....")
		}()
		got, _ := io.ReadAll(answers)
		if !strings.Contains(string(got), "\x03\xf0") {
			t.Errorf("%q: no close frame with 1008 came, but %.50q", frame, got)
		}
		eventually(t, "it is counted", func() bool { return srv.Stats().Refused["conduct"] == uint64(i+1) })
		noRerror(t, healthy.Pull("/echo", "x", nil).Rerror())
	}
	eventually(t, "its sessions are gone", func() bool { return srv.CountSession() == 1 })
	for _, want := range []string{"pings in a second", "no contents of messages"} {
		if !log.contains(want) {
			t.Errorf("the log does not have %q:\n%s", want, log)
		}
	}
}

// What a WebSocket sends that is no packet, or a little of one, does not give it more time
// to be let in.
func TestFaultWebSocketNeverAuthenticates(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"ws://127.0.0.1:0/tp"}, AcceptTimeout: 200 * time.Millisecond},
		&sessionHooks{accept: func(s tp.PreSession) *tp.Rerror {
			var token string
			return tp.ToRerror(s.Receive(socket.NewPacket(socket.WithBody(&token))))
		}})
	addr := serveWebSocket(t, srv, "ws")
	packet := jsonPull(1, "/token", strings.Repeat("1", 1000)).bytes()
	for i, frame := range []func(i int) string{
		func(int) string { return "\x89\x80...." },
		func(int) string { return "\x82\x80...." },
		func(i int) string { return "\x82\x81\x00\x00\x00\x00" + string(packet[min(i, len(packet)-2)]) },
	} {
		raw, answers := rawWebSocket(t, addr)
		go func() {
			for i := 0; ; i++ {
				if _, err := io.WriteString(raw, frame(i)); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
		_, err := io.Copy(io.Discard, answers)
		_ = raw.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("kind %d: not closed", i)
		}
		eventually(t, "it is counted", func() bool { return srv.Stats().Refused["accept"] == uint64(i+1) })
	}
}

// The length that a message claims takes no memory, before and after its client is let in.
func TestFaultWebSocketClaims(t *testing.T) {
	conns := size(50, 500)
	srv := newPeer(t, tp.PeerConfig{ListenAddrs: []string{"ws://127.0.0.1:0/tp"}})
	addr := serveWebSocket(t, srv, "ws")
	before := heap()
	for range conns {
		raw, _ := rawWebSocket(t, addr)
		// A message of 2^40 bytes, whose first packet has 15 MiB.
		_, err := io.WriteString(raw, "\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00"+"\x00\x00\x00\x00"+"\x00\xf0\x00\x00\x66\x00"+strings.Repeat("\x00", 10_000))
		noError(t, err)
	}
	eventually(t, "all are there", func() bool { return srv.CountSession() == conns })
	eventually(t, "all has arrived", func() bool { return srv.Stats().Traffic.BytesIn >= uint64(conns*4096) })
	if each := (heap() - before) / conns; each > 256<<10 {
		t.Errorf("each takes %d bytes", each)
	}
}
