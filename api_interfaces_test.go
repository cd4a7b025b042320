package tp_test

import (
	"net/url"
	"time"

	"github.com/henrylee2cn/goutil"
	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/socket"
)

// The interfaces of package tp of teleport v3 of December 2017: each method of
// them exists here with its signature. Those that programs implement (Logger
// and the plugins) are also no larger than they were. Session, the contexts and
// PostSession have more methods than in 2017, as doc/migration-from-v3.md says.

var (
	_ interface {
		Printf(string, ...interface{})
		Fatalf(string, ...interface{})
		Panicf(string, ...interface{})
		Criticalf(string, ...interface{})
		Errorf(string, ...interface{})
		Warnf(string, ...interface{})
		Noticef(string, ...interface{})
		Infof(string, ...interface{})
		Debugf(string, ...interface{})
		Tracef(string, ...interface{})
	} = tp.Logger(nil)

	_ tp.Logger = interface {
		Printf(string, ...interface{})
		Fatalf(string, ...interface{})
		Panicf(string, ...interface{})
		Criticalf(string, ...interface{})
		Errorf(string, ...interface{})
		Warnf(string, ...interface{})
		Noticef(string, ...interface{})
		Infof(string, ...interface{})
		Debugf(string, ...interface{})
		Tracef(string, ...interface{})
	}(nil)

	_ interface {
		Name() string
	} = tp.Plugin(nil)

	_ tp.Plugin = interface {
		Name() string
	}(nil)

	_ interface {
		Add(...tp.Plugin) error
		Remove(string) error
		GetByName(string) tp.Plugin
		GetAll() []tp.Plugin
		PostReg(*tp.Handler) *tp.Rerror
		PostDial(tp.PreSession) *tp.Rerror
		PostAccept(tp.PreSession) *tp.Rerror
		PreWritePull(tp.WriteCtx) *tp.Rerror
		PostWritePull(tp.WriteCtx) *tp.Rerror
		PreWriteReply(tp.WriteCtx) *tp.Rerror
		PostWriteReply(tp.WriteCtx) *tp.Rerror
		PreWritePush(tp.WriteCtx) *tp.Rerror
		PostWritePush(tp.WriteCtx) *tp.Rerror
		PreReadHeader(tp.ReadCtx) *tp.Rerror
		PostReadPullHeader(tp.ReadCtx) *tp.Rerror
		PreReadPullBody(tp.ReadCtx) *tp.Rerror
		PostReadPullBody(tp.ReadCtx) *tp.Rerror
		PostReadPushHeader(tp.ReadCtx) *tp.Rerror
		PreReadPushBody(tp.ReadCtx) *tp.Rerror
		PostReadPushBody(tp.ReadCtx) *tp.Rerror
		PostReadReplyHeader(tp.ReadCtx) *tp.Rerror
		PreReadReplyBody(tp.ReadCtx) *tp.Rerror
		PostReadReplyBody(tp.ReadCtx) *tp.Rerror
		PostDisconnect(tp.PostSession) *tp.Rerror
	} = tp.PluginContainer(nil)

	_ interface {
		tp.Plugin
		PostAccept(tp.PreSession) *tp.Rerror
	} = tp.PostAcceptPlugin(nil)
	_ tp.PostAcceptPlugin = interface {
		tp.Plugin
		PostAccept(tp.PreSession) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostDial(tp.PreSession) *tp.Rerror
	} = tp.PostDialPlugin(nil)
	_ tp.PostDialPlugin = interface {
		tp.Plugin
		PostDial(tp.PreSession) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostDisconnect(tp.PostSession) *tp.Rerror
	} = tp.PostDisconnectPlugin(nil)
	_ tp.PostDisconnectPlugin = interface {
		tp.Plugin
		PostDisconnect(tp.PostSession) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadPullBody(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadPullBodyPlugin(nil)
	_ tp.PostReadPullBodyPlugin = interface {
		tp.Plugin
		PostReadPullBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadPullHeader(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadPullHeaderPlugin(nil)
	_ tp.PostReadPullHeaderPlugin = interface {
		tp.Plugin
		PostReadPullHeader(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadPushBody(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadPushBodyPlugin(nil)
	_ tp.PostReadPushBodyPlugin = interface {
		tp.Plugin
		PostReadPushBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadPushHeader(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadPushHeaderPlugin(nil)
	_ tp.PostReadPushHeaderPlugin = interface {
		tp.Plugin
		PostReadPushHeader(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadReplyBody(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadReplyBodyPlugin(nil)
	_ tp.PostReadReplyBodyPlugin = interface {
		tp.Plugin
		PostReadReplyBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReadReplyHeader(tp.ReadCtx) *tp.Rerror
	} = tp.PostReadReplyHeaderPlugin(nil)
	_ tp.PostReadReplyHeaderPlugin = interface {
		tp.Plugin
		PostReadReplyHeader(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostReg(*tp.Handler) *tp.Rerror
	} = tp.PostRegPlugin(nil)
	_ tp.PostRegPlugin = interface {
		tp.Plugin
		PostReg(*tp.Handler) *tp.Rerror
	}(nil)

	_ interface {
		Id() string
		Peer() *tp.Peer
		RemoteIp() string
		LocalIp() string
		Public() goutil.Map
		PublicLen() int
	} = tp.PostSession(nil)

	_ interface {
		tp.Plugin
		PostWritePull(tp.WriteCtx) *tp.Rerror
	} = tp.PostWritePullPlugin(nil)
	_ tp.PostWritePullPlugin = interface {
		tp.Plugin
		PostWritePull(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostWritePush(tp.WriteCtx) *tp.Rerror
	} = tp.PostWritePushPlugin(nil)
	_ tp.PostWritePushPlugin = interface {
		tp.Plugin
		PostWritePush(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PostWriteReply(tp.WriteCtx) *tp.Rerror
	} = tp.PostWriteReplyPlugin(nil)
	_ tp.PostWriteReplyPlugin = interface {
		tp.Plugin
		PostWriteReply(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreReadHeader(tp.ReadCtx) *tp.Rerror
	} = tp.PreReadHeaderPlugin(nil)
	_ tp.PreReadHeaderPlugin = interface {
		tp.Plugin
		PreReadHeader(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreReadPullBody(tp.ReadCtx) *tp.Rerror
	} = tp.PreReadPullBodyPlugin(nil)
	_ tp.PreReadPullBodyPlugin = interface {
		tp.Plugin
		PreReadPullBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreReadPushBody(tp.ReadCtx) *tp.Rerror
	} = tp.PreReadPushBodyPlugin(nil)
	_ tp.PreReadPushBodyPlugin = interface {
		tp.Plugin
		PreReadPushBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreReadReplyBody(tp.ReadCtx) *tp.Rerror
	} = tp.PreReadReplyBodyPlugin(nil)
	_ tp.PreReadReplyBodyPlugin = interface {
		tp.Plugin
		PreReadReplyBody(tp.ReadCtx) *tp.Rerror
	}(nil)

	_ interface {
		SetId(string)
		Close() error
		Id() string
		IsOk() bool
		Peer() *tp.Peer
		RemoteIp() string
		LocalIp() string
		SetReadTimeout(time.Duration)
		SetWriteTimeout(time.Duration)
		Public() goutil.Map
		PublicLen() int
		Send(*socket.Packet) error
		Receive(*socket.Packet) error
	} = tp.PreSession(nil)

	_ interface {
		tp.Plugin
		PreWritePull(tp.WriteCtx) *tp.Rerror
	} = tp.PreWritePullPlugin(nil)
	_ tp.PreWritePullPlugin = interface {
		tp.Plugin
		PreWritePull(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreWritePush(tp.WriteCtx) *tp.Rerror
	} = tp.PreWritePushPlugin(nil)
	_ tp.PreWritePushPlugin = interface {
		tp.Plugin
		PreWritePush(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.Plugin
		PreWriteReply(tp.WriteCtx) *tp.Rerror
	} = tp.PreWriteReplyPlugin(nil)
	_ tp.PreWriteReplyPlugin = interface {
		tp.Plugin
		PreWriteReply(tp.WriteCtx) *tp.Rerror
	}(nil)

	_ interface {
		tp.PushCtx
		SetBodyCodec(byte)
		SetMeta(string, string)
		AddXferPipe(...byte)
	} = tp.PullCtx(nil)

	_ interface {
		Seq() uint64
		GetBodyCodec() byte
		GetMeta(string) []byte
		Uri() string
		Path() string
		RawQuery() string
		Query() url.Values
		Public() goutil.Map
		PublicLen() int
		Ip() string
		Peer() *tp.Peer
		Session() tp.Session
	} = tp.PushCtx(nil)

	_ interface {
		Input() *socket.Packet
		Public() goutil.Map
		PublicLen() int
		Ip() string
		Peer() *tp.Peer
		Session() tp.Session
	} = tp.ReadCtx(nil)

	_ interface {
		SetId(string)
		Close() error
		Id() string
		IsOk() bool
		Peer() *tp.Peer
		GoPull(string, interface{}, interface{}, chan *tp.PullCmd, ...socket.PacketSetting)
		Pull(string, interface{}, interface{}, ...socket.PacketSetting) *tp.PullCmd
		Push(string, interface{}, ...socket.PacketSetting) *tp.Rerror
		ReadTimeout() time.Duration
		RemoteIp() string
		LocalIp() string
		SetReadTimeout(time.Duration)
		SetWriteTimeout(time.Duration)
		WriteTimeout() time.Duration
		Public() goutil.Map
		PublicLen() int
	} = tp.Session(nil)

	_ interface {
		tp.UnknownPushCtx
		AddXferPipe(...byte)
	} = tp.UnknownPullCtx(nil)

	_ interface {
		tp.PushCtx
		InputBodyBytes() []byte
		Bind(interface{}) (byte, error)
	} = tp.UnknownPushCtx(nil)

	_ interface {
		Output() *socket.Packet
		Public() goutil.Map
		PublicLen() int
		Ip() string
		Peer() *tp.Peer
		Session() tp.Session
	} = tp.WriteCtx(nil)
)
