package tp

import (
	"fmt"
	"reflect"
	"strings"
)

// doubtfulHooks tells what looks like a hook of p and is none. A method that
// is misspelt, or of another signature, is silently no hook.
func doubtfulHooks(p Plugin) (doubts []string) {
	container, typ := reflect.TypeFor[PluginContainer](), reflect.TypeOf(p)
	hooks := 0
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if !strings.HasPrefix(m.Name, "Pre") && !strings.HasPrefix(m.Name, "Post") {
			continue
		}
		hook, known := container.MethodByName(m.Name)
		switch {
		case known && sameSignature(m.Type, hook.Type):
			hooks++
		case known:
			doubts = append(doubts, fmt.Sprintf("its method %s is no hook, since a hook of that name is a %s", m.Name, hook.Type))
		case takesHookContext(m.Type):
			doubts = append(doubts, fmt.Sprintf("its method %s looks like a hook, and there is none of that name", m.Name))
		}
	}
	if hooks == 0 && len(doubts) == 0 {
		doubts = append(doubts, "it has none of the hooks")
	}
	return doubts
}

// sameSignature compares a method, with its receiver, to one of an interface.
func sameSignature(method, hook reflect.Type) bool {
	return method.NumIn() == 2 && method.NumOut() == 1 && method.In(1) == hook.In(0) && method.Out(0) == hook.Out(0)
}

func takesHookContext(method reflect.Type) bool {
	if method.NumIn() != 2 {
		return false
	}
	switch method.In(1) {
	case reflect.TypeFor[ReadCtx](), reflect.TypeFor[WriteCtx](), reflect.TypeFor[PreSession](), reflect.TypeFor[PostSession](), reflect.TypeFor[*Handler](), reflect.TypeFor[PeerCtx](), reflect.TypeFor[ExchangeCtx]():
		return true
	}
	return false
}

// peerOnlyHooks names the hooks of p that fire before routing or without a
// route, so that they have no effect on a group or handler.
func peerOnlyHooks(p Plugin) []string {
	h := sortHooks([]Plugin{p})
	var names []string
	for _, hook := range []struct {
		name string
		n    int
	}{
		{"PostListen", len(h.postListen)},
		{"PreShutdown", len(h.preShutdown)},
		{"PostDial", len(h.postDial)},
		{"PostAccept", len(h.postAccept)},
		{"PreWritePull", len(h.preWritePull)},
		{"PostWritePull", len(h.postWritePull)},
		{"PreWritePush", len(h.preWritePush)},
		{"PostWritePush", len(h.postWritePush)},
		{"PreReadHeader", len(h.preReadHeader)},
		{"PostReadPullHeader", len(h.postReadPullHeader)},
		{"PostReadPushHeader", len(h.postReadPushHeader)},
		{"PostReadReplyHeader", len(h.postReadReplyHeader)},
		{"PreReadReplyBody", len(h.preReadReplyBody)},
		{"PostReadReplyBody", len(h.postReadReplyBody)},
		{"PostExchange", len(h.postExchange)},
		{"PostDisconnect", len(h.postDisconnect)},
	} {
		if hook.n > 0 {
			names = append(names, hook.name)
		}
	}
	return names
}
