package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// bodyKey is that of the body in the context of a packet that was read, which has no
// other use.
type bodyKey struct{ *Recorder }

// keepBody keeps the body of a packet before it is decoded: then it is gone.
func (r *Recorder) keepBody(in *socket.Packet) *tp.Rerror {
	if r.cfg.Bodies > 0 {
		in.SetContext(context.WithValue(in.Context(), bodyKey{r}, r.clip(in.HeldBody())))
	}
	return nil
}

// content returns the bodies and meta data of what was handled.
func (r *Recorder) content(ctx tp.ExchangeCtx) (attrs []slog.Attr) {
	in, out := ctx.Input(), ctx.Output()
	answered := ctx.IsPull() && out.Ptype() == tp.TypeReply
	if r.cfg.Meta {
		attrs = append(attrs, slog.String("meta", r.metaText(in)))
		if answered {
			attrs = append(attrs, slog.String("reply_meta", r.metaText(out)))
		}
	}
	if r.cfg.Bodies == 0 {
		return attrs
	}
	if body, ok := in.Context().Value(bodyKey{r}).(string); ok {
		attrs = append(attrs, slog.String("body", body))
	}
	if answered {
		body, err := out.MarshalBody()
		text := r.clip(body)
		if err != nil {
			text = err.Error()
		}
		attrs = append(attrs, slog.String("reply_body", text))
	}
	return attrs
}

func (r *Recorder) clip(body []byte) string {
	if len(body) <= r.cfg.Bodies {
		return string(body)
	}
	return fmt.Sprintf("%s... (%d bytes in all)", body[:r.cfg.Bodies], len(body))
}

const redacted = "[redacted]"

func (r *Recorder) metaText(p *socket.Packet) string {
	if !p.HasMeta() {
		return ""
	}
	shown := new(utils.Args)
	p.Meta().VisitAll(func(key, value []byte) {
		if r.redact[strings.ToLower(string(key))] {
			value = []byte(redacted)
		}
		shown.AddBytesKV(key, value)
	})
	shown.Del(tp.MetaRerrorKey) // it is the error, which is recorded
	return shown.String()
}

// redactURI returns the URI without the values of its query that are redacted.
func (r *Recorder) redactURI(uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	if query == "" || len(r.redact) == 0 {
		return uri
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, _, found := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			name = key
		}
		if found && r.redact[strings.ToLower(name)] {
			pairs[i] = key + "=" + redacted
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}
