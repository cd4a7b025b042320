package websocket_test

import (
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/transport"
	"github.com/henrylee2cn/teleport/transport/websocket"
)

// The schemes are there by import; the TLS configuration is the peer's.
func TestTransports(t *testing.T) {
	server, client := newTLS(t)
	for _, scheme := range []string{"ws", "wss"} {
		tr, err := transport.Get(scheme)
		noError(t, err)
		lis, err := tr.Listen("127.0.0.1:0/tp", server)
		noError(t, err)
		addr := lis.Addr().String()
		near, err := tr.Dial(within(t), addr+"/tp", client)
		noError(t, err)
		exchange(t, near, accept(t, lis))
		noError(t, near.Close())
		if _, err := tr.Dial(within(t), addr, client); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("%s: Dial without the path returned %v", scheme, err)
		}
		noError(t, lis.Close())
	}
	secure, err := transport.Get("wss")
	noError(t, err)
	if lis, err := secure.Listen("127.0.0.1:0", nil); err == nil || lis != nil || !strings.Contains(err.Error(), "TlsCertFile") {
		t.Errorf("Listen of wss without TLS returned %v, %v", lis, err)
	}
}

// A Transport of the program's own has a Config, whose TLS is that of peers without.
func TestNew(t *testing.T) {
	server, client := newTLS(t)
	other, _ := newTLS(t)
	tr := websocket.New(true, &websocket.Config{TLSConfig: server, Origins: []string{"a"}})
	lis, err := tr.Listen("127.0.0.1:0", nil)
	noError(t, err)
	near := dial(t, "wss://"+lis.Addr().String(), &websocket.Config{TLSConfig: client})
	exchange(t, near, accept(t, lis))
	noError(t, lis.Close())

	lis, err = tr.Listen("127.0.0.1:0", other)
	noError(t, err)
	if _, err := websocket.Dial(within(t), "wss://"+lis.Addr().String(), &websocket.Config{TLSConfig: client}); err == nil {
		t.Error("the peer's own TLS configuration was not used")
	}
	noError(t, lis.Close())
	if _, err := websocket.New(false, &websocket.Config{Origins: []string{""}}).Listen("127.0.0.1:0", nil); err == nil {
		t.Error("a Config that cannot work is no error")
	}
}
