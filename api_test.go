package tp_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/henrylee2cn/goutil"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// The exported names of package tp of teleport v3 of December 2017, with the
// signatures that they had: what compiled with it compiles here. Those marked
// "differs" have a line in doc/migration-from-v3.md. The interfaces are in
// api_interfaces_test.go, the other packages in api_leaves_test.go.

// Functions.
var (
	_ func(string, ...interface{})                    = tp.Criticalf
	_ func(string, ...interface{})                    = tp.Debugf
	_ func(string, ...interface{})                    = tp.Errorf
	_ func(string, ...interface{})                    = tp.Fatalf
	_ func(func()) bool                               = tp.Go
	_ func()                                          = tp.GraceSignal
	_ func(string, ...interface{})                    = tp.Infof
	_ func(*tp.PeerConfig, ...tp.Plugin) *tp.Peer     = tp.NewPeer
	_ func(*utils.Args) *tp.Rerror                    = tp.NewRerrorFromMeta
	_ func(string, ...interface{})                    = tp.Noticef
	_ func(string, ...interface{})                    = tp.Panicf
	_ func(string, ...interface{})                    = tp.Printf
	_ func(...time.Duration)                          = tp.Reboot
	_ func(byte)                                      = tp.SetGlobalBodyCodec
	_ func(int, time.Duration)                        = tp.SetGopool
	_ func(tp.Logger)                                 = tp.SetLogger
	_ func(string)                                    = tp.SetRawlogLevel
	_ func(time.Duration, func() error, func() error) = tp.SetShutdown
	_ func(...time.Duration)                          = tp.Shutdown
	_ func(string, ...interface{})                    = tp.Tracef
	_ func(byte) string                               = tp.TypeText
	_ func(string, ...interface{})                    = tp.Warnf
)

// Methods.
var (
	_ func(*tp.PullCmd) time.Duration                                                       = (*tp.PullCmd).CostTime
	_ func(*tp.PullCmd) string                                                              = (*tp.PullCmd).Ip
	_ func(*tp.PullCmd) *socket.Packet                                                      = (*tp.PullCmd).Output
	_ func(*tp.PullCmd) *tp.Peer                                                            = (*tp.PullCmd).Peer
	_ func(*tp.PullCmd) goutil.Map                                                          = (*tp.PullCmd).Public
	_ func(*tp.PullCmd) int                                                                 = (*tp.PullCmd).PublicLen
	_ func(*tp.PullCmd) *tp.Rerror                                                          = (*tp.PullCmd).Rerror
	_ func(*tp.PullCmd) (interface{}, *tp.Rerror)                                           = (*tp.PullCmd).Result
	_ func(*tp.PullCmd) tp.Session                                                          = (*tp.PullCmd).Session
	_ func(*tp.Handler) reflect.Type                                                        = (*tp.Handler).ArgElemType
	_ func(*tp.Handler) bool                                                                = (*tp.Handler).IsPull
	_ func(*tp.Handler) bool                                                                = (*tp.Handler).IsPush
	_ func(*tp.Handler) string                                                              = (*tp.Handler).Name
	_ func(*tp.Handler) reflect.Type                                                        = (*tp.Handler).ReplyType
	_ func(*tp.Peer) error                                                                  = (*tp.Peer).Close
	_ func(*tp.Peer) int                                                                    = (*tp.Peer).CountSession
	_ func(*tp.Peer, string, ...socket.ProtoFunc) (tp.Session, *tp.Rerror)                  = (*tp.Peer).Dial
	_ func(*tp.Peer, context.Context, string, ...socket.ProtoFunc) (tp.Session, *tp.Rerror) = (*tp.Peer).DialContext
	_ func(*tp.Peer, string) (tp.Session, bool)                                             = (*tp.Peer).GetSession
	_ func(*tp.Peer, ...socket.ProtoFunc) error                                             = (*tp.Peer).Listen
	_ func(*tp.Peer, func(sess tp.Session) bool)                                            = (*tp.Peer).RangeSession
	_ func(*tp.Peer, net.Conn, ...socket.ProtoFunc) tp.Session                              = (*tp.Peer).ServeConn
	_ func(*tp.Rerror) ([]byte, error)                                                      = (*tp.Rerror).MarshalJSON
	_ func(*tp.Rerror, *utils.Args)                                                         = (*tp.Rerror).SetToMeta
	_ func(*tp.Rerror) string                                                               = (*tp.Rerror).String
	_ func(*tp.Rerror, []byte) error                                                        = (*tp.Rerror).UnmarshalJSON
	_ func(*tp.Router, string, ...tp.Plugin) *tp.Router                                     = (*tp.Router).Group
	_ func(*tp.Router, interface{}, ...tp.Plugin)                                           = (*tp.Router).Reg
	_ func(*tp.Router, interface{}, ...tp.Plugin)                                           = (*tp.Router).SetUnknown
	_ func(tp.Rerror) *tp.Rerror                                                            = tp.Rerror.Copy
)

// Differs: the detail may be left out or be several.
var (
	_ func(int32, string, ...string) *tp.Rerror = tp.NewRerror
	_ *tp.Rerror                                = tp.NewRerror(1000, "message", "detail")
)

// Differs: these were variables that held functions.
var (
	_ func() socket.ProtoFunc                      = tp.DefaultProtoFunc
	_ func(socket.ProtoFunc)                       = tp.SetDefaultProtoFunc
	_ func(...socket.PacketSetting) *socket.Packet = tp.GetPacket
	_ func(*socket.Packet)                         = tp.PutPacket
	_ func() uint32                                = tp.GetReadLimit
	_ func(uint32)                                 = tp.SetReadLimit
	_ func(int)                                    = tp.SetTCPReadBuffer
	_ func(int)                                    = tp.SetTCPWriteBuffer
)

// Variables.
var (
	_ error         = tp.ErrConnClosed
	_ error         = tp.ErrListenClosed
	_ *func() error = &tp.FirstSweep
	_ *func() error = &tp.BeforeExiting
)

// Types.
var (
	_ tp.HandlersMaker = func(string, interface{}, tp.PluginContainer) ([]*tp.Handler, error) { return nil, nil }
	_ *tp.Router       = new(tp.Peer).PullRouter
	_ *tp.Router       = new(tp.Peer).PushRouter
	_                  = tp.Rerror{Code: int32(1), Message: "", Detail: ""}
	_                  = tp.Rerror{int32(1), "", ""}
	_                  = tp.PeerConfig{
		TlsCertFile:         "",
		TlsKeyFile:          "",
		DefaultReadTimeout:  time.Duration(0),
		DefaultWriteTimeout: time.Duration(0),
		SlowCometDuration:   time.Duration(0),
		DefaultBodyCodec:    "",
		PrintBody:           false,
		CountTime:           false,
		DefaultDialTimeout:  time.Duration(0),
		ListenAddrs:         []string(nil),
	}
)

// Constants: the codes have no type, the packet types are bytes.
var (
	_ = map[int16]bool{
		tp.CodeConnClosed: true, tp.CodeWriteFailed: true, tp.CodeDialFailed: true,
		tp.CodeBadPacket: true, tp.CodeNotFound: true, tp.CodeNotImplemented: true,
	}
	_ = map[byte]bool{tp.TypeUndefined: true, tp.TypePull: true, tp.TypeReply: true, tp.TypePush: true}
)

func TestConstantsOf2017(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want interface{}
	}{
		{"CodeConnClosed", tp.CodeConnClosed, 102},
		{"CodeWriteFailed", tp.CodeWriteFailed, 104},
		{"CodeDialFailed", tp.CodeDialFailed, 105},
		{"CodeBadPacket", tp.CodeBadPacket, 400},
		{"CodeNotFound", tp.CodeNotFound, 404},
		{"CodeNotImplemented", tp.CodeNotImplemented, 501},
		{"MetaRerrorKey", tp.MetaRerrorKey, "X-Reply-Error"},
		{"TypeUndefined", tp.TypeUndefined, byte(0)},
		{"TypePull", tp.TypePull, byte(1)},
		{"TypeReply", tp.TypeReply, byte(2)},
		{"TypePush", tp.TypePush, byte(3)},
		{"codec.ID_JSON", codec.ID_JSON, 'j'},
		{"codec.ID_PROTOBUF", codec.ID_PROTOBUF, 'p'},
		{"codec.ID_STRING", codec.ID_STRING, 's'},
		{"codec.NAME_JSON", codec.NAME_JSON, "json"},
		{"codec.NAME_PROTOBUF", codec.NAME_PROTOBUF, "protobuf"},
		{"codec.NAME_STRING", codec.NAME_STRING, "string"},
		{"codec.NilCodecId", codec.NilCodecId, byte(0)},
		{"codec.NilCodecName", codec.NilCodecName, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v (%T), want %v (%T)", c.name, c.got, c.got, c.want, c.want)
		}
	}
}

// The names by which configuration files set the fields.
func TestConfigTagsOf2017(t *testing.T) {
	typ := reflect.TypeFor[tp.PeerConfig]()
	for field, name := range map[string]string{
		"TlsCertFile":         "tls_cert_file",
		"TlsKeyFile":          "tls_key_file",
		"DefaultReadTimeout":  "default_read_timeout",
		"DefaultWriteTimeout": "default_write_timeout",
		"SlowCometDuration":   "slow_comet_duration",
		"DefaultBodyCodec":    "default_body_codec",
		"PrintBody":           "print_body",
		"CountTime":           "count_time",
		"DefaultDialTimeout":  "default_dial_timeout",
		"ListenAddrs":         "listen_addrs",
	} {
		f, ok := typ.FieldByName(field)
		if !ok {
			t.Errorf("PeerConfig has no field %s", field)
			continue
		}
		if f.Tag.Get("yaml") != name || f.Tag.Get("ini") != name || f.Tag.Get("comment") == "" {
			t.Errorf("PeerConfig.%s has the tag %q, want yaml and ini %q and a comment", field, f.Tag, name)
		}
	}
}

// Programs compare the errors with ==, and newer ones with errors.Is.
func TestErrorsOf2017(t *testing.T) {
	for _, err := range []error{tp.ErrConnClosed, tp.ErrListenClosed, socket.ErrProactivelyCloseSocket} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v is no net.ErrClosed", err)
		}
	}
}
