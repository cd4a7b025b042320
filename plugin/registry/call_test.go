package registry_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/registry"
	"github.com/henrylee2cn/teleport/socket"
)

// prePull is a plugin with a hook before each pull.
type prePull func(tp.WriteCtx)

func (prePull) Name() string { return "pre-pull" }

func (hook prePull) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
	hook(ctx)
	return nil
}

// counting returns a setting that counts how often it runs.
func counting() (socket.PacketSetting, *atomic.Int32) {
	runs := new(atomic.Int32)
	return func(p *socket.Packet) {
		runs.Add(1)
		p.Meta().Add("k", "v")
	}, runs
}

// The settings of a call run once for each attempt, whether it finds a member, waits for
// one or fails.
func TestSettingsRunOnce(t *testing.T) {
	reg := new(registry.Static)
	c := newClient(t, registry.ClientConfig{Registry: reg, PullTimeout: patience})
	none := newClient(t, registry.ClientConfig{Registry: new(registry.Static), WaitTimeout: -1})
	done := make(chan *tp.PullCmd, 1)
	calls := map[string]func(*registry.Client, socket.PacketSetting) *tp.Rerror{
		"Pull": func(c *registry.Client, set socket.PacketSetting) *tp.Rerror {
			cmd := c.Pull("/who", struct{}{}, nil, nil, set)
			if meta := cmd.Output().Meta().String(); meta != "k=v" || cmd.Output().Uri() != "/who" || cmd.Output().Body() != struct{}{} {
				t.Errorf("the packet is %v", cmd.Output())
			}
			return cmd.Rerror()
		},
		"GoPull": func(c *registry.Client, set socket.PacketSetting) *tp.Rerror {
			c.GoPull("/who", struct{}{}, nil, done, set)
			return receive(t, done).Rerror()
		},
		"Push": func(c *registry.Client, set socket.PacketSetting) *tp.Rerror { return c.Push("/note", "a", set) },
	}
	for name, call := range calls {
		set, runs := counting()
		if rerr := call(none, set); rerr == nil || rerr.Code != tp.CodeDialFailed || runs.Load() != 1 {
			t.Errorf("%s without a member: %v, and the settings ran %d times", name, rerr, runs.Load())
		}
	}
	if _, err := reg.Register(t.Context(), start(t, "127.0.0.1:0", tp.PeerConfig{}).instance(), 0); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		set, runs := counting()
		if rerr := call(c, set); rerr != nil || runs.Load() != 1 {
			t.Errorf("%s: %v, and the settings ran %d times", name, rerr, runs.Load())
		}
	}

	first, second := start(t, "127.0.0.1:0", tp.PeerConfig{MaxSessionHandlers: 1}), start(t, "127.0.0.1:0", tp.PeerConfig{})
	a, b := first.instance(), second.instance()
	b.Priority = 1
	c = newClient(t, registry.ClientConfig{Registry: registry.NewStatic(a, b)})
	healthy(t, c, 2)
	c.GoPull("/wait", struct{}{}, nil, make(chan *tp.PullCmd, 1)) // the first has enough to do
	receive(t, first.waits)
	set, runs := counting()
	if rerr := calls["Pull"](c, set); rerr != nil || runs.Load() != 2 {
		t.Errorf("after a failover: %v, and the settings ran %d times", rerr, runs.Load())
	}
}

// What a caller has said of a pull is what its PullCmd says, and what bounds the wait for
// a member is what it said by when it must be over.
func TestSettingsAreKept(t *testing.T) {
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	c := newClient(t, registry.ClientConfig{Registry: registry.NewStatic(s.instance())})
	for _, set := range [][]socket.PacketSetting{nil, {tp.WithIdempotent()}} {
		cmd := c.Pull("/who", struct{}{}, nil, set...)
		if rerr := cmd.Rerror(); rerr != nil || cmd.Output().Idempotent() != (set != nil) {
			t.Errorf("%v; idempotent: %v", rerr, cmd.Output().Idempotent())
		}
	}
	none := newClient(t, registry.ClientConfig{Registry: new(registry.Static), WaitTimeout: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if rerr := none.Pull("/who", nil, nil, tp.WithContext(ctx)).Rerror(); rerr == nil || rerr.Code != tp.CodeTimeout {
		t.Errorf("got %v", rerr)
	}
	if rerr := none.Push("/note", nil, tp.WithContext(ctx)); rerr == nil || rerr.Code != tp.CodeTimeout {
		t.Errorf("got %v", rerr)
	}
}

// A setting that panics does so in the goroutine of the caller; what ends another one
// leaves nobody without the PullCmd, and counts no pull as under way.
func TestGoPullIsDelivered(t *testing.T) {
	tp.SetRawlogLevel("OFF")
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	first, second := start(t, "127.0.0.1:0", tp.PeerConfig{MaxSessionHandlers: 1}), start(t, "127.0.0.1:0", tp.PeerConfig{})
	a, b := first.instance(), second.instance()
	b.Priority = 1
	var exit atomic.Bool
	peer := quiet(t, tp.PeerConfig{}, prePull(func(tp.WriteCtx) {
		if exit.Load() {
			runtime.Goexit()
		}
	}))
	c := newClientOf(t, peer, registry.ClientConfig{Registry: registry.NewStatic(a, b)})
	healthy(t, c, 2)
	done := make(chan *tp.PullCmd, 1)
	func() {
		defer func() {
			if r := recover(); r != "as asked" {
				t.Errorf("GoPull panicked with %v", r)
			}
		}()
		c.GoPull("/who", struct{}{}, nil, done, func(*socket.Packet) { panic("as asked") })
	}()
	want := func(text string) {
		t.Helper()
		cmd := receive(t, done)
		rerr := cmd.Rerror()
		if rerr == nil || rerr.Code != tp.CodeInternalServerError || !strings.Contains(rerr.Detail, text) || cmd.Output().Uri() != "/who" {
			t.Errorf("the pull of %q got %v, want %q", cmd.Output().Uri(), rerr, text)
		}
		for _, m := range c.Members() {
			if m.Addr == second.addr && m.Pending != 0 {
				t.Errorf("%d pulls are under way on %s", m.Pending, m.Addr)
			}
		}
	}
	exit.Store(true)
	c.GoPull("/who", struct{}{}, nil, done)
	want("ended its goroutine")
	exit.Store(false)
	if n := c.Members(); n[0].Pending != 0 || n[1].Pending != 0 {
		t.Errorf("pulls are under way: %+v", n)
	}

	busy := make(chan *tp.PullCmd, 1)
	c.GoPull("/wait", struct{}{}, nil, busy) // so that another attempt is made
	receive(t, first.waits)
	for text, end := range map[string]func(){"as asked": func() { panic("as asked") }, "ended its goroutine": runtime.Goexit} {
		runs := 0
		c.GoPull("/who", struct{}{}, nil, done, func(*socket.Packet) {
			if runs++; runs == 2 {
				end()
			}
		})
		want(text)
	}
	first.release()
	receive(t, busy)
}

// Code of the user that runs in the goroutines of a client ends neither them nor the
// process.
func TestClientSurvivesItsUser(t *testing.T) {
	tp.SetRawlogLevel("OFF")
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	var protos, told atomic.Int32
	reg := &suddenRegistry{Static: registry.NewStatic(s.instance())}
	c := newClient(t, registry.ClientConfig{
		Registry: reg,
		ProtoFunc: []socket.ProtoFunc{func(rw io.ReadWriter) socket.Proto {
			switch protos.Add(1) {
			case 1:
				panic("as asked")
			case 2:
				runtime.Goexit()
			}
			return socket.NewFastProto(rw)
		}},
		OnError: func(error) {
			if told.Add(1)%2 == 0 {
				runtime.Goexit()
			}
			panic("as asked")
		},
	})
	if got := who(t, c, 3); got[s.addr] != 3 {
		t.Errorf("got %v", got)
	}
	if protos.Load() != 3 || told.Load() < 2 || reg.watches.Load() != 3 {
		t.Errorf("after %d dials and %d watches %d errors were told", protos.Load(), reg.watches.Load(), told.Load())
	}
}

// suddenRegistry is a Registry that fails in the ways of code that knows no better.
type suddenRegistry struct {
	*registry.Static
	watches, registers atomic.Int32
}

func (r *suddenRegistry) Watch(ctx context.Context, service string, changed func([]registry.Instance, error)) error {
	switch r.watches.Add(1) {
	case 1:
		panic("as asked")
	case 2:
		runtime.Goexit()
	}
	return r.Static.Watch(ctx, service, changed)
}

func (r *suddenRegistry) Register(ctx context.Context, i registry.Instance, ttl time.Duration) (registry.Lease, error) {
	switch r.registers.Add(1) {
	case 1:
		panic("as asked")
	case 2:
		runtime.Goexit()
	}
	return r.Static.Register(ctx, i, ttl)
}

func TestAnnouncerSurvivesItsUser(t *testing.T) {
	tp.SetRawlogLevel("OFF")
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	reg := &suddenRegistry{Static: new(registry.Static)}
	var told atomic.Int32
	s := start(t, "127.0.0.1:0", tp.PeerConfig{}, registry.Announce(registry.AnnounceConfig{Registry: reg, Service: "test", OnError: func(error) {
		if told.Add(1) == 1 {
			panic("as asked")
		}
		runtime.Goexit()
	}}))
	awaitKnown(t, reg, s.addr)
	if told.Load() != 2 {
		t.Errorf("%d errors were told", told.Load())
	}
}

// over is a plugin with a hook after each exchange.
type over func()

func (over) Name() string { return "over" }

func (hook over) PostExchange(tp.ExchangeCtx) *tp.Rerror {
	hook()
	return nil
}

// A hook that ends the goroutine of each pull when it is over keeps back no PullCmd.
func TestGoPullIsDeliveredInSpiteOfHooks(t *testing.T) {
	tp.SetRawlogLevel("OFF")
	t.Cleanup(func() { tp.SetRawlogLevel("INFO") })
	s := start(t, "127.0.0.1:0", tp.PeerConfig{})
	reg := new(registry.Static)
	c := newClientOf(t, quiet(t, tp.PeerConfig{}, over(runtime.Goexit)), registry.ClientConfig{Registry: reg, WaitTimeout: -1})
	done := make(chan *tp.PullCmd, 1)
	c.GoPull("/who", struct{}{}, nil, done)
	if rerr := receive(t, done).Rerror(); rerr == nil || rerr.Code != tp.CodeDialFailed {
		t.Errorf("without a member: %v", rerr)
	}
	if err := reg.Set("test", s.instance()); err != nil {
		t.Fatal(err)
	}
	healthy(t, c, 1)
	c.GoPull("/who", struct{}{}, nil, done)
	if rerr := receive(t, done).Rerror(); rerr == nil || rerr.Code != tp.CodeInternalServerError {
		t.Errorf("with one: %v", rerr)
	}
}
