// Package alias is a plugin that serves paths by the handlers of others: old ones, after
// a handler was renamed.
//
//	aliases := alias.New(map[string]string{"/user/get": "/v3/user/get_user"})
//	peer := tp.NewPeer(cfg, aliases)
//
// Aliases may be changed while the peer serves:
//
//	err := aliases.Set("/user/find", "/v3/user/search")
//
// They hold for pulls and for pushes. The path must match exactly, as those of handlers
// must; the query stays. One that has a handler itself is served by the other one all the
// same. What is below a path is not replaced with it, and the path that takes the place of
// another is not looked up again, so that there are no circles.
//
// Give the plugin to NewPeer. Hooks that come after it, and handlers, see the path of the
// handler; a reply repeats the URI as it came.
package alias

import (
	"fmt"
	"maps"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/uri"
)

// Plugin rewrites URIs before they are routed. It is safe for concurrent use, and
// several peers may have it.
type Plugin struct {
	mu      sync.Mutex // of who changes it
	current atomic.Pointer[map[string]string]
}

var (
	_ tp.PostReadPullHeaderPlugin = new(Plugin)
	_ tp.PostReadPushHeaderPlugin = new(Plugin)
)

// New returns a Plugin with aliases, from the path that is called to that of the
// handler. It panics if Replace would return an error.
func New(aliases map[string]string) *Plugin {
	p := new(Plugin)
	if err := p.Replace(aliases); err != nil {
		panic(err.Error())
	}
	return p
}

// Name returns "alias".
func (*Plugin) Name() string { return "alias" }

// Set makes the handler of path "to" serve path "from" too. The error tells which of the
// two is no path: one begins with "/", and has no query, no fragment and no "//" or "..".
// Nobody checks whether "to" has a handler, which may be registered later.
func (p *Plugin) Set(from, to string) error {
	if err := check(from, to); err != nil {
		return err
	}
	p.change(func(aliases map[string]string) { aliases[from] = to })
	return nil
}

// Delete deletes the alias from, if there is one.
func (p *Plugin) Delete(from string) {
	p.change(func(aliases map[string]string) { delete(aliases, from) })
}

// Replace makes aliases, which it copies, all that there are, at one moment. On an
// error, see Set, nothing changes.
func (p *Plugin) Replace(aliases map[string]string) error {
	for from, to := range aliases {
		if err := check(from, to); err != nil {
			return err
		}
	}
	p.change(func(all map[string]string) {
		clear(all)
		maps.Copy(all, aliases)
	})
	return nil
}

// All returns a copy of the aliases.
func (p *Plugin) All() map[string]string { return maps.Clone(p.load()) }

func check(from, to string) error {
	for _, at := range []string{from, to} {
		if !strings.HasPrefix(at, "/") || strings.ContainsAny(at, "?#") || path.Clean(at) != at {
			return fmt.Errorf("alias: %q for %q: %q is no path of a handler", from, to, at)
		}
	}
	return nil
}

func (p *Plugin) load() map[string]string {
	if aliases := p.current.Load(); aliases != nil {
		return *aliases
	}
	return map[string]string{}
}

// change changes a copy, since the current ones are being read.
func (p *Plugin) change(fn func(aliases map[string]string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	aliases := maps.Clone(p.load())
	fn(aliases)
	p.current.Store(&aliases)
}

// PostReadPullHeader rewrites the URI of a pull.
func (p *Plugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror { return p.rewrite(ctx) }

// PostReadPushHeader rewrites the URI of a push.
func (p *Plugin) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror { return p.rewrite(ctx) }

func (p *Plugin) rewrite(ctx tp.ReadCtx) *tp.Rerror {
	in := ctx.Input()
	from, query, err := uri.Split(in.Uri())
	if err != nil { // the router says why
		return nil
	}
	if to, ok := p.load()[from]; ok {
		in.SetUri(uri.Join(to, query))
	}
	return nil
}
