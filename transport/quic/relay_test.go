package quic_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// relay passes on the datagrams between clients and a server, but for those that get
// lost. What is drawn follows from the seed and the order in which they come.
type relay struct {
	front  *net.UDPConn // of clients
	server *net.UDPAddr
	work   sync.WaitGroup // each read loop, each datagram under way

	mu     sync.Mutex // protects following
	draws  *rand.Rand
	faults faults
	flows  map[string]*net.UDPConn // to the server, by the client's address
	lost   int
	closed bool
}

// faults are those of a relay, in both directions.
type faults struct {
	seed  uint64
	loss  float64 // the chance of each datagram
	delay time.Duration
	// jitter is what delay is longer by at most: those with less overtake others.
	jitter time.Duration
}

func newRelay(t testing.TB, server string, f faults) *relay {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{
		front: front, server: at, faults: f,
		draws: rand.New(rand.NewPCG(f.seed, 0)), flows: make(map[string]*net.UDPConn),
	}
	r.work.Go(func() { r.pass(front, r.up) })
	t.Cleanup(r.close)
	return r
}

func (r *relay) addr() string { return r.front.LocalAddr().String() }

// set changes the faults, but for the seed.
func (r *relay) set(f faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = f
}

// moveClients makes the server see all clients at other addresses, as a NAT does that
// has forgotten them.
func (r *relay) moveClients() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, flow := range r.flows {
		_ = flow.Close()
		delete(r.flows, client)
	}
}

// countLost returns how many datagrams got lost.
func (r *relay) countLost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	_ = r.front.Close()
	for _, flow := range r.flows {
		_ = flow.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// pass reads datagrams until the socket is closed, and sends each by what way says.
func (r *relay) pass(from *net.UDPConn, way func(from *net.UDPAddr) func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		n, addr, err := from.ReadFromUDP(buf)
		if err != nil {
			return
		}
		send := way(addr)
		if send == nil {
			continue
		}
		datagram := append([]byte(nil), buf[:n]...)
		r.mu.Lock()
		f := r.faults
		lost := r.draws.Float64() < f.loss
		wait := f.delay + time.Duration(r.draws.Float64()*float64(f.jitter))
		late := r.closed
		if lost {
			r.lost++
		} else if wait > 0 && !late {
			r.work.Add(1)
		}
		r.mu.Unlock()
		switch {
		case lost || late:
		case wait == 0:
			send(datagram)
		default:
			time.AfterFunc(wait, func() {
				defer r.work.Done()
				send(datagram)
			})
		}
	}
}

// up returns how to send to the server what a client sent, or nil at the end.
func (r *relay) up(client *net.UDPAddr) func([]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	flow := r.flows[client.String()]
	if flow == nil && !r.closed {
		var err error
		if flow, err = net.DialUDP("udp", nil, r.server); err != nil {
			return nil
		}
		r.flows[client.String()] = flow
		r.work.Go(func() {
			r.pass(flow, func(*net.UDPAddr) func([]byte) {
				return func(b []byte) { _, _ = r.front.WriteToUDP(b, client) }
			})
		})
	}
	if flow == nil {
		return nil
	}
	return func(b []byte) { _, _ = flow.Write(b) }
}
