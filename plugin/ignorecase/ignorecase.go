// Package ignorecase is a plugin with which paths match handlers in any case.
//
//	peer := tp.NewPeer(cfg, ignorecase.New())
//	tp.RegPull(peer.PullRouter, "getUser", getUser)
//
// Then "/getUser", "/getuser" and "/GETUSER" are served by it, with any query, which
// stays as it is. A path that matches a handler exactly goes there. What no handler has
// in any case goes to the handler of unknown paths with the longest group that matches
// in any case, or is not found.
//
// Give it to NewPeer, before anything is registered: it learns the paths as they are
// registered. Two paths that differ only in case are refused then, as long as both are
// of pulls or both of pushes. Letters are compared in lower case as Unicode has it.
//
// Hooks after this one, and handlers, see the path as it was registered; a reply repeats
// the URI as it came. Give it after plugins that rewrite URIs, such as plugin/alias: it
// knows only the paths of handlers.
package ignorecase

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/internal/uri"
)

// Plugin rewrites URIs before they are routed. It belongs to one peer.
type Plugin struct {
	pulls, pushes paths
}

var (
	_ tp.PostRegPlugin            = new(Plugin)
	_ tp.PostReadPullHeaderPlugin = new(Plugin)
	_ tp.PostReadPushHeaderPlugin = new(Plugin)
)

// New returns a Plugin for one peer.
func New() *Plugin { return new(Plugin) }

// Name returns "ignorecase".
func (*Plugin) Name() string { return "ignorecase" }

// PostReg learns the path of a handler.
func (p *Plugin) PostReg(h *tp.Handler) *tp.Rerror {
	paths := &p.pushes
	if h.IsPull() {
		paths = &p.pulls
	}
	return paths.add(h.Name(), h.IsUnknown())
}

// PostReadPullHeader rewrites the URI of a pull.
func (p *Plugin) PostReadPullHeader(ctx tp.ReadCtx) *tp.Rerror { return p.pulls.rewrite(ctx) }

// PostReadPushHeader rewrites the URI of a push.
func (p *Plugin) PostReadPushHeader(ctx tp.ReadCtx) *tp.Rerror { return p.pushes.rewrite(ctx) }

// paths are those of the handlers of one kind.
type paths struct {
	mu      sync.Mutex // of add
	current atomic.Pointer[table]
}

// table has paths as they were registered, by what they are in lower case. It is not
// changed once it is current.
type table struct {
	known, groups map[string]string
}

func (p *paths) add(path string, isGroup bool) *tp.Rerror {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.load()
	known, groups := old.known, old.groups
	which := &known
	if isGroup {
		which = &groups
	}
	lower := strings.ToLower(path)
	if taken, ok := (*which)[lower]; ok && taken != path {
		return tp.NewRerror(tp.CodeInternalServerError, "ignorecase",
			fmt.Sprintf("%s and %s differ only in case: rename one", taken, path))
	}
	added := make(map[string]string, len(*which)+1)
	for key, value := range *which {
		added[key] = value
	}
	added[lower] = path
	*which = added
	p.current.Store(&table{known, groups})
	return nil
}

func (p *paths) load() *table {
	if t := p.current.Load(); t != nil {
		return t
	}
	return new(table)
}

func (p *paths) rewrite(ctx tp.ReadCtx) *tp.Rerror {
	in := ctx.Input()
	path, query, err := uri.Split(in.Uri())
	if err != nil { // the router says why
		return nil
	}
	if match := p.load().match(path); match != path {
		in.SetUri(uri.Join(match, query))
	}
	return nil
}

// match returns the path by which the router finds its handler.
func (t *table) match(path string) string {
	lower := strings.ToLower(path)
	if known, ok := t.known[lower]; ok {
		return known
	}
	if len(t.groups) == 0 || len(lower) != len(path) { // a letter has another length in lower case
		return path
	}
	for end := len(lower); end > 0; end = strings.LastIndexByte(lower[:end], '/') {
		if group, ok := t.groups[lower[:end]]; ok && len(group) == end {
			return group + path[end:]
		}
	}
	return path
}
