package websocket

import (
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/henrylee2cn/teleport/internal/lines"
)

// Config is the configuration of a Listener and of Dial. The zero value works, and
// nil means the same. It is copied: changing it later has no effect.
type Config struct {
	// TLSConfig is that of "wss" addresses and of Serve. It is not used for "ws"
	// addresses, nor by NewListener, whose server has its own. Dial fills in the
	// ServerName if it is empty. Default: Dial trusts the system's
	// authorities, Listen of "wss" returns an error, and Serve is plain.
	TLSConfig *tls.Config
	// Path is where Serve takes WebSockets; everywhere else is 404. Listen has it in
	// its address. Default: "/".
	Path string
	// Subprotocols are the WebSocket subprotocols that Dial offers, and of which a
	// Listener chooses the first that the client offers. A client that offers none of
	// them gets none, and browsers then close the connection if they have offered any.
	// Default: "teleport", which teleport.js offers.
	Subprotocols []string
	// Origins are the pages beside those of the same host that a browser may connect
	// from: patterns of path.Match for the host, with its port, of the Origin header, or
	// for "scheme://host" if they have a scheme. "*" lets in every page: then
	// cookies prove nothing. Clients that are no browsers send no Origin and are not
	// asked for one. Default: none, so the same host only.
	Origins []string
	// TrustedProxies are the addresses of the reverse proxies before a Listener, as
	// IP addresses or CIDR prefixes. For what they connect, the X-Forwarded-For header
	// says who the client is; RemoteAddr, and so RemoteIp and MaxOpeningPerIP, mean the
	// client then. From others the header counts for nothing, since anybody can
	// write it. Default: none.
	TrustedProxies []string
	// ReadLimit is the greatest message in bytes; beyond it the conn is closed with
	// status 1009. A message is read as it arrives, and takes no memory for its size.
	// It should be at least the packet limit of the peer, since teleport.js sends a
	// packet as one message. Default: 16 MiB. Negative: no limit.
	ReadLimit int64
	// PingInterval is after how long a WebSocket ping is sent, again and again, also
	// while there is traffic. It should be shorter than the idle timeout of any proxy
	// between; that of nginx is 60 s. Browsers answer by themselves. The other side ends
	// a conn with more than 100 pings in a second. Default: 30 s. Negative: none.
	PingInterval time.Duration
	// PingTimeout is how long the answer may take while nothing else arrives either;
	// then the conn is closed. The time in which nobody reads from the conn does not
	// count. Default: 20 s.
	PingTimeout time.Duration
	// HandshakeTimeout bounds, for an accepted conn, the TLS handshake, then the
	// request, and then the wait for Accept, each. Listeners of NewListener have only the
	// last of them; the others are their server's. Dial is bounded by its context.
	// Default: 5 s.
	HandshakeTimeout time.Duration
	// MaxHandshakes is how many conns of Listen and Serve may be without a WebSocket
	// yet; beyond it another one is closed. Default: 1024. Negative: no bound.
	MaxHandshakes int
	// MaxHandshakesPerIP is the same for one address that is not of TrustedProxies.
	// Default: 64. Negative: no bound.
	MaxHandshakesPerIP int
	// Header is sent by Dial with its request. Default: none.
	Header http.Header
	// Logger gets a warning for each request that is refused, but for no more than 100 in
	// a second. Default: none is logged.
	Logger *slog.Logger
}

const (
	defaultSubprotocol        = "teleport"
	defaultReadLimit          = 16 << 20
	defaultPingInterval       = 30 * time.Second
	defaultPingTimeout        = 20 * time.Second
	defaultHandshakeTimeout   = 5 * time.Second
	defaultMaxHandshakes      = 1024
	defaultMaxHandshakesPerIP = 64
)

// settings are a Config that is checked and complete. 0 is off.
type settings struct {
	Config
	accept  websocket.AcceptOptions
	proxies proxies
	pace    lines.Pace // of the Logger
}

// complete returns the settings, or an error that names the field.
func (c *Config) complete() (*settings, error) {
	s := new(settings)
	if c != nil {
		s.Config = *c
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	if s.proxies, err = parseProxies(s.TrustedProxies); err != nil {
		return nil, err
	}
	fill(&s.ReadLimit, defaultReadLimit)
	fill(&s.PingInterval, defaultPingInterval)
	fill(&s.PingTimeout, defaultPingTimeout)
	fill(&s.HandshakeTimeout, defaultHandshakeTimeout)
	fill(&s.MaxHandshakes, defaultMaxHandshakes)
	fill(&s.MaxHandshakesPerIP, defaultMaxHandshakesPerIP)
	if s.ReadLimit == 0 {
		s.ReadLimit = -1 // what coder/websocket calls none
	}
	if s.Path == "" {
		s.Path = "/"
	}
	if s.Subprotocols == nil {
		s.Subprotocols = []string{defaultSubprotocol}
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.Header = s.Header.Clone()
	s.Subprotocols = append([]string(nil), s.Subprotocols...)
	s.accept = websocket.AcceptOptions{
		Subprotocols:   s.Subprotocols,
		OriginPatterns: append([]string(nil), s.Origins...),
	}
	return s, nil
}

// check tells what cannot work, by the field's name.
func (s *settings) check() error {
	if s.Path != "" && !strings.HasPrefix(s.Path, "/") || strings.ContainsAny(s.Path, "?#") {
		return fmt.Errorf("websocket: Config.Path = %q: it begins with / and has neither query nor fragment", s.Path)
	}
	for i, name := range s.Subprotocols {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
			return fmt.Errorf("websocket: Config.Subprotocols[%d] = %q is no token of HTTP", i, name)
		}
	}
	for i, pattern := range s.Origins {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("websocket: Config.Origins[%d] = %q is no pattern of path.Match", i, pattern)
		}
	}
	if s.PingTimeout < 0 {
		return fmt.Errorf("websocket: Config.PingTimeout = %v: it cannot be negative; without pings PingInterval is negative", s.PingTimeout)
	}
	if s.HandshakeTimeout < 0 {
		return fmt.Errorf("websocket: Config.HandshakeTimeout = %v: it cannot be negative", s.HandshakeTimeout)
	}
	return nil
}

// fill puts the default in the place of 0, and 0, for off, in that of a negative number.
func fill[T ~int | ~int64](field *T, standard T) {
	switch {
	case *field == 0:
		*field = standard
	case *field < 0:
		*field = 0
	}
}

// isToken reports whether a character may stand in a token of HTTP (RFC 9110, 5.6.2).
func isToken(r rune) bool {
	return r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// maxLogged is how many bytes of a text from outside are logged.
const maxLogged = 200

// warn logs a request that is refused, unless there were too many in this second.
func (s *settings) warn(text string, args ...any) {
	ok, leftOut := s.pace.Next()
	if !ok {
		return
	}
	if leftOut > 0 {
		s.Logger.Warn("websocket: requests that were refused were left out here", "count", leftOut)
	}
	s.Logger.Warn(text, args...)
}

// errorLog returns where an http.Server writes.
func (s *settings) errorLog() *log.Logger { return log.New(serverLog{s}, "", 0) }

// serverLog takes what an http.Server logs, a line at a time.
type serverLog struct{ set *settings }

func (l serverLog) Write(b []byte) (int, error) {
	l.set.warn(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}
