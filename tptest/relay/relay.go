package relay

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// acceptPause follows an accept that failed (out of file descriptors).
	acceptPause = 10 * time.Millisecond
)

// Relay passes on what clients and a server send to each other, with faults.
// It is safe for concurrent use, and must be closed. The zero value does not
// work: use New.
//
// Goroutines: one that accepts, and two for each connection. Close waits for
// all of them.
type Relay struct {
	lis    net.Listener
	seed   uint64
	life   context.Context // ends when Close begins
	die    context.CancelFunc
	all    sync.WaitGroup
	passed [2]atomic.Int64 // bytes up and down

	mu      sync.Mutex // protects following
	backend string
	next    [2]Faults // up and down, of connections that come
	live    map[*conn]struct{}
	conns   int
	refused int
}

// Counts is what a relay has done.
type Counts struct {
	Conns   int   // connections that were accepted
	Live    int   // those of them that have not ended
	Refused int   // those of them for which the server could not be reached
	Up      int64 // bytes that the server was sent
	Down    int64 // bytes that the clients were sent
}

// New returns a relay that listens on a free port of 127.0.0.1 and connects
// each client to the backend, a TCP address. It has no faults until Set.
//
// What Faults draw at random (Jitter, FlipRate) depends on the seed, on how
// many connections were accepted before, on the direction, and on the number
// of the byte, and on nothing else: the same seed makes the same faults.
func New(backend string, seed uint64) (*Relay, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{lis: lis, seed: seed, backend: backend, live: make(map[*conn]struct{})}
	r.life, r.die = context.WithCancel(context.Background())
	r.all.Go(r.accept)
	return r, nil
}

// Addr returns the address that clients dial, "127.0.0.1:port".
func (r *Relay) Addr() string { return r.lis.Addr().String() }

// Set replaces the faults of a direction, of all connections that live and of
// those that come. It panics when a value has no meaning, such as a negative
// size.
//
// What waits (Delay, Bandwidth, Stall) waits from then on as f says. Split
// begins anew with the first size. Offsets go on being counted from where the
// connection began.
func (r *Relay) Set(d Direction, f Faults) { r.set(d, f, true) }

// SetNext is Set for connections that come, and leaves those that live as they
// are.
func (r *Relay) SetNext(d Direction, f Faults) { r.set(d, f, false) }

func (r *Relay) set(d Direction, f Faults, live bool) {
	f = f.checked()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, one := range [2]Direction{Up, Down} {
		if d&one == 0 {
			continue
		}
		r.next[i] = f
		if live {
			for c := range r.live {
				c.pumps[i].set(f)
			}
		}
	}
}

// SetBackend changes the address of the server, for connections that come.
func (r *Relay) SetBackend(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backend = addr
}

// Sever resets all connections that live (RST, to both sides), and returns how
// many these were. The relay goes on.
func (r *Relay) Sever() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.live {
		c.cut(true)
	}
	return len(r.live)
}

// Counts returns what the relay has done up to now.
func (r *Relay) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{
		Conns: r.conns, Live: len(r.live), Refused: r.refused,
		Up: r.passed[0].Load(), Down: r.passed[1].Load(),
	}
}

// Close stops listening, closes all connections, and waits until all has
// ended. Closing again does nothing more and returns the same.
func (r *Relay) Close() error {
	r.die() // first: what was accepted and is not in live yet sees it
	_ = r.lis.Close()
	r.mu.Lock()
	for c := range r.live {
		c.cut(false)
	}
	r.mu.Unlock()
	r.all.Wait()
	return nil
}

// accept is the goroutine of the listener.
func (r *Relay) accept() {
	for {
		client, err := r.lis.Accept()
		if err == nil {
			r.take(client.(*net.TCPConn))
			continue
		}
		select {
		case <-r.life.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

// take begins a connection.
func (r *Relay) take(client *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Err() != nil { // Close may not see this one
		_ = client.Close()
		return
	}
	c := newConn(client)
	for i := range c.pumps {
		c.pumps[i] = &pump{
			conn:   c,
			key:    mix(mix(r.seed)+uint64(r.conns)<<1) + uint64(i),
			passed: &r.passed[i],
			faults: r.next[i],
		}
	}
	r.conns++
	r.live[c] = struct{}{}
	backend := r.backend
	r.all.Go(func() { r.serve(c, backend) })
}

// serve is the first goroutine of a connection.
func (r *Relay) serve(c *conn, backend string) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.live, c)
	}()
	defer c.cut(false)
	dialer := net.Dialer{Timeout: dialTimeout}
	// Not bounded by c.life: what Sever cuts now is to be a reset there too.
	server, err := dialer.DialContext(r.life, "tcp", backend)
	if err != nil {
		if r.life.Err() == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refused++
		}
		return
	}
	if !c.join(server.(*net.TCPConn)) {
		return
	}
	var up sync.WaitGroup
	up.Go(c.pumps[0].run)
	c.pumps[1].run()
	up.Wait()
}
