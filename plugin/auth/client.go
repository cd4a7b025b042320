package auth

import (
	"errors"
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// ClientConfig configures a Client.
type ClientConfig struct {
	// Token returns what the client shows. It must be set.
	Token TokenFunc
	// Check checks what the server shows in turn (ServerConfig.Token), so that
	// each side knows the other. Nil is no check: TLS tells who the server is.
	Check CheckFunc
	// Timeout bounds all of it on one connection: by default 5 s. The time of
	// Dial bounds it too.
	Timeout time.Duration
}

// Client is the plugin of a peer that dials. It is safe for concurrent use.
type Client struct{ cfg ClientConfig }

var _ tp.PostDialPlugin = (*Client)(nil)

// NewClient returns a Client. It panics if there is no Token.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Token == nil {
		panic("auth: NewClient: ClientConfig.Token is nil: it returns what the client shows, such as auth.Token(\"...\")")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Client{cfg}
}

// Name returns "auth.client".
func (c *Client) Name() string { return "auth.client" }

// PostDial shows the token and waits for the answer.
func (c *Client) PostDial(sess tp.PreSession) *tp.Rerror {
	ctx, stop := bound(sess, c.cfg.Timeout)
	defer stop()
	token, err := c.cfg.Token(ctx, sess)
	if err != nil {
		return tp.NewRerror(tp.CodeUnauthorized, tp.CodeText(tp.CodeUnauthorized), "auth: no token to show: "+without(token, err.Error()))
	}
	sent := sess.Send(packet(tp.TypePull, token))
	// Also if it could not be sent: a server that refuses before it reads has
	// said why.
	answer, shown := incoming()
	if err := sess.Receive(answer); err != nil {
		return lost(ctx, "showing the token", errors.Join(sent, err))
	}
	if rerr := tp.NewRerrorFromMeta(answer.Meta()); rerr != nil {
		return tp.NewRerror(rerr.Code, without(token, rerr.Message), without(token, rerr.Detail))
	}
	if answer.Ptype() != tp.TypeReply || answer.Uri() != URI {
		return tp.NewRerror(tp.CodeBadPacket, tp.CodeText(tp.CodeBadPacket), "auth: the server has sent something else than the answer to the token")
	}
	if c.cfg.Check == nil {
		return nil
	}
	return check(ctx, c.cfg.Check, string(*shown), sess)
}
