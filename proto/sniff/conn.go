package sniff

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// conn is an accepted connection before anybody knows what is spoken on it.
type conn struct {
	net.Conn
	cfg    *Config
	passed atomic.Bool // to the Handle of a rule, which has it now
}

// Close closes it, unless it is another's by now.
func (c *conn) Close() error {
	if c.passed.Load() {
		return nil
	}
	return c.Conn.Close()
}

// OpenConn looks at the first bytes: see tp.ConnOpener.
func (c *conn) OpenConn(ctx context.Context, config *tls.Config) (net.Conn, socket.ProtoFunc, error) {
	p := &peek{conn: c.Conn, most: c.cfg.MaxPeek}
	if config != nil {
		if err := c.secure(ctx, p, config); err != nil {
			return nil, nil, err
		}
	}
	rule, err := c.rule(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	open := socket.Unread(p.conn, p.seen)
	if rule.Handle == nil {
		return open, rule.Proto, nil
	}
	err = rule.Handle(ctx, open)
	c.passed.Store(err == nil)
	return nil, nil, err
}

// secure makes the handshake on a peer that has TLS. What is plain stays so if that is
// allowed.
func (c *conn) secure(ctx context.Context, p *peek, config *tls.Config) error {
	silence := time.Duration(0)
	if c.cfg.PlainToo && c.cfg.Silent != nil {
		silence = c.cfg.SilentAfter
	}
	verdict := More
	err := p.look(ctx, silence, func(b []byte, _ bool) bool {
		verdict = TLS(b)
		return verdict != More
	})
	switch {
	case errors.Is(err, errSilent):
		return nil // rule finds it silent at once
	case err != nil:
		return err
	case verdict == Yes:
		secure := tls.Server(socket.Unread(p.conn, p.seen), config)
		if err := secure.HandshakeContext(ctx); err != nil {
			if err == io.EOF { // something was sent: see tp.ConnOpener
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("TLS handshake: %w", err)
		}
		p.conn, p.seen = secure, nil
	case !c.cfg.PlainToo:
		return fmt.Errorf("sniff: it is not TLS, which this peer has: it begins with %q", p.start())
	}
	return nil
}

// rule returns the rule for what comes.
func (c *conn) rule(ctx context.Context, p *peek) (*Rule, error) {
	var rule *Rule
	silence := time.Duration(0)
	if c.cfg.Silent != nil {
		silence = c.cfg.SilentAfter
	}
	err := p.look(ctx, silence, func(b []byte, last bool) bool {
		chosen, undecided := c.cfg.choose(b, last)
		rule = chosen
		return !undecided
	})
	if errors.Is(err, errSilent) {
		return c.cfg.Silent, nil
	}
	if err == nil && rule == nil {
		err = fmt.Errorf("sniff: no rule matches what begins with %q", p.start())
	}
	return rule, err
}

// Each time the rules look at all that has come. After manyAsked times it waits before it
// reads more: what comes byte by byte would cost a second of processor time.
const (
	manyAsked = 64
	askPause  = 5 * time.Millisecond
)

// errSilent says that nothing came.
var errSilent = errors.New("sniff: it is silent")

// peek is what was read of a connection to look at it.
type peek struct {
	conn   net.Conn
	seen   []byte
	most   int
	silent bool // nothing came for as long as it may be silent
}

// start returns what errors show of it.
func (p *peek) start() []byte { return p.seen[:min(len(p.seen), 16)] }

// look reads until decide reports that it has seen enough, at the latest when decide was
// asked with last set: there will be no more. If nothing comes at all for silence, 0 is
// for ever, the error is errSilent.
func (p *peek) look(ctx context.Context, silence time.Duration, decide func(b []byte, last bool) bool) error {
	if p.silent {
		return errSilent
	}
	if silence > 0 && len(p.seen) == 0 {
		_ = p.conn.SetReadDeadline(time.Now().Add(silence))
	}
	unwatch := context.AfterFunc(ctx, func() { _ = p.conn.SetReadDeadline(time.Unix(1, 0)) })
	err := p.read(ctx, silence > 0, decide)
	if !unwatch() {
		return fmt.Errorf("sniff: not enough came: %w", context.Cause(ctx))
	}
	if resetErr := p.conn.SetReadDeadline(time.Time{}); err == nil {
		err = resetErr
	}
	return err
}

func (p *peek) read(ctx context.Context, maySilent bool, decide func(b []byte, last bool) bool) error {
	for asked, ended := 0, false; ; {
		if len(p.seen) > 0 {
			last := ended || len(p.seen) == p.most
			if decide(p.seen, last) || last {
				return nil
			}
			if asked++; asked > manyAsked {
				select {
				case <-time.After(askPause):
				case <-ctx.Done():
				}
			}
		}
		n, err := p.conn.Read(p.room())
		p.seen = p.seen[:len(p.seen)+n]
		switch {
		case n > 0 && maySilent:
			maySilent = false // it was not
			_ = p.conn.SetReadDeadline(time.Time{})
			if ctx.Err() != nil { // that was the deadline which is gone now
				return ctx.Err()
			}
		case n > 0:
		case errors.Is(err, io.EOF) && len(p.seen) > 0:
			ended = true
		case errors.Is(err, os.ErrDeadlineExceeded) && maySilent:
			p.silent = true
			return errSilent
		case len(p.seen) == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
			return fmt.Errorf("sniff: the other side has sent nothing and left: %w", io.EOF)
		case err != nil:
			return fmt.Errorf("sniff: not enough came: %w", err)
		}
	}
}

// room returns memory behind what was seen, of a byte at least.
func (p *peek) room() []byte {
	const first = 512
	if len(p.seen) == cap(p.seen) {
		larger := make([]byte, len(p.seen), min(max(first, 2*cap(p.seen)), p.most))
		copy(larger, p.seen)
		p.seen = larger
	}
	return p.seen[len(p.seen):cap(p.seen)]
}
