package memory_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/henrylee2cn/teleport/internal/leak"
	"github.com/henrylee2cn/teleport/internal/memory"
)

func TestMain(m *testing.M) { leak.Main(m) }

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestNames(t *testing.T) {
	_, err := memory.Dial(t.Context(), "a")
	wantError(t, err, syscall.ECONNREFUSED)
	lis, err := memory.Listen("a")
	wantError(t, err, nil)
	if addr := lis.Addr(); addr.Network() != "memory" || addr.String() != "mem://a" {
		t.Errorf("the address is %s of network %s", addr, addr.Network())
	}
	_, err = memory.Listen("a")
	wantError(t, err, syscall.EADDRINUSE)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := lis.Accept()
		accepted <- conn
	}()
	near, err := memory.Dial(t.Context(), "a")
	wantError(t, err, nil)
	far := <-accepted
	defer far.Close()
	defer near.Close()
	if near.RemoteAddr() != lis.Addr() || far.LocalAddr() != lis.Addr() || near.LocalAddr() != far.RemoteAddr() {
		t.Errorf("the addresses are %v, %v and %v, %v", near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr())
	}
	_ = lis.Close()
	_, err = memory.Dial(t.Context(), "a")
	wantError(t, err, syscall.ECONNREFUSED)
	second, err := memory.Listen("a") // the name is free again
	wantError(t, err, nil)
	_ = lis.Close() // that of the first takes nothing from the second
	_, err = memory.Listen("a")
	wantError(t, err, syscall.EADDRINUSE)
	_ = second.Close()
	for _, err := range []error{
		func() error { _, err := memory.Listen(""); return err }(),
		func() error { _, err := memory.Dial(t.Context(), ""); return err }(),
	} {
		if err == nil {
			t.Error("the empty name is taken")
		}
	}
}

// A Dial that waits is refused when the Listener is closed, and ends with its context.
func TestDialWaits(t *testing.T) {
	lis, err := memory.Listen("b")
	wantError(t, err, nil)
	ctx, cancel := context.WithCancel(t.Context())
	refused, cancelled := make(chan error, 1), make(chan error, 1)
	go func() { _, err := memory.Dial(ctx, "b"); cancelled <- err }()
	cancel()
	wantError(t, <-cancelled, context.Canceled)
	go func() { _, err := memory.Dial(t.Context(), "b"); refused <- err }()
	_ = lis.Close()
	wantError(t, <-refused, syscall.ECONNREFUSED)
}
