package tp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/henrylee2cn/teleport/codec"
)

// PeerConfig is the configuration of a Peer. The zero value works. NewPeer
// copies it: changing it later has no effect.
//
// Durations are read from YAML, INI and JSON as "5m", "500ms" and the like.
// Zero means the default that the field names; negative means off. In INI a
// negative duration is written as a number, -1: the usual parser, ini.v1,
// ignores one with a unit.
type PeerConfig struct {
	// TlsCertFile and TlsKeyFile are PEM files. With them every listener
	// speaks TLS, and Dial does too and shows the certificate when asked.
	// Listen and the first Dial return an error when a TLS file is bad. At later
	// handshakes all TLS files are read again, once a second at most: what has
	// changed is used from then on, and what is bad then is logged, once for
	// each change, and the content before goes on being used. Sessions that
	// exist are not touched. For anything else see Peer.SetTLSConfig. Default:
	// plain TCP.
	TlsCertFile string `yaml:"tls_cert_file" json:"tls_cert_file" ini:"tls_cert_file" comment:"TLS certificate file path"`
	// TlsKeyFile goes with TlsCertFile.
	TlsKeyFile string `yaml:"tls_key_file" json:"tls_key_file" ini:"tls_key_file" comment:"TLS key file path"`
	// DefaultReadTimeout bounds the silence between two packets of any type
	// that a session receives; then it ends. Default: none.
	DefaultReadTimeout time.Duration `yaml:"default_read_timeout" json:"default_read_timeout" ini:"default_read_timeout" comment:"Default maximum silence between two received packets; ns,µs,ms,s,m,h"`
	// DefaultWriteTimeout bounds how long the kernel may take for 64 KiB,
	// after which the session ends, and the wait for room in the outgoing
	// queue, after which the caller gets an error. Default: 10 s.
	DefaultWriteTimeout time.Duration `yaml:"default_write_timeout" json:"default_write_timeout" ini:"default_write_timeout" comment:"Default maximum duration for writing; ns,µs,ms,s,m,h"`
	// SlowCometDuration is the time beyond which an exchange is logged as a
	// warning. Default: off.
	SlowCometDuration time.Duration `yaml:"slow_comet_duration" json:"slow_comet_duration" ini:"slow_comet_duration" comment:"Slow operation alarm threshold; ns,µs,ms,s ..."`
	// DefaultBodyCodec is the name of the codec of pulls and pushes that are
	// sent without one. Default: that of SetGlobalBodyCodec, json.
	DefaultBodyCodec string `yaml:"default_body_codec" json:"default_body_codec" ini:"default_body_codec" comment:"Default body codec name"`
	// PrintBody logs status, header and body of each exchange, the body cut at
	// 4 KiB. Default: no.
	PrintBody bool `yaml:"print_body" json:"print_body" ini:"print_body" comment:"Is print body or not"`
	// CountTime logs a line with its cost for each exchange. Default: no.
	CountTime bool `yaml:"count_time" json:"count_time" ini:"count_time" comment:"Is count cost time or not"`
	// DefaultDialTimeout bounds Dial, the TLS handshake and the PostDial hooks
	// included. Default: 10 s.
	DefaultDialTimeout time.Duration `yaml:"default_dial_timeout" json:"default_dial_timeout" ini:"default_dial_timeout" comment:"Default maximum duration for dialing; for client role; ns,µs,ms,s,m,h"`
	// ListenAddrs are the addresses of Listen: "host:port" or "tcp://host:port", with
	// TLS if the peer has it; "tls://host:port", which is an error if it has none;
	// "unix:///run/x.sock" and "mem://name", for programs of this machine and for this
	// process, without TLS in any case; or of a scheme that an imported package
	// has registered with package transport.
	//
	// On Unix, a socket file that nobody listens on any more is replaced; any other file
	// in its place is an error. Closing the peer removes it. Who may connect is a
	// matter of its directory's permissions and the umask.
	ListenAddrs []string `yaml:"listen_addrs" json:"listen_addrs" ini:"listen_addrs" comment:"Listen addresses; for server role"`

	// TlsClientCaFile is a PEM file of the authorities whose clients are let
	// in: listeners require a certificate that chains to one of them. It goes
	// with TlsCertFile. With TLS 1.3 a client has dialled before it is refused:
	// its session ends, and its first pull fails. Default:
	// clients are not asked for certificates.
	TlsClientCaFile string `yaml:"tls_client_ca_file" json:"tls_client_ca_file" ini:"tls_client_ca_file" comment:"File path of the CA certificates that clients must chain to; for server role"`
	// TlsRootCaFile is a PEM file of the authorities that Dial trusts, in place
	// of the system's. With it Dial speaks TLS, also without TlsCertFile; then
	// the peer cannot listen. Default: the system's.
	TlsRootCaFile string `yaml:"tls_root_ca_file" json:"tls_root_ca_file" ini:"tls_root_ca_file" comment:"File path of the CA certificates that dialing trusts; for client role"`
	// DefaultPullTimeout bounds a pull, beside the context of WithContext.
	// Default: none; a pull ends with its connection at the latest.
	DefaultPullTimeout time.Duration `yaml:"default_pull_timeout" json:"default_pull_timeout" ini:"default_pull_timeout" comment:"Default maximum duration of a pull; ns,µs,ms,s,m,h"`
	// CloseTimeout bounds the drain of a session that is closed, and
	// Peer.Close. Default: 10 s. Negative: no drain, closed at once.
	CloseTimeout time.Duration `yaml:"close_timeout" json:"close_timeout" ini:"close_timeout" comment:"Maximum duration of the drain when closing; ns,µs,ms,s,m,h"`
	// FrameTimeout bounds the arrival of a packet once it has begun; then the
	// session ends. Default: 30 s.
	FrameTimeout time.Duration `yaml:"frame_timeout" json:"frame_timeout" ini:"frame_timeout" comment:"Maximum duration for one packet to arrive; ns,µs,ms,s,m,h"`
	// AcceptTimeout bounds the TLS handshake, what a ConnOpener waits for, and the
	// PostAccept hooks of an accepted connection together; then it is closed.
	// Default: 5 s.
	AcceptTimeout time.Duration `yaml:"accept_timeout" json:"accept_timeout" ini:"accept_timeout" comment:"Maximum duration of the TLS handshake and of the PostAccept plugins; ns,µs,ms,s,m,h"`
	// MaxOpening is how many connections may be accepted and not let in yet, as
	// long as the TLS handshake or PostAccept is under way; the first 250 ms of one
	// do not count. Beyond it the oldest one is closed. Default: 1024. Negative: no bound.
	MaxOpening int `yaml:"max_opening" json:"max_opening" ini:"max_opening" comment:"Maximum accepted connections that are not let in yet"`
	// MaxOpeningPerIP is the same for one address, such as that of a proxy: beyond
	// it another one is closed. Default: 64. Negative: no bound.
	MaxOpeningPerIP int `yaml:"max_opening_per_ip" json:"max_opening_per_ip" ini:"max_opening_per_ip" comment:"Maximum accepted connections of one address that are not let in yet"`
	// KeepAliveInterval is after how much silence of the other side it is asked
	// for a sign of life, with a PING. It is 5 s at least: a PING that comes more
	// often is refused. The other side must know PING, as this library does, and
	// teleport v3 did not; for all TCP conns see also socket.SetKeepAlive.
	// Default: 30 s. Negative: no keep-alive.
	KeepAliveInterval time.Duration `yaml:"keep_alive_interval" json:"keep_alive_interval" ini:"keep_alive_interval" comment:"Silence after which a sign of life is asked for; ns,µs,ms,s,m,h"`
	// KeepAliveTimeout is how much longer the silence may last then; then the
	// connection is closed. Default: 20 s.
	KeepAliveTimeout time.Duration `yaml:"keep_alive_timeout" json:"keep_alive_timeout" ini:"keep_alive_timeout" comment:"How long to wait for the sign of life; ns,µs,ms,s,m,h"`
	// PacketSizeLimit is the greatest packet in bytes, read and written.
	// Default: that of SetReadLimit, 16 MiB.
	PacketSizeLimit uint32 `yaml:"packet_size_limit" json:"packet_size_limit" ini:"packet_size_limit" comment:"Maximum size of a packet in bytes"`
	// UriSizeLimit is the greatest URI in bytes, with its query, read and
	// written. A longer one is refused before it is sent; a pull that arrives
	// with one is answered 400 and not executed, a push is dropped and logged,
	// and a reply fails its pull with 400; the session goes on. Default: 1 KiB.
	// Negative: only PacketSizeLimit bounds it.
	UriSizeLimit int `yaml:"uri_size_limit" json:"uri_size_limit" ini:"uri_size_limit" comment:"Maximum size of a URI in bytes"`
	// MetaSizeLimit is the same for the meta data, as it is encoded on the wire
	// and with what the library adds to it. A reply whose meta data is too long
	// becomes a 500. Default: 16 KiB. At least 1 KiB, which errors need.
	// Negative: only PacketSizeLimit bounds it.
	MetaSizeLimit int `yaml:"meta_size_limit" json:"meta_size_limit" ini:"meta_size_limit" comment:"Maximum size of encoded meta data in bytes"`
	// AllowedFilters are the ids of the transfer filters that packets may go
	// through, read and written, each as one character, like "g" for gzip, or
	// as a number of several digits, like "200" or "0x05". One packet goes
	// through xfer.MaxFilters at most. One that was received with another
	// filter ends the session, one to be sent is refused. Default: every filter
	// that is registered. "none", alone: no filter.
	AllowedFilters []string `yaml:"allowed_filters" json:"allowed_filters" ini:"allowed_filters" comment:"Ids of the transfer filters that may be used; none: no filter"`
	// MaxSessionHandlers is how many handlers may run or wait in line for one
	// session; beyond it pulls are answered 503. Default: 4096. Negative: no
	// bound.
	MaxSessionHandlers int `yaml:"max_session_handlers" json:"max_session_handlers" ini:"max_session_handlers" comment:"Maximum running handlers of a session"`
	// MaxHandlers is the same for all sessions of the peer together. Default:
	// 65536. Negative: no bound.
	MaxHandlers int `yaml:"max_handlers" json:"max_handlers" ini:"max_handlers" comment:"Maximum running handlers of the peer"`
	// MaxSessionHandlerBytes is how many bytes of bodies the exchanges that run or
	// wait for one session may hold, as they are after their filters; beyond it pulls
	// are answered 503, and concurrent pushes wait in line. Bodies below 4 KiB do not
	// count, and one that is alone is always taken. Default: 256 MiB. Negative: no
	// bound.
	MaxSessionHandlerBytes int `yaml:"max_session_handler_bytes" json:"max_session_handler_bytes" ini:"max_session_handler_bytes" comment:"Maximum bytes of bodies that the running handlers of a session hold"`
	// MaxHandlerBytes is the same for all sessions of the peer together. Default:
	// 1 GiB. Negative: no bound.
	MaxHandlerBytes int `yaml:"max_handler_bytes" json:"max_handler_bytes" ini:"max_handler_bytes" comment:"Maximum bytes of bodies that the running handlers of the peer hold"`
	// MaxPacketRate is how many packets the other side of a session may send in one
	// second, of whatever types; beyond it the session ends. Default: no bound.
	MaxPacketRate int `yaml:"max_packet_rate" json:"max_packet_rate" ini:"max_packet_rate" comment:"Maximum packets that a session may receive in a second"`
	// WriteQueueLimit is how many bytes may wait to be written on a session
	// before its writers have to wait. Default: 1 MiB.
	WriteQueueLimit int `yaml:"write_queue_limit" json:"write_queue_limit" ini:"write_queue_limit" comment:"Bytes that may wait to be written on a session"`
	// SlowPolicy is what becomes of a push when WriteQueueLimit is reached, since
	// the other side does not read: SlowWait, SlowDrop or SlowClose. Pulls and
	// replies wait in any case. Default: SlowWait.
	SlowPolicy SlowPolicy `yaml:"slow_policy" json:"slow_policy" ini:"slow_policy" comment:"What to do with a push when the outgoing queue is full: wait, drop or close"`
	// PushQueueLimit is how many bytes of memory the pushes and ordered pulls of
	// a session may take while they wait for their handlers, 512 for each beside
	// its content, before the session reads no further. While one of its own
	// pulls waits for a reply, or when the other side has left, it reads on, up
	// to four times as much, and then ends. Default: 4 MiB.
	PushQueueLimit int `yaml:"push_queue_limit" json:"push_queue_limit" ini:"push_queue_limit" comment:"Bytes of received pushes that may wait for their handlers"`
	// ConcurrentPush handles the pushes of a session side by side, as teleport
	// v3 did, and not one after the other. Default: no.
	ConcurrentPush bool `yaml:"concurrent_push" json:"concurrent_push" ini:"concurrent_push" comment:"Handle the pushes of a session concurrently"`
	// RedialTimes makes the sessions of Dial outlive their connection: when it is
	// lost, or the other side goes away, the session dials the address again, this
	// often in a row at most; negative is for ever. The pauses between attempts
	// grow from 200 ms to 30 s. Until there is a connection, pulls wait within
	// their own deadline, and pushes within DefaultWriteTimeout. The id and
	// Public stay; the PostDial hooks run again. Pulls that were under way on a
	// connection that is lost fail with CodeConnClosed, but for those with
	// WithIdempotent. Default: 0, a session ends with its connection.
	RedialTimes int `yaml:"redial_times" json:"redial_times" ini:"redial_times" comment:"How often in a row to dial again when a connection is lost; negative: for ever"`
	// OnRedial is called after each attempt of a session to dial again, in the
	// goroutine that dials: nil says that the session has a connection again, which
	// may be lost, and dialled again, while OnRedial still runs. A pull in it after
	// an attempt that failed waits for itself, at most until its deadline.
	// Default: none.
	OnRedial func(sess Session, rerr *Rerror) `yaml:"-" json:"-" ini:"-"`
	// Logger is the peer's own. Default: that of SetLogger.
	Logger Logger `yaml:"-" json:"-" ini:"-"`
}

// SlowPolicy says how pushes treat a session whose other side does not read.
type SlowPolicy string

const (
	// SlowWait makes a push wait for room in the outgoing queue, at most
	// PeerConfig.DefaultWriteTimeout and the push's context; then it fails with
	// CodeWriteFailed. It is the zero value.
	SlowWait SlowPolicy = ""
	// SlowDrop drops the push at once: it fails with CodeWriteFailed.
	SlowDrop SlowPolicy = "drop"
	// SlowClose drops the push and closes the session, also for one of a broadcast.
	SlowClose SlowPolicy = "close"
)

// Defaults of PeerConfig.
const (
	defaultWriteTimeout       = 10 * time.Second
	defaultDialTimeout        = 10 * time.Second
	defaultCloseTimeout       = 10 * time.Second
	defaultFrameTimeout       = 30 * time.Second
	defaultAcceptTimeout      = 5 * time.Second
	defaultUriSizeLimit       = 1 << 10
	defaultMetaSizeLimit      = 16 << 10
	defaultMaxSessionHandlers = 4096
	defaultMaxHandlers        = 65536

	defaultMaxSessionHandlerBytes = 256 << 20
	defaultMaxHandlerBytes        = 1 << 30
	defaultWriteQueueLimit        = 1 << 20
	defaultPushQueueLimit         = 4 << 20
	// pushQueueStretch is how far a session with a pull under way may go
	// beyond PushQueueLimit.
	pushQueueStretch = 4
)

// Validate tells what in the configuration cannot work, by the field's name.
func (c *PeerConfig) Validate() error {
	if c == nil {
		return fmt.Errorf("tp: the config is nil: pass &tp.PeerConfig{} for the defaults")
	}
	if (c.TlsCertFile == "") != (c.TlsKeyFile == "") {
		return fmt.Errorf("tp: PeerConfig.TlsCertFile and TlsKeyFile go together: set both or none")
	}
	if c.TlsClientCaFile != "" && c.TlsCertFile == "" {
		return fmt.Errorf("tp: PeerConfig.TlsClientCaFile needs TlsCertFile and TlsKeyFile: only a listener with TLS asks clients for certificates")
	}
	if _, err := c.bodyCodec(); err != nil {
		return fmt.Errorf("tp: PeerConfig.DefaultBodyCodec: %w", err)
	}
	for i, addr := range c.ListenAddrs {
		if err := checkListenAddr(addr); err != nil {
			return fmt.Errorf("tp: PeerConfig.ListenAddrs[%d] = %q %w", i, addr, err)
		}
	}
	if c.KeepAliveInterval > 0 && c.KeepAliveInterval < pingPause*time.Second {
		return fmt.Errorf("tp: PeerConfig.KeepAliveInterval = %v: the other side refuses more than one PING in %d s", c.KeepAliveInterval, pingPause)
	}
	switch c.SlowPolicy {
	case SlowWait, "wait", SlowDrop, SlowClose:
	default:
		return fmt.Errorf("tp: PeerConfig.SlowPolicy = %q: it is wait, drop or close", c.SlowPolicy)
	}
	if c.WriteQueueLimit < 0 {
		return fmt.Errorf("tp: PeerConfig.WriteQueueLimit = %d: it cannot be negative", c.WriteQueueLimit)
	}
	if c.PushQueueLimit < 0 {
		return fmt.Errorf("tp: PeerConfig.PushQueueLimit = %d: it cannot be negative", c.PushQueueLimit)
	}
	if c.MetaSizeLimit > 0 && c.MetaSizeLimit < leastMetaSizeLimit {
		return fmt.Errorf("tp: PeerConfig.MetaSizeLimit = %d: it must be at least %d, or errors find no room", c.MetaSizeLimit, leastMetaSizeLimit)
	}
	if _, err := parseFilters(c.AllowedFilters); err != nil {
		return fmt.Errorf("tp: PeerConfig.AllowedFilters%w", err)
	}
	return nil
}

// bodyCodec returns the id of the codec that DefaultBodyCodec names, or 0 for
// that of the process. The id of a name never changes: see codec.Reg.
func (c *PeerConfig) bodyCodec() (byte, error) {
	if c.DefaultBodyCodec == codec.NilCodecName {
		return codec.NilCodecId, nil
	}
	named, err := codec.GetByName(c.DefaultBodyCodec)
	if err != nil {
		return codec.NilCodecId, err
	}
	return named.Id(), nil
}

// withDefaults returns a copy with every default filled in, and 0 for off.
func (c PeerConfig) withDefaults() PeerConfig {
	c.ListenAddrs = append([]string(nil), c.ListenAddrs...)
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&c.DefaultReadTimeout, 0},
		{&c.DefaultWriteTimeout, defaultWriteTimeout},
		{&c.SlowCometDuration, 0},
		{&c.DefaultDialTimeout, defaultDialTimeout},
		{&c.DefaultPullTimeout, 0},
		{&c.CloseTimeout, defaultCloseTimeout},
		{&c.FrameTimeout, defaultFrameTimeout},
		{&c.AcceptTimeout, defaultAcceptTimeout},
		{&c.KeepAliveInterval, defaultKeepAliveInterval},
		{&c.KeepAliveTimeout, defaultKeepAliveTimeout},
	} {
		*d.field = orDefault(*d.field, d.standard)
	}
	c.AllowedFilters = append([]string(nil), c.AllowedFilters...)
	c.UriSizeLimit = orDefault(c.UriSizeLimit, defaultUriSizeLimit)
	c.MetaSizeLimit = orDefault(c.MetaSizeLimit, defaultMetaSizeLimit)
	c.MaxSessionHandlers = orDefault(c.MaxSessionHandlers, defaultMaxSessionHandlers)
	c.MaxSessionHandlerBytes = orDefault(c.MaxSessionHandlerBytes, defaultMaxSessionHandlerBytes)
	c.MaxHandlerBytes = orDefault(c.MaxHandlerBytes, defaultMaxHandlerBytes)
	c.MaxHandlers = orDefault(c.MaxHandlers, defaultMaxHandlers)
	if c.SlowPolicy == "wait" {
		c.SlowPolicy = SlowWait
	}
	c.MaxOpening = orDefault(c.MaxOpening, defaultMaxOpening)
	c.MaxOpeningPerIP = orDefault(c.MaxOpeningPerIP, defaultMaxOpeningPerIP)
	c.WriteQueueLimit = orDefault(c.WriteQueueLimit, defaultWriteQueueLimit)
	c.PushQueueLimit = orDefault(c.PushQueueLimit, defaultPushQueueLimit)
	return c
}

// orDefault maps zero to the default and negative, which is off, to zero.
func orDefault[T time.Duration | int](v, standard T) T {
	if v == 0 {
		return standard
	}
	return max(v, 0)
}

// jsonDuration is written as "5m0s" and read as that or as nanoseconds.
type jsonDuration time.Duration

// MarshalJSON writes the duration as time.Duration.String does.
func (d jsonDuration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads what time.ParseDuration reads, or nanoseconds.
func (d *jsonDuration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return json.Unmarshal(b, (*int64)(d))
	}
	parsed, err := time.ParseDuration(text)
	*d = jsonDuration(parsed)
	return err
}

type plainConfig PeerConfig // without the methods

// configJSON shadows the durations of PeerConfig.
type configJSON struct {
	*plainConfig
	DefaultReadTimeout  *jsonDuration `json:"default_read_timeout"`
	DefaultWriteTimeout *jsonDuration `json:"default_write_timeout"`
	SlowCometDuration   *jsonDuration `json:"slow_comet_duration"`
	DefaultDialTimeout  *jsonDuration `json:"default_dial_timeout"`
	DefaultPullTimeout  *jsonDuration `json:"default_pull_timeout"`
	CloseTimeout        *jsonDuration `json:"close_timeout"`
	FrameTimeout        *jsonDuration `json:"frame_timeout"`
	AcceptTimeout       *jsonDuration `json:"accept_timeout"`
	KeepAliveInterval   *jsonDuration `json:"keep_alive_interval"`
	KeepAliveTimeout    *jsonDuration `json:"keep_alive_timeout"`
}

func (c *PeerConfig) forJSON() *configJSON {
	return &configJSON{
		plainConfig:         (*plainConfig)(c),
		DefaultReadTimeout:  (*jsonDuration)(&c.DefaultReadTimeout),
		DefaultWriteTimeout: (*jsonDuration)(&c.DefaultWriteTimeout),
		SlowCometDuration:   (*jsonDuration)(&c.SlowCometDuration),
		DefaultDialTimeout:  (*jsonDuration)(&c.DefaultDialTimeout),
		DefaultPullTimeout:  (*jsonDuration)(&c.DefaultPullTimeout),
		CloseTimeout:        (*jsonDuration)(&c.CloseTimeout),
		FrameTimeout:        (*jsonDuration)(&c.FrameTimeout),
		AcceptTimeout:       (*jsonDuration)(&c.AcceptTimeout),
		KeepAliveInterval:   (*jsonDuration)(&c.KeepAliveInterval),
		KeepAliveTimeout:    (*jsonDuration)(&c.KeepAliveTimeout),
	}
}

// MarshalJSON writes durations as "5m0s".
func (c PeerConfig) MarshalJSON() ([]byte, error) { return json.Marshal(c.forJSON()) }

// UnmarshalJSON reads durations as "5m" or as nanoseconds. Fields that the
// JSON does not name keep their values.
func (c *PeerConfig) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, c.forJSON()) }
