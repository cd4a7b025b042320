package stack

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/bench/internal/meter"
)

// A broadcast goes in rounds: the server sends one message to every client, and
// again. The clients acknowledge each, on one connection for all, and so many
// rounds at most are under way: enough that nobody waits for an acknowledgement,
// and few enough that no queue grows until it drops.
//
// A message begins with the number of its round (8 bytes) and with when the
// round began (8 bytes, nanoseconds by the clock that all processes of the
// machine have in common). The rest is filled up.

const roundsUnderWay = 256

// Caster sends the rounds, from a goroutine that lives as long as the process.
type Caster struct{ allowed chan struct{} }

// StartCaster waits for the first acknowledgement, which allows the first round.
// send may not keep the message.
func StartCaster(size int, send func(msg []byte) error, fail func(error)) *Caster {
	c := &Caster{make(chan struct{}, roundsUnderWay)}
	go func() {
		msg := make([]byte, size)
		round := uint64(0)
		for range c.allowed {
			binary.BigEndian.PutUint64(msg, round)
			binary.BigEndian.PutUint64(msg[8:], uint64(time.Now().UnixNano()))
			if err := send(msg); err != nil {
				fail(err)
				return
			}
			round++
		}
	}()
	return c
}

// Acknowledge allows one more round.
func (c *Caster) Acknowledge() { c.allowed <- struct{}{} }

// Audience is the Client of a broadcast: it counts what arrives, and how long
// that took from the beginning of the round.
type Audience struct {
	clients int64
	size    int
	meter   *meter.Meter
	ack     func() error

	arrived [roundsUnderWay]atomic.Int64 // messages of a round, by its number
	whole   chan struct{}                // a round has arrived everywhere
}

var _ Client = (*Audience)(nil)

// NewAudience returns an Audience of so many clients, each of whom gets every message, of
// size bytes. ack is called once for each round that all of them have heard, and to begin.
func NewAudience(clients, size int, m *meter.Meter, ack func() error) *Audience {
	return &Audience{
		clients: int64(clients), size: size, meter: m, ack: ack,
		whole: make(chan struct{}, roundsUnderWay),
	}
}

// Receive counts a message. Many goroutines call it.
func (a *Audience) Receive(msg []byte) {
	if len(msg) != a.size {
		a.meter.Fail(fmt.Errorf("a message of %d bytes", len(msg)))
		return
	}
	round, begun := binary.BigEndian.Uint64(msg), int64(binary.BigEndian.Uint64(msg[8:]))
	arrived := &a.arrived[round%roundsUnderWay]
	n := arrived.Add(1)
	a.meter.Recorder(int(n)).Record(begun, time.Now().UnixNano())
	if n == a.clients {
		arrived.Store(0)
		a.whole <- struct{}{}
	}
}

// Run lets the first rounds begin.
func (a *Audience) Run() {
	for range roundsUnderWay {
		a.whole <- struct{}{}
	}
	go func() {
		for range a.whole {
			if a.meter.Over() {
				return
			}
			if err := a.ack(); err != nil {
				a.meter.Fail(err)
				return
			}
		}
	}()
}
