package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/henrylee2cn/teleport/tptest/relay"
)

// After a Split every byte has a Delay, which a receiver that reads at once
// sees as pieces.
func TestSplit(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		r.Set(d, relay.Faults{Split: []int{1, 3}, Delay: 30 * time.Millisecond})
		sent := pattern(40)
		write(t, from, sent)
		var got []byte
		pieces := 0
		for buf := make([]byte, 64); len(got) < len(sent); pieces++ {
			n, err := to.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("got %v, want %v", got, sent)
		}
		// 20 when this machine is not busy: some may have come together.
		if pieces < 5 || pieces > 20 {
			t.Errorf("it came in %d pieces, want about 20", pieces)
		}
	})
}

func TestSplitLeavesTheOtherDirection(t *testing.T) {
	r, client, server := connect(t, 1)
	r.Set(relay.Up, relay.Faults{Delay: time.Hour})
	write(t, client, []byte("late"))
	write(t, server, []byte("early"))
	wantBytes(t, client, []byte("early"))
	wantSilence(t, server)
	// A wait follows what is set meanwhile.
	r.Set(relay.Up, relay.Faults{})
	wantBytes(t, server, []byte("late"))
}

func TestTruncate(t *testing.T) {
	for _, n := range []int64{0, 1, 7, 1000, 40_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
				r.Set(d, relay.Faults{Truncate: relay.At(n)})
				sent := pattern(100_000)
				var writer sync.WaitGroup
				writer.Go(func() { _, _ = from.Write(sent) })
				wantBytes(t, to, sent[:n])
				wantEnd(t, to)
				wantEnd(t, from) // no reset, though it sent more
				writer.Wait()
				_, _ = from.Close(), to.Close()
				eventually(t, "the connection has ended", func() bool { return r.Counts().Live == 0 })
				if c := r.Counts(); c.Up+c.Down != n {
					t.Errorf("%d bytes got through, want %d", c.Up+c.Down, n)
				}
			})
		})
	}
}

// A side that writes on, more than any kernel holds, is not held up.
func TestTruncateThrowsTheRestAway(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		r.Set(d, relay.Faults{Truncate: relay.At(3)})
		write(t, from, pattern(40<<20))
		wantBytes(t, to, pattern(3))
		wantEnd(t, to)
		wantEnd(t, from)
	})
}

func TestTruncateFromTheStart(t *testing.T) {
	lis := listen(t)
	r := start(t, lis.Addr().String(), 1)
	r.Set(relay.Down, relay.Faults{Truncate: relay.At(0)})
	client, server := dial(t, r), accept(t, lis)
	wantEnd(t, client)
	wantEnd(t, server)
}

func TestTruncateOfWhatHasPassed(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		write(t, from, []byte("0123456789"))
		wantBytes(t, to, []byte("0123456789"))
		r.Set(d, relay.Faults{Truncate: relay.At(5)})
		wantEnd(t, to)
		wantEnd(t, from)
	})
}

func TestReset(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		r.Set(d, relay.Faults{Reset: relay.At(4)})
		write(t, from, []byte("012"))
		wantBytes(t, to, []byte("012"))
		wantSilence(t, to)
		write(t, from, []byte("34"))
		wantReset(t, to)
		wantReset(t, from)
		eventually(t, "the connection has ended", func() bool { return r.Counts().Live == 0 })
		if c := r.Counts(); c.Up+c.Down != 4 {
			t.Errorf("%d bytes got through, want 4", c.Up+c.Down)
		}
	})
}

func TestStallAndResume(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		write(t, from, []byte("before "))
		wantBytes(t, to, []byte("before "))
		r.Set(d, relay.Faults{Stall: true})
		write(t, from, []byte("held back"))
		_ = from.CloseWrite()
		wantSilence(t, to) // neither bytes nor the end
		write(t, to, []byte("the other way"))
		wantBytes(t, from, []byte("the other way"))
		r.Set(d, relay.Faults{})
		wantBytes(t, to, []byte("held back"))
		wantEnd(t, to)
	})
}

func TestStallHoldsAResetBack(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		write(t, to, []byte("the relay has both sides"))
		wantBytes(t, from, []byte("the relay has both sides"))
		r.Set(d, relay.Faults{Stall: true})
		_ = from.SetLinger(0)
		_ = from.Close()
		wantSilence(t, to)
		r.Set(d, relay.Faults{})
		wantReset(t, to)
	})
}

func TestFlip(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		flip := map[int64]byte{0: 1, 10: 0x80, 20_000: 0xff}
		r.Set(d, relay.Faults{Flip: flip})
		delete(flip, 0) // it is the relay's own
		sent := pattern(30_000)
		write(t, from, sent)
		want := bytes.Clone(sent)
		want[0] ^= 1
		want[10] ^= 0x80
		want[20_000] ^= 0xff
		wantBytes(t, to, want)
	})
}

// flipped returns what became of sent on the second connection of a relay.
func flipped(t *testing.T, seed uint64, d relay.Direction, f relay.Faults, sent []byte) []byte {
	t.Helper()
	lis := listen(t)
	r := start(t, lis.Addr().String(), seed)
	dial(t, r)
	accept(t, lis)
	r.SetNext(d, f)
	from, to := dial(t, r), accept(t, lis)
	if d == relay.Down {
		from, to = to, from
	}
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() { _, _ = from.Write(sent) })
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSameSeedSameFaults(t *testing.T) {
	sent := pattern(50_000)
	f := relay.Faults{FlipRate: 0.01}
	first := flipped(t, 7, relay.Up, f, sent)
	changed := 0
	for i := range sent {
		if n := bits.OnesCount8(first[i] ^ sent[i]); n > 1 {
			t.Fatalf("%d bits of byte %d are changed", n, i)
		} else {
			changed += n
		}
	}
	if changed < 350 || changed > 650 {
		t.Errorf("%d bits of %d bytes are changed, want about 500", changed, len(sent))
	}
	f.Split = []int{999, 1} // how it comes does not matter
	if !bytes.Equal(first, flipped(t, 7, relay.Up, f, sent)) {
		t.Error("the same seed made other faults")
	}
	if bytes.Equal(first, flipped(t, 8, relay.Up, f, sent)) {
		t.Error("another seed made the same faults")
	}
	if bytes.Equal(first, flipped(t, 7, relay.Down, f, sent)) {
		t.Error("both directions have the same faults")
	}
}

func TestSetNextLeavesLiveConnections(t *testing.T) {
	lis := listen(t)
	r := start(t, lis.Addr().String(), 1)
	client, server := dial(t, r), accept(t, lis)
	r.SetNext(relay.Both, relay.Faults{Flip: map[int64]byte{0: 1}})
	client2, server2 := dial(t, r), accept(t, lis)
	for _, c := range []net.Conn{client, client2, server, server2} {
		write(t, c, []byte{2})
	}
	wantBytes(t, server, []byte{2})
	wantBytes(t, client, []byte{2})
	wantBytes(t, server2, []byte{3})
	wantBytes(t, client2, []byte{3})
}

// No test measures time, so this one only shows that less gets through than
// was sent, and all of it when the bound is gone.
func TestBandwidth(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		r.Set(d, relay.Faults{Bandwidth: 1})
		sent := pattern(100_000)
		write(t, from, sent)
		wantBytes(t, to, sent[:1])
		if c := r.Counts(); c.Up+c.Down > 100 {
			t.Errorf("%d bytes got through at once", c.Up+c.Down)
		}
		r.Set(d, relay.Faults{})
		wantBytes(t, to, sent[1:])
	})
}

func TestJitter(t *testing.T) {
	both(t, func(t *testing.T, r *relay.Relay, d relay.Direction, from, to *net.TCPConn) {
		r.Set(d, relay.Faults{Jitter: 1000 * time.Hour})
		write(t, from, []byte("late"))
		wantSilence(t, to)
		r.Set(d, relay.Faults{Jitter: time.Nanosecond})
		wantBytes(t, to, []byte("late"))
	})
}

func TestFaultsWithoutMeaning(t *testing.T) {
	r := start(t, "127.0.0.1:1", 1)
	for want, fn := range map[string]func(){
		"Delay":     func() { r.Set(relay.Up, relay.Faults{Delay: -1}) },
		"Jitter":    func() { r.Set(relay.Up, relay.Faults{Jitter: -1}) },
		"Bandwidth": func() { r.SetNext(relay.Up, relay.Faults{Bandwidth: -1}) },
		"FlipRate":  func() { r.Set(relay.Down, relay.Faults{FlipRate: 1.1}) },
		"Split":     func() { r.Set(relay.Both, relay.Faults{Split: []int{1, 0}}) },
		"At(-1)":    func() { relay.At(-1) },
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) {
					t.Errorf("%s: the panic is %q", want, msg)
				}
			}()
			fn()
		}()
	}
}

func TestDirectionString(t *testing.T) {
	if got := fmt.Sprint(relay.Up, relay.Down, relay.Both, relay.Direction(9)); got != "up down both Direction(9)" {
		t.Error(got)
	}
}
