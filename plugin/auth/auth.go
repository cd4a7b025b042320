package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/henrylee2cn/goutil"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
)

const (
	// URI is that of the packet which shows a token.
	URI = "/auth"
	// defaultTimeout is for how long a side waits by default.
	defaultTimeout = 5 * time.Second
)

type (
	// TokenFunc returns the token that this side shows on a connection. It is
	// called for each connection, so that a token may be renewed before it
	// expires. Ctx ends when time is up. An error closes the connection; its text
	// must not have the token.
	TokenFunc func(ctx context.Context, sess tp.PreSession) (string, error)
	// CheckFunc checks what the other side shows, and returns whose it is: see
	// Principal. A Rerror refuses, and travels to the other side as it is, so it
	// should say no more than that needs. Ctx ends when time is up: a check that
	// waits for something else must heed it. The token is empty if the other side
	// shows none. It is called by many goroutines.
	//
	// Tokens compares in constant time. A check of one's own must too, wherever it
	// compares secrets: subtle.ConstantTimeCompare.
	CheckFunc func(ctx context.Context, token string, sess tp.PreSession) (principal any, rerr *tp.Rerror)
)

// principalKey is that of the principal in Public. No other package can make one.
type principalKey struct{}

// Principal returns what the check has returned for the other side of a session, if
// it is a T. It takes a Session, and every context of an exchange.
func Principal[T any](of interface{ Public() goutil.Map }) (T, bool) {
	value, _ := of.Public().Load(principalKey{})
	principal, ok := value.(T)
	return principal, ok
}

// bound returns a context that ends after d, and closes the connection then: the
// other side may send nothing, and a check may wait for ever. Call stop at the end.
func bound(sess tp.PreSession, d time.Duration) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	unwatch := context.AfterFunc(ctx, func() { _ = sess.Close() })
	return ctx, func() {
		unwatch()
		cancel()
	}
}

// lost returns the error of a connection on which a packet could not be exchanged.
// It does not have what was received, but for the first bytes of another protocol.
func lost(ctx context.Context, what string, err error) *tp.Rerror {
	code, why := int32(tp.CodeConnClosed), err.Error()
	switch {
	case ctx.Err() != nil:
		code, why = tp.CodeTimeout, "time is up"
	case errors.Is(err, socket.ErrProtoUnmatch), errors.Is(err, socket.ErrMalformed),
		errors.Is(err, socket.ErrExceedPacketSizeLimit), errors.Is(err, socket.ErrFilterNotAllowed):
		code = tp.CodeBadPacket
	}
	return tp.NewRerror(code, tp.CodeText(code), "auth: "+what+": "+why)
}

// check runs a check and keeps the principal. What it refuses with does not have the
// token.
func check(ctx context.Context, fn CheckFunc, token string, sess tp.PreSession) (rerr *tp.Rerror) {
	defer func() {
		if r := recover(); r != nil { // the log shows it, so not with the token
			panic(without(token, fmt.Sprint(r)))
		}
	}()
	principal, rerr := fn(ctx, token, sess)
	if rerr != nil {
		return tp.NewRerror(rerr.Code, without(token, rerr.Message), without(token, rerr.Detail))
	}
	if err := ctx.Err(); err != nil {
		return lost(ctx, "the check", err)
	}
	sess.Public().Store(principalKey{}, principal)
	return nil
}

// without returns the text without the token.
func without(token, text string) string {
	if token == "" {
		return text
	}
	return strings.ReplaceAll(text, token, "[token]")
}

// packet returns one that carries a token.
func packet(ptype byte, token string) *socket.Packet {
	return socket.NewPacket(
		socket.WithPtype(ptype),
		socket.WithUri(URI),
		socket.WithBodyCodec(codec.ID_STRING),
		socket.WithBody([]byte(token)),
	)
}

// incoming returns a packet to receive one with, and where its body will be. The
// bytes are taken as they are: an error of a codec might quote them.
func incoming() (*socket.Packet, *[]byte) {
	token := new([]byte)
	return socket.NewPacket(socket.WithBody(token)), token
}
