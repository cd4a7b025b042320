package relay_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/henrylee2cn/teleport/tptest/relay"
)

func TestRelayPassesOn(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		sent := pattern(1 << 20)
		var writer sync.WaitGroup
		writer.Go(func() {
			_, _ = from.Write(sent)
			_ = from.CloseWrite()
		})
		wantBytes(t, to, sent)
		wantEnd(t, to)
		writer.Wait()
		// The other direction is open still.
		write(t, to, []byte("after the end"))
		wantBytes(t, from, []byte("after the end"))
		_ = to.Close()
		wantEnd(t, from)

		want := relay.Counts{Conns: 1, Up: int64(len(sent)), Down: 13}
		if d == relay.Down {
			want.Up, want.Down = want.Down, want.Up
		}
		eventually(t, "the connection has ended", func() bool { return r.Counts().Live == 0 })
		if got := r.Counts(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestRelayPassesAResetOn(t *testing.T) {
	both(t, func(t *testing.T, _ *relay.Relay, _ relay.Direction, from, to *net.TCPConn) {
		write(t, to, []byte("the relay has both sides"))
		wantBytes(t, from, []byte("the relay has both sides"))
		_ = from.SetLinger(0)
		_ = from.Close()
		wantReset(t, to)
	})
}

func TestSever(t *testing.T) {
	lis := listen(t)
	r := start(t, lis.Addr().String(), 1)
	if n := r.Sever(); n != 0 {
		t.Errorf("severed %d connections of none", n)
	}
	var ends []*net.TCPConn
	for range 3 {
		ends = append(ends, dial(t, r), accept(t, lis))
	}
	// One is stalled: it must end too.
	r.Set(relay.Both, relay.Faults{Stall: true})
	write(t, ends[0], []byte("held back"))
	if n := r.Sever(); n != 3 {
		t.Errorf("severed %d connections, want 3", n)
	}
	for _, c := range ends {
		wantReset(t, c)
	}
	eventually(t, "all have ended", func() bool { return r.Counts().Live == 0 })

	r.Set(relay.Both, relay.Faults{})
	client, server := dial(t, r), accept(t, lis)
	write(t, client, []byte("again"))
	wantBytes(t, server, []byte("again"))
}

func TestBackendMoves(t *testing.T) {
	first, second := listen(t), listen(t)
	r := start(t, first.Addr().String(), 1)
	client, server := dial(t, r), accept(t, first)

	_ = first.Close()
	refused := dial(t, r)
	wantEnd(t, refused)
	eventually(t, "that is counted", func() bool {
		return r.Counts() == relay.Counts{Conns: 2, Live: 1, Refused: 1}
	})

	r.SetBackend(second.Addr().String())
	client2, server2 := dial(t, r), accept(t, second)
	write(t, client2, []byte("there"))
	wantBytes(t, server2, []byte("there"))
	// The first connection is where it was.
	write(t, server, []byte("here"))
	wantBytes(t, client, []byte("here"))
}

func TestCloseEndsAll(t *testing.T) {
	lis := listen(t)
	r := start(t, lis.Addr().String(), 1)
	client, server := dial(t, r), accept(t, lis)
	r.Set(relay.Both, relay.Faults{Stall: true})
	write(t, client, []byte("held back"))
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error("again: ", err)
	}
	for _, c := range []net.Conn{client, server} {
		// A close with unread bytes is a reset.
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want an end", err)
		}
	}
	if c, err := net.Dial("tcp", r.Addr()); err == nil {
		_ = c.Close()
		t.Error("it listens after Close")
	}
	r.Set(relay.Both, relay.Faults{})
	if n := r.Sever(); n != 0 {
		t.Errorf("severed %d connections after Close", n)
	}
}

// Connections come and go, and faults change, while the relay is closed.
func TestRelayInTurmoil(t *testing.T) {
	lis := listen(t)
	var echoes sync.WaitGroup
	echoes.Go(func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			})
		}
	})
	r := start(t, lis.Addr().String(), 1)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for range 20 {
				c, err := net.Dial("tcp", r.Addr())
				if err != nil {
					return
				}
				_, _ = c.Write(pattern(1000))
				_ = c.(*net.TCPConn).CloseWrite()
				if i%2 == 0 {
					_, _ = io.Copy(io.Discard, c)
				}
				_ = c.Close()
			}
		})
	}
	for i := range 200 {
		f := relay.Faults{Split: []int{1 + i%5, 7}, FlipRate: 0.01}
		switch i % 4 {
		case 0:
			f.Truncate = relay.At(int64(i))
		case 1:
			f.Reset = relay.At(int64(i))
		case 2:
			f.Stall = true
		}
		r.Set(relay.Direction(1+i%3), f)
		if i%10 == 0 {
			r.Sever()
		}
	}
	r.Sever() // none waits for one that is stalled
	_ = r.Close()
	clients.Wait()
	_ = lis.Close()
	echoes.Wait()
}
