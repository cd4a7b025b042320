package websocket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/transport/websocket"
)

var errTimeout = os.ErrDeadlineExceeded

func TestDialErrors(t *testing.T) {
	elsewhere := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/elsewhere":
			elsewhere <- struct{}{}
		case "/long":
			http.Error(w, strings.Repeat("\n", 1000), http.StatusForbidden)
		}
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	for _, c := range []struct{ addr, want string }{
		{"http://" + addr, "ws://"},
		{"ws://", "ws://"},
		{"ws:///tp", "ws://"},
		{"ws://a b/", "invalid"},
		{"ws://" + addr + "/", "refused with 200"},
		{"ws://" + addr + "/moved", "refused with 302"},
		{"ws://" + addr + "/long", `403: "\n`},
		{"wss://" + addr + "/", "tls"},
	} {
		_, err := websocket.Dial(within(t), c.addr, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Dial(%q) returned %v, want %q in it", c.addr, err, c.want)
		} else if len(err.Error()) > 1000 {
			t.Errorf("Dial(%q) returned an error of %d bytes", c.addr, len(err.Error()))
		}
	}
	if len(elsewhere) > 0 {
		t.Error("a redirect was followed")
	}
	_, err := websocket.Dial(within(t), "ftp://user:secret@example.com", nil)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error has the password: %v", err)
	}
}

// The context bounds Dial, at each of its steps, and not the conn.
func TestDialContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	defer func() { _ = silent.Close() }()
	came := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			came <- conn
		}
	}()
	for _, scheme := range []string{"ws", "wss"} {
		ctx, cancel := context.WithCancel(within(t))
		ended := make(chan error, 1)
		go func() {
			_, err := websocket.Dial(ctx, scheme+"://"+silent.Addr().String(), nil)
			ended <- err
		}()
		far := receive(t, came)
		_, err := io.ReadFull(far, make([]byte, 16)) // of what it says first
		noError(t, err)
		cancel()
		if err := receive(t, ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Dial returned %v", scheme, err)
		}
		if _, err := io.Copy(io.Discard, far); errors.Is(err, errTimeout) {
			t.Errorf("%s: the conn below is open", scheme)
		}
		_ = far.Close()
	}

	lis := listen(t, nil)
	ctx, cancel := context.WithCancel(within(t))
	near, err := websocket.Dial(ctx, "ws://"+lis.Addr().String(), nil)
	noError(t, err)
	defer func() { _ = near.Close() }()
	cancel()
	exchange(t, near, accept(t, lis))
}
