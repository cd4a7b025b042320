package websocket_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// upgrade returns a TCP conn on which a WebSocket was opened, and nobody reads or
// answers.
func upgrade(t testing.TB, addr string) net.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	noError(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	noError(t, raw.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(raw, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	noError(t, err)
	resp, err := http.ReadResponse(bufio.NewReaderSize(raw, 16), nil)
	noError(t, err)
	equal(t, "status", resp.StatusCode, http.StatusSwitchingProtocols)
	return raw
}

// Who does not answer pings is gone.
func TestPingUnanswered(t *testing.T) {
	lis := listen(t, &websocket.Config{PingInterval: 20 * time.Millisecond, PingTimeout: 20 * time.Millisecond})
	upgrade(t, lis.Addr().String())
	far := accept(t, lis)
	ended := make(chan error, 1)
	go func() {
		_, err := far.Read(make([]byte, 1))
		ended <- err
	}()
	if err := receive(t, ended); !strings.Contains(err.Error(), "ping") {
		t.Errorf("Read returned %v", err)
	}
	if _, err := far.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "ping") {
		t.Errorf("Write returned %v", err)
	}
}

// Who answers lives, however silent; and who is not read from is not judged.
func TestPingAnswered(t *testing.T) {
	lis := listen(t, &websocket.Config{PingInterval: 5 * time.Millisecond, PingTimeout: 50 * time.Millisecond})
	pings := make(chan struct{}, 100)
	client, _, err := coder.Dial(within(t), "ws://"+lis.Addr().String(), &coder.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool {
			select {
			case pings <- struct{}{}:
			default:
			}
			return true
		},
	})
	noError(t, err)
	defer func() { _ = client.CloseNow() }()
	far := accept(t, lis)
	go func() { _, _, _ = client.Read(context.Background()) }()
	for range 5 { // unread: each takes the whole of PingTimeout
		receive(t, pings)
	}
	got := make(chan error, 1)
	go func() {
		_, err := far.Read(make([]byte, 1))
		got <- err
	}()
	for range 50 {
		receive(t, pings)
	}
	noError(t, client.Write(within(t), coder.MessageBinary, []byte("x")))
	noError(t, receive(t, got))
}

// A dialled conn asks too.
func TestPingOfClient(t *testing.T) {
	far, near := pair(t, &websocket.Config{PingInterval: -1}, &websocket.Config{PingInterval: 20 * time.Millisecond, PingTimeout: 20 * time.Millisecond})
	_ = far // nobody reads there, so that nobody answers
	ended := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	if err := receive(t, ended); !strings.Contains(err.Error(), "ping") {
		t.Errorf("Read returned %v", err)
	}
}
