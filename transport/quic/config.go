package quic

import (
	"fmt"
	"time"

	quicgo "github.com/quic-go/quic-go"
)

// Config has the settings of a Transport. The zero value of each field is its
// default. New copies it.
type Config struct {
	// HandshakeTimeout bounds the handshake, of either side; 0 is 10 s. A server that
	// says nothing at all for half of it is given up too.
	HandshakeTimeout time.Duration
	// StreamTimeout bounds how long a client whose handshake is over may take to open
	// the stream; 0 is 5 s.
	StreamTimeout time.Duration
	// IdleTimeout is after how much silence a connection is dead; 0 is 50 s, as long as
	// TCP conns of the library take to find that out. The lesser of both sides counts.
	IdleTimeout time.Duration
	// KeepAlive is after how much silence the side that has dialled sends a PING of
	// QUIC, so that the dead are found and a NAT in between, of which many forget UDP
	// after 30 s, remembers; 0 is 20 s, negative is none, and half of IdleTimeout is the
	// most. The keep-alive of the library is every 30 s and would do only for the former.
	KeepAlive time.Duration
	// Linger is how long a conn that was closed waits for the other side to read what
	// was written before; 0 is 10 s. Close does not take so long: see Listen and Dial.
	Linger time.Duration
	// MaxOpening is how many connections of a listener may be in their handshake, or
	// without a stream, or not accepted yet; 0 is 1,024, negative is no bound. One
	// beyond is refused. From an eighth of it on, clients have to prove their address
	// first, which costs them a round trip.
	MaxOpening int
	// MaxOpeningPerIP is the same for the connections of one IP address, of which each
	// counts after 250 ms; 0 is 64, negative is no bound.
	MaxOpeningPerIP int
	// MaxWindow is how many bytes of a connection may wait to be read; 0 is 4 MiB. The
	// other side may send no more. It begins with 256 KiB and grows as they are read.
	MaxWindow int
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultStreamTimeout    = 5 * time.Second
	defaultIdleTimeout      = 50 * time.Second
	defaultKeepAlive        = 20 * time.Second
	defaultLinger           = 10 * time.Second
	defaultMaxOpening       = 1024
	defaultMaxOpeningPerIP  = 64
	defaultMaxWindow        = 4 << 20
	initialWindow           = 256 << 10
)

// complete returns a copy with the defaults in the place of what is 0. It panics on
// what cannot work.
func (c *Config) complete() Config {
	var full Config
	if c != nil {
		full = *c
	}
	for _, d := range []struct {
		name      string
		value     *time.Duration
		otherwise time.Duration
	}{
		{"HandshakeTimeout", &full.HandshakeTimeout, defaultHandshakeTimeout},
		{"StreamTimeout", &full.StreamTimeout, defaultStreamTimeout},
		{"IdleTimeout", &full.IdleTimeout, defaultIdleTimeout},
		{"Linger", &full.Linger, defaultLinger},
	} {
		if *d.value < 0 {
			panic(fmt.Sprintf("quic: Config.%s is %v: it cannot be negative; 0 is %v", d.name, *d.value, d.otherwise))
		}
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if full.MaxWindow < 0 {
		panic(fmt.Sprintf("quic: Config.MaxWindow is %d: it cannot be negative; 0 is %d", full.MaxWindow, defaultMaxWindow))
	}
	for _, n := range []struct {
		value     *int
		otherwise int
	}{
		{&full.MaxOpening, defaultMaxOpening},
		{&full.MaxOpeningPerIP, defaultMaxOpeningPerIP},
		{&full.MaxWindow, defaultMaxWindow},
	} {
		if *n.value == 0 {
			*n.value = n.otherwise
		}
	}
	if full.KeepAlive == 0 {
		full.KeepAlive = defaultKeepAlive
	}
	return full
}

// quic returns the configuration of a listener's connections, or of a dialled one.
//
// The side that dialled may open one stream for packets, and both one on which nothing
// is sent: see conn.sayDone. They are never credited, so a connection has no more of
// them in all its life.
func (c *Config) quic(dials bool) *quicgo.Config {
	q := &quicgo.Config{
		HandshakeIdleTimeout:           (c.HandshakeTimeout + 1) / 2, // quic-go gives it twice in all
		MaxIdleTimeout:                 c.IdleTimeout,
		InitialStreamReceiveWindow:     uint64(min(initialWindow, c.MaxWindow)),
		MaxStreamReceiveWindow:         uint64(c.MaxWindow),
		InitialConnectionReceiveWindow: uint64(min(initialWindow, c.MaxWindow)),
		MaxConnectionReceiveWindow:     uint64(c.MaxWindow),
		MaxIncomingStreams:             1,
		MaxIncomingUniStreams:          1,
		RequireStreamCreditRelease:     true,
	}
	if dials {
		q.MaxIncomingStreams = -1
		q.KeepAlivePeriod = max(c.KeepAlive, 0)
	}
	return q
}
