package proxy

import (
	"strings"
	"sync"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// ToClient returns the setting with which a backend's pull or push reaches the client
// that ctx came from, through the proxy:
//
//	func (m *Chat) Say(text *string) { m.Session().Push("/said", *text, proxy.ToClient(m)) }
//
// To reach it later, keep ctx.GetMeta(proxy.MetaClient) and use socket.WithAddMeta.
// If ctx came from no proxy, the setting changes nothing.
func ToClient(ctx tp.PushCtx) socket.PacketSetting {
	client := string(ctx.GetMeta(MetaClient))
	if client == "" {
		return func(*socket.Packet) {}
	}
	return socket.WithAddMeta(MetaClient, client)
}

// clients are the sessions of clients, by what backends call them. That is random: one
// by which a backend knows a client that has gone is never that of another client, as
// an address may be, nor known to a proxy that was started again.
type clients struct {
	mu       sync.Mutex // protects following, and the fields of client
	sessions map[string]tp.Session
}

// client is kept in the Public of a session.
type client struct {
	token string // empty as long as no backend knows it
	gone  bool
}

// clientKey is that of a client in Public: of one proxy, since a front may have several.
type clientKey struct{ *clients }

// tokenOf returns what backends call the session.
func (c *clients) tokenOf(sess tp.Session) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, _ := sess.Public().LoadOrStore(clientKey{c}, new(client))
	known := value.(*client)
	if known.token == "" {
		known.token = randomID()
		if c.sessions == nil {
			c.sessions = make(map[string]tp.Session)
		}
		if !known.gone {
			c.sessions[known.token] = sess
		}
	}
	return known.token
}

func (c *clients) find(token string) tp.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[token]
}

// forget is called when the session has ended. A handler may still run, and ask for
// its token.
func (c *clients) forget(sess tp.PostSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, _ := sess.Public().LoadOrStore(clientKey{c}, new(client))
	known := value.(*client)
	known.gone = true
	delete(c.sessions, known.token)
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

// PostDisconnect forgets a client.
func (p *Proxy) PostDisconnect(sess tp.PostSession) *tp.Rerror {
	p.clients.forget(sess)
	return nil
}

// clientOf returns the session that a backend names, and what is left for the next
// proxy to find it by.
func (p *Proxy) clientOf(names string) (tp.Session, string, *tp.Rerror) {
	if names == "" {
		return nil, "", notExecuted(tp.CodeBadPacket, MetaClient+", which says for which client it is, is missing: see proxy.ToClient")
	}
	name, rest, _ := strings.Cut(names, ",")
	sess := p.clients.find(name)
	if sess == nil {
		return nil, "", notExecuted(tp.CodeNotFound, "there is no such client any more")
	}
	return sess, rest, nil
}
