package auth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/plugin/auth"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/tptest"
)

const (
	patience = 20 * time.Second
	secret   = "open-sesame-2f9c"
	wrong    = "let-me-in-77ab"
)

// logBook is where a peer of a test logs to.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newPeer returns a peer that logs everything to w.
func newPeer(t testing.TB, w io.Writer, cfg tp.PeerConfig, plugins ...tp.Plugin) *tp.Peer {
	t.Helper()
	log, err := tp.NewLogger(w, "TRACE")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = log
	p := tp.NewPeer(&cfg, plugins...)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// ann lets in who knows the secret.
func ann() *auth.Server {
	return auth.NewServer(auth.ServerConfig{Check: auth.Tokens(map[string]any{"another": "bob", secret: "ann"})})
}

func shows(token string) *auth.Client {
	return auth.NewClient(auth.ClientConfig{Token: auth.Token(token)})
}

// serve makes a peer answer "/who" and returns its address.
func serve(t testing.TB, server *tp.Peer) string {
	tp.RegPull(server.PullRouter, "who", func(ctx tp.PullCtx, _ *struct{}) (string, *tp.Rerror) {
		name, ok := auth.Principal[string](ctx)
		if !ok {
			return "nobody", nil
		}
		return name, nil
	})
	return tptest.Serve(t, server)
}

func wantCode(t testing.TB, rerr *tp.Rerror, code int32, text string) {
	t.Helper()
	if rerr == nil || rerr.Code != code || !strings.Contains(rerr.String(), text) {
		t.Fatalf("got %v, want code %d with %q", rerr, code, text)
	}
}

func TestPrincipal(t *testing.T) {
	addr := serve(t, newPeer(t, io.Discard, tp.PeerConfig{}, ann()))
	sess, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(secret)).Dial(addr)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if who, rerr := tp.Pull[string](sess, "/who", nil); rerr != nil || who != "ann" {
		t.Errorf("got %q, %v, want ann", who, rerr)
	}
	if _, ok := auth.Principal[int](sess); ok {
		t.Error("the side that dialled has a principal, of a server that showed nothing")
	}
}

// Who is refused learns why. Nothing of the token is in a log, also if the check
// and its panic repeat it.
func TestRefused(t *testing.T) {
	for name, check := range map[string]auth.CheckFunc{
		"unknown": auth.Tokens(map[string]any{secret: "ann"}),
		"talkative": func(_ context.Context, token string, _ tp.PreSession) (any, *tp.Rerror) {
			return "ann", tp.NewRerror(tp.CodeUnauthorized, "no token "+token, "not "+token)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var atServer, atClient logBook
			var asked atomic.Bool
			server := newPeer(t, &atServer, tp.PeerConfig{PrintBody: true}, auth.NewServer(auth.ServerConfig{Check: check}))
			tp.RegPull(server.PullRouter, "ask", func(tp.PullCtx, *struct{}) (int, *tp.Rerror) {
				asked.Store(true)
				return 0, nil
			})
			client := newPeer(t, &atClient, tp.PeerConfig{PrintBody: true}, shows(wrong))
			addr := tptest.Serve(t, server)
			_, rerr := client.Dial(addr)
			wantCode(t, rerr, tp.CodeUnauthorized, "token")
			if strings.Contains(rerr.String(), wrong) {
				t.Errorf("the error has the token: %v", rerr)
			}
			_ = server.Close() // so that all is logged
			if !strings.Contains(atServer.String(), "not accepted") {
				t.Errorf("the log does not tell of it:\n%s", &atServer)
			}
			if strings.Contains(atServer.String()+atClient.String(), wrong) {
				t.Errorf("a log has the token:\n%s\n%s", &atServer, &atClient)
			}
			if asked.Load() {
				t.Error("a handler ran")
			}
		})
	}
}

// parrot refuses with the token in the text, as a server of another make may.
type parrot struct{}

func (parrot) Name() string { return "parrot" }

func (parrot) PostAccept(sess tp.PreSession) *tp.Rerror {
	in, token := socket.NewPacket(), new([]byte)
	in.SetBody(token)
	if err := sess.Receive(in); err != nil {
		return tp.ToRerror(err)
	}
	out := socket.NewPacket(socket.WithPtype(tp.TypeReply), socket.WithUri(in.Uri()))
	tp.NewRerror(tp.CodeUnauthorized, "no "+string(*token), "not "+string(*token)).SetToMeta(out.Meta())
	_ = sess.Send(out)
	return tp.NewRerror(tp.CodeUnauthorized, "refused")
}

// Nor has the error of Dial the token, whatever the server says.
func TestRefusedByParrot(t *testing.T) {
	addr := tptest.Serve(t, newPeer(t, io.Discard, tp.PeerConfig{}, parrot{}))
	_, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(wrong)).Dial(addr)
	wantCode(t, rerr, tp.CodeUnauthorized, "not [token]")
	if strings.Contains(rerr.String(), wrong) {
		t.Errorf("the error has the token: %v", rerr)
	}
}

// A health check that connects and leaves is no warning.
func TestHealthCheck(t *testing.T) {
	var book logBook
	server := newPeer(t, &book, tp.PeerConfig{}, ann())
	conn, err := net.Dial("tcp", serve(t, server))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	for end := time.Now().Add(patience); !strings.Contains(book.String(), "not accepted"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got the log\n%s", &book)
		}
	}
	if text := book.String(); strings.Contains(text, "level=WARN") {
		t.Errorf("got the log\n%s", text)
	}
}

// Who speaks something else is told apart from who sends too much.
func TestOtherProtocol(t *testing.T) {
	var book logBook
	server := newPeer(t, &book, tp.PeerConfig{}, ann())
	conn, err := net.Dial("tcp", serve(t, server))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, conn) // until it is closed
	_ = server.Close()
	if text := book.String(); !strings.Contains(text, "Bad Packet") || !strings.Contains(text, "another protocol: they begin with") ||
		!strings.Contains(text, "GET /") || strings.Contains(text, "16384") {
		t.Errorf("got the log\n%s", text)
	}
}

// A client that has dialled a web server learns that from the error of Dial.
func TestOtherServer(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	_, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(secret)).Dial(lis.Addr().String())
	wantCode(t, rerr, tp.CodeBadPacket, "HTTP/1")
	_ = lis.Close()
	<-ended
}

func TestTokens(t *testing.T) {
	principals := map[string]any{"a": 1, "b": 2, "c": 3, "aa": 4}
	check := auth.Tokens(principals)
	delete(principals, "c") // it is copied
	for token, want := range map[string]any{"a": 1, "b": 2, "c": 3, "aa": 4, "": nil, "d": nil, "aaa": nil} {
		got, rerr := check(t.Context(), token, nil)
		if got != want || (want == nil) != (rerr != nil) {
			t.Errorf("%q: got %v, %v, want %v", token, got, rerr, want)
		}
	}
}

func TestCheckPanics(t *testing.T) {
	var book logBook
	server := newPeer(t, &book, tp.PeerConfig{}, auth.NewServer(auth.ServerConfig{
		Check: func(_ context.Context, token string, _ tp.PreSession) (any, *tp.Rerror) { panic("bad: " + token) },
	}))
	addr := serve(t, server)
	if _, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(wrong)).Dial(addr); rerr == nil {
		t.Error("the client was let in")
	}
	_ = server.Close()
	if text := book.String(); !strings.Contains(text, "bad: [token]") || strings.Contains(text, wrong) {
		t.Errorf("got the log\n%s", text)
	}
}

// On the connections of a redial it works as on the first one, with a token of its
// own for each.
func TestRedial(t *testing.T) {
	var tokens atomic.Int32
	server := newPeer(t, io.Discard, tp.PeerConfig{}, ann())
	addr := serve(t, server)
	client := newPeer(t, io.Discard, tp.PeerConfig{RedialTimes: -1}, auth.NewClient(auth.ClientConfig{
		Token: func(context.Context, tp.PreSession) (string, error) {
			tokens.Add(1)
			return secret, nil
		},
	}))
	sess, rerr := client.Dial(addr)
	if rerr != nil {
		t.Fatal(rerr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for n := int32(1); n <= 3; n++ {
		if who, rerr := tp.Pull[string](sess, "/who", nil, tp.WithContext(ctx), tp.WithIdempotent()); rerr != nil || who != "ann" {
			t.Fatalf("got %q, %v, want ann", who, rerr)
		}
		if tokens.Load() != n {
			t.Fatalf("the token was asked for %d times on %d connections", tokens.Load(), n)
		}
		old := acceptedAfter(t, server, nil)
		_ = old.Close()
		acceptedAfter(t, server, old)
	}
}

// acceptedAfter waits until a server has accepted another session than old, and returns it.
func acceptedAfter(t testing.TB, server *tp.Peer, old tp.Session) (found tp.Session) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		server.RangeSession(func(s tp.Session) bool {
			if s != old {
				found = s
			}
			return found == nil
		})
		if found != nil {
			return found
		}
	}
	t.Fatal("there is no other session")
	return nil
}

// A token that is no good any more ends the redial's attempt, not the process.
func TestRedialRefused(t *testing.T) {
	var token atomic.Value
	token.Store(secret)
	server := newPeer(t, io.Discard, tp.PeerConfig{}, ann())
	addr := serve(t, server)
	refused := make(chan *tp.Rerror, 100)
	client := newPeer(t, io.Discard, tp.PeerConfig{RedialTimes: -1, OnRedial: func(_ tp.Session, rerr *tp.Rerror) {
		select {
		case refused <- rerr:
		default:
		}
	}}, auth.NewClient(auth.ClientConfig{
		Token: func(context.Context, tp.PreSession) (string, error) { return token.Load().(string), nil },
	}))
	sess, rerr := client.Dial(addr)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if _, rerr := tp.Pull[string](sess, "/who", nil); rerr != nil {
		t.Fatal(rerr)
	}
	token.Store(wrong)
	server.RangeSession(func(s tp.Session) bool { return s.Close() == nil })
	select {
	case rerr := <-refused:
		wantCode(t, rerr, tp.CodeUnauthorized, "not valid")
	case <-time.After(patience):
		t.Fatal("no attempt was made")
	}
}

// Each side checks the other.
func TestMutual(t *testing.T) {
	server := newPeer(t, io.Discard, tp.PeerConfig{}, auth.NewServer(auth.ServerConfig{
		Check: auth.Tokens(map[string]any{secret: "ann"}),
		Token: auth.Token("I am the bank"),
	}))
	addr := serve(t, server)
	for want, principals := range map[int32]map[string]any{
		0:                   {"I am the bank": 7},
		tp.CodeUnauthorized: {"I am another bank": 8},
	} {
		client := newPeer(t, io.Discard, tp.PeerConfig{}, auth.NewClient(auth.ClientConfig{
			Token: auth.Token(secret),
			Check: auth.Tokens(principals),
		}))
		sess, rerr := client.Dial(addr)
		if want != 0 {
			wantCode(t, rerr, want, "not valid")
			continue
		}
		if rerr != nil {
			t.Fatal(rerr)
		}
		if bank, _ := auth.Principal[int](sess); bank != 7 {
			t.Errorf("got the principal %d, want 7", bank)
		}
		if who, rerr := tp.Pull[string](sess, "/who", nil); rerr != nil || who != "ann" {
			t.Errorf("got %q, %v, want ann", who, rerr)
		}
	}

	// A server that shows nothing is not let through by a client that checks.
	mute := serve(t, newPeer(t, io.Discard, tp.PeerConfig{}, ann()))
	_, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, auth.NewClient(auth.ClientConfig{
		Token: auth.Token(secret), Check: auth.Tokens(map[string]any{"I am the bank": 7}),
	})).Dial(mute)
	wantCode(t, rerr, tp.CodeUnauthorized, "not valid")
}

// One side has the plugin, the other has not.
func TestOneSideOnly(t *testing.T) {
	without := serve(t, newPeer(t, io.Discard, tp.PeerConfig{}))
	_, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(secret)).Dial(without)
	wantCode(t, rerr, tp.CodeNotFound, auth.URI)

	with := serve(t, newPeer(t, io.Discard, tp.PeerConfig{}, ann()))
	sess, rerr := newPeer(t, io.Discard, tp.PeerConfig{}).Dial(with)
	if rerr != nil {
		t.Fatal(rerr)
	}
	_, rerr = tp.Pull[string](sess, "/who", nil)
	wantCode(t, rerr, tp.CodeUnauthorized, "before anything else")
}

// raw returns a connection that speaks packets only.
func raw(t testing.TB, addr string) socket.Socket {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	s := socket.NewSocket(conn)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Whatever comes instead of a token, the connection closes and no handler runs.
func TestHostile(t *testing.T) {
	server := newPeer(t, io.Discard, tp.PeerConfig{}, ann())
	var ran atomic.Bool
	tp.RegPull(server.PullRouter, "auth", func(tp.PullCtx, *[]byte) (int, *tp.Rerror) {
		ran.Store(true)
		return 0, nil
	})
	tp.RegPush(server.PushRouter, "auth", func(tp.PushCtx, *[]byte) { ran.Store(true) })
	addr := tptest.Serve(t, server)
	for name, packet := range map[string]*socket.Packet{
		"a push":      socket.NewPacket(socket.WithPtype(tp.TypePush), socket.WithUri(auth.URI), socket.WithBody([]byte(secret))),
		"another uri": socket.NewPacket(socket.WithPtype(tp.TypePull), socket.WithUri("/who"), socket.WithBody([]byte(secret))),
		"a query":     socket.NewPacket(socket.WithPtype(tp.TypePull), socket.WithUri(auth.URI+"?x=1"), socket.WithBody([]byte(secret))),
		"no token":    socket.NewPacket(socket.WithPtype(tp.TypePull), socket.WithUri(auth.URI)),
		"too long":    socket.NewPacket(socket.WithPtype(tp.TypePull), socket.WithUri(auth.URI), socket.WithBody(make([]byte, 17<<10))),
		"a prefix":    socket.NewPacket(socket.WithPtype(tp.TypePull), socket.WithUri(auth.URI), socket.WithBody([]byte(secret[:4]))),
	} {
		t.Run(name, func(t *testing.T) {
			s := raw(t, addr)
			if err := s.WritePacket(packet); err != nil {
				t.Fatal(err)
			}
			for {
				in := socket.NewPacket(socket.WithBody(new([]byte)))
				err := s.ReadPacket(in)
				if err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("the connection was not closed")
					}
					return
				}
				if tp.NewRerrorFromMeta(in.Meta()) == nil {
					t.Errorf("got %v, want an error", in)
				}
			}
		})
	}
	if ran.Load() {
		t.Error("a handler ran")
	}
}

// A side that says nothing, and a check that does not come to an end, are given up.
func TestTimeout(t *testing.T) {
	t.Run("silent client", func(t *testing.T) {
		var book logBook
		server := newPeer(t, &book, tp.PeerConfig{AcceptTimeout: -1}, auth.NewServer(auth.ServerConfig{
			Check: auth.Tokens(nil), Timeout: 50 * time.Millisecond,
		}))
		s := raw(t, serve(t, server))
		if err := s.ReadPacket(socket.NewPacket()); err == nil {
			t.Error("the server has sent a packet")
		}
		_ = server.Close()
		if !strings.Contains(book.String(), "time is up") {
			t.Errorf("the log does not tell of it:\n%s", &book)
		}
	})
	t.Run("slow check", func(t *testing.T) {
		server := newPeer(t, io.Discard, tp.PeerConfig{AcceptTimeout: -1}, auth.NewServer(auth.ServerConfig{
			Check: func(ctx context.Context, _ string, _ tp.PreSession) (any, *tp.Rerror) {
				<-ctx.Done()
				return "ann", nil // as if nothing were wrong
			},
			Timeout: 50 * time.Millisecond,
		}))
		if _, rerr := newPeer(t, io.Discard, tp.PeerConfig{}, shows(secret)).Dial(serve(t, server)); rerr == nil {
			t.Error("the client was let in")
		}
	})
	t.Run("silent server", func(t *testing.T) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		client := newPeer(t, io.Discard, tp.PeerConfig{DefaultDialTimeout: -1}, auth.NewClient(auth.ClientConfig{
			Token: auth.Token(secret), Timeout: 50 * time.Millisecond,
		}))
		_, rerr := client.Dial(lis.Addr().String())
		wantCode(t, rerr, tp.CodeTimeout, "time is up")
	})
	t.Run("slow token", func(t *testing.T) {
		client := newPeer(t, io.Discard, tp.PeerConfig{DefaultDialTimeout: -1}, auth.NewClient(auth.ClientConfig{
			Token: func(ctx context.Context, _ tp.PreSession) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			},
			Timeout: 50 * time.Millisecond,
		}))
		_, rerr := client.Dial(serve(t, newPeer(t, io.Discard, tp.PeerConfig{}, ann())))
		wantCode(t, rerr, tp.CodeUnauthorized, "no token to show")
	})
}

func TestConfigs(t *testing.T) {
	for want, fn := range map[string]func(){
		"ClientConfig.Token": func() { auth.NewClient(auth.ClientConfig{}) },
		"ServerConfig.Check": func() { auth.NewServer(auth.ServerConfig{}) },
		"empty":              func() { auth.Tokens(map[string]any{"": 1}) },
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, want) {
					t.Errorf("got the panic %q, want %q in it", r, want)
				}
			}()
			fn()
		}()
	}
}
