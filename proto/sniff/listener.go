package sniff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

const (
	defaultMaxPeek     = 16 << 10
	greatestMaxPeek    = 64 << 10
	defaultSilentAfter = time.Second
)

// Config is the configuration of a Listener.
type Config struct {
	// Rules are asked in their order about the first bytes of a connection. The first
	// that matches says what becomes of it. There must be one; a connection that none
	// matches is closed.
	Rules []Rule
	// PlainToo serves, on a peer that has TLS, connections without TLS as well. A peer
	// without TLS serves no others. Default: no.
	PlainToo bool
	// Silent is what becomes of a connection that sends nothing for SilentAfter; its
	// Match is not used. On a peer that has TLS it is for those that have made the
	// handshake, and with PlainToo for all. Default: none; it is closed when
	// PeerConfig.AcceptTimeout has passed.
	Silent *Rule
	// SilentAfter goes with Silent, and should be less than PeerConfig.AcceptTimeout. What
	// speaks later is not looked at. Default: 1 s.
	SilentAfter time.Duration
	// MaxPeek is how many bytes the rules are asked about at most: those that wait for
	// more then do not match. Default: 16 KiB. At most 64 KiB.
	MaxPeek int
}

// Rule says what becomes of the connections that it matches.
type Rule struct {
	// Match looks at the first bytes.
	Match Matcher
	// Proto is the packet format of the session. Default: that of ServeListener.
	Proto socket.ProtoFunc
	// Handle takes the connection over from the peer, which then has nothing to do with
	// it any more; see Branch.Hand. It returns soon, at the latest when ctx
	// ends, and an error if it does not take it: then the peer closes it. Not with
	// Proto. Default: the peer makes a session.
	Handle func(ctx context.Context, conn net.Conn) error
}

// Listener is a net.Listener for ServeListener of a Peer. Others find the method
// OpenConn at what Accept returns. Accept does not wait for the first bytes.
type Listener struct {
	net.Listener
	cfg Config
}

var _ net.Listener = new(Listener)

// New returns a Listener on lis, which it closes. An error names the field of the Config.
func New(lis net.Listener, config *Config) (*Listener, error) {
	if lis == nil {
		panic("sniff: New: the listener is nil")
	}
	if config == nil {
		config = new(Config)
	}
	cfg := *config
	cfg.Rules = append([]Rule(nil), cfg.Rules...)
	if len(cfg.Rules) == 0 {
		return nil, errors.New("sniff: Config.Rules is empty: name what the address serves, such as {Match: sniff.Fast}")
	}
	for i, r := range cfg.Rules {
		if r.Match == nil {
			return nil, fmt.Errorf("sniff: Config.Rules[%d].Match is nil: sniff.Any matches everything", i)
		}
		if r.Proto != nil && r.Handle != nil {
			return nil, fmt.Errorf("sniff: Config.Rules[%d] has Proto and Handle: a connection cannot go both ways", i)
		}
	}
	if cfg.Silent != nil {
		if cfg.Silent.Proto != nil && cfg.Silent.Handle != nil {
			return nil, errors.New("sniff: Config.Silent has Proto and Handle: a connection cannot go both ways")
		}
		silent := *cfg.Silent
		cfg.Silent = &silent
	}
	switch {
	case cfg.SilentAfter < 0:
		return nil, fmt.Errorf("sniff: Config.SilentAfter = %v: it cannot be negative", cfg.SilentAfter)
	case cfg.SilentAfter == 0:
		cfg.SilentAfter = defaultSilentAfter
	}
	switch {
	case cfg.MaxPeek < 0 || cfg.MaxPeek > greatestMaxPeek:
		return nil, fmt.Errorf("sniff: Config.MaxPeek = %d: it is at most %d", cfg.MaxPeek, greatestMaxPeek)
	case cfg.MaxPeek == 0:
		cfg.MaxPeek = defaultMaxPeek
	}
	return &Listener{Listener: lis, cfg: cfg}, nil
}

// Accept returns the next connection, of which nothing was read.
func (l *Listener) Accept() (net.Conn, error) {
	below, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: below, cfg: &l.cfg}, nil
}

// choose asks the rules. It returns nil if none matches, and reports whether that may
// change with more bytes.
func (c *Config) choose(b []byte, last bool) (rule *Rule, undecided bool) {
	for i := range c.Rules {
		switch c.Rules[i].Match(b) {
		case Yes:
			return &c.Rules[i], false
		case More:
			if !last {
				return nil, true
			}
		}
	}
	return nil, false
}
