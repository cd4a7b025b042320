package auth

import (
	"time"

	tp "github.com/henrylee2cn/teleport"
)

// ServerConfig configures a Server.
type ServerConfig struct {
	// Check checks what clients show. It must be set.
	Check CheckFunc
	// Token returns what the server shows those that it lets in: see
	// ClientConfig.Check. Nil shows nothing.
	Token TokenFunc
	// Timeout bounds all of it on one connection: by default 5 s.
	// PeerConfig.AcceptTimeout bounds it too.
	Timeout time.Duration
}

// Server is the plugin of a peer that accepts. It is safe for concurrent use.
type Server struct{ cfg ServerConfig }

var _ tp.PostAcceptPlugin = (*Server)(nil)

// NewServer returns a Server. It panics if there is no Check.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Check == nil {
		panic("auth: NewServer: ServerConfig.Check is nil: it checks what clients show, such as auth.Tokens(...)")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Server{cfg}
}

// Name returns "auth.server".
func (s *Server) Name() string { return "auth.server" }

// PostAccept reads the token and answers it.
func (s *Server) PostAccept(sess tp.PreSession) *tp.Rerror {
	ctx, stop := bound(sess, s.cfg.Timeout)
	defer stop()
	in, token := incoming()
	if err := sess.Receive(in); err != nil {
		return lost(ctx, "waiting for the token", err)
	}
	var rerr *tp.Rerror
	if in.Ptype() != tp.TypePull || in.Uri() != URI {
		rerr = tp.NewRerror(tp.CodeUnauthorized, tp.CodeText(tp.CodeUnauthorized), "auth: show a token before anything else")
	} else {
		rerr = check(ctx, s.cfg.Check, string(*token), sess)
	}
	answer := packet(tp.TypeReply, "")
	answer.SetSeq(in.Seq()) // of a pull without the plugin too
	answer.SetUri(in.Uri())
	if rerr == nil && s.cfg.Token != nil {
		shown, err := s.cfg.Token(ctx, sess)
		if err != nil {
			rerr = tp.NewRerror(tp.CodeInternalServerError, tp.CodeText(tp.CodeInternalServerError), "auth: the server has no token to show")
		}
		answer.SetBody([]byte(shown))
	}
	if rerr != nil {
		answer.SetBody([]byte(nil))
		rerr.SetToMeta(answer.Meta())
	}
	if err := sess.Send(answer); err != nil && rerr == nil {
		return lost(ctx, "answering the token", err)
	}
	return rerr
}
