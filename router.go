package tp

import (
	"fmt"
	"path"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/internal/uri"
)

// Router finds the handler of a pull or push by the path of its URI. A peer
// has two, for pulls and for pushes. It is safe for concurrent use, also
// while the peer serves. The zero value does not work: use NewPeer.
//
// A handler's path is that of its group, as it was given, then the name of its
// controller and of its method in snake case: method Test of struct Home in
// group "group" is "/group/home/test". A run of capitals is one word, with what
// follows it: GetUserByID is get_user_by_id, HTTPPing is httpping. A function
// has the name that it was given. The path that a pull or push names is matched
// exactly, as it reads after decoding %XX. A wrong registration panics and says
// what to change.
type Router struct {
	routes  *routes
	isPull  bool
	prefix  string // "/" or "/group"
	mode    DispatchMode
	usual   DispatchMode // what DispatchDefault stands for
	plugins *pluginChain
	log     func() Logger
}

func newRouter(p *Peer, isPull bool) *Router {
	mode := p.defaultMode(isPull)
	return &Router{routes: new(routes), isPull: isPull, prefix: "/", mode: mode, usual: mode, plugins: p.plugins, log: p.log}
}

// Group returns a router below r. The plugins join the chains of its handlers.
func (r *Router) Group(pathPrefix string, plugin ...Plugin) *Router {
	child := *r
	child.prefix = r.join(pathPrefix)
	child.plugins = r.chain("Group "+child.prefix, plugin)
	return &child
}

// Dispatch returns the same router, which runs the handlers that are
// registered through it in the given mode:
//
//	peer.PullRouter.Dispatch(tp.DispatchInline).Reg(new(Counter))
func (r *Router) Dispatch(mode DispatchMode) *Router {
	if mode > DispatchInline {
		panic(fmt.Sprintf("tp: Router.Dispatch: mode %d does not exist: use DispatchConcurrent, DispatchOrdered, DispatchInline or DispatchDefault", mode))
	}
	child := *r
	child.mode = mode
	if mode == DispatchDefault {
		child.mode = r.usual
	}
	return &child
}

// Reg registers the methods of a controller: a pointer to a struct that embeds
// tp.PullCtx (or tp.PushCtx in a router of pushes), directly or through
// another embedded struct. Every other exported method must be a handler:
//
//	func (c *Home) Test(args *A) (R, *tp.Rerror) // of pulls
//	func (c *Msg) Test(args *A)                  // of pushes
//
// Each exchange is served by a copy of the struct as it was registered, with
// its context set. Fields that are to be shared must be pointers.
func (r *Router) Reg(ctrlStruct interface{}, plugin ...Plugin) {
	r.make(makeControllerHandlers(r.isPull), "", ctrlStruct, plugin)
}

// RegFunc registers a function as name, below the router's path:
//
//	func(ctx tp.PullCtx, args *A) (R, *tp.Rerror) // of pulls
//	func(ctx tp.PushCtx, args *A)                 // of pushes
func (r *Router) RegFunc(name string, fn interface{}, plugin ...Plugin) {
	r.make(makeFuncHandler(r.isPull), name, fn, plugin)
}

// SetUnknown sets the handler of the paths at and below the router's that no
// other handler serves; that of the longest matching group wins. It is one of
//
//	func(tp.UnknownPullCtx) (interface{}, *tp.Rerror)
//	func(tp.UnknownPullCtx, *[]byte) (interface{}, *tp.Rerror)
//	func(tp.UnknownPushCtx)
//	func(tp.UnknownPushCtx, *[]byte)
//
// The bytes are the encoded body and belong to the handler. Setting it again
// replaces it.
func (r *Router) SetUnknown(unknownHandler interface{}, plugin ...Plugin) {
	r.make(makeUnknownHandler(r.isPull), "", unknownHandler, plugin)
}

// HandlersMaker makes the handlers of what is registered below a path.
type HandlersMaker func(string, interface{}, PluginContainer) ([]*Handler, error)

func (r *Router) make(maker HandlersMaker, name string, what interface{}, plugin []Plugin) {
	at := r.prefix
	if name != "" {
		at = r.join(name)
	}
	chain := r.chain("handlers of "+at, plugin)
	handlers, err := maker(at, what, chain)
	if err != nil {
		panic("tp: cannot register at " + at + ": " + err.Error())
	}
	r.register(handlers, chain)
}

// register adds handlers that are complete but for what the router knows.
func (r *Router) register(handlers []*Handler, chain *pluginChain) {
	for _, h := range handlers {
		h.isPull, h.mode, h.plugins = r.isPull, r.mode, chain
		if rerr := chain.PostReg(h); rerr != nil {
			panic(fmt.Sprintf("tp: a plugin refuses handler %s: %v", h.name, rerr))
		}
	}
	if err := r.routes.add(handlers); err != nil {
		panic("tp: " + err.Error())
	}
}

// chain returns the router's chain with plugins added, and warns of hooks
// that will not fire there.
func (r *Router) chain(where string, plugins []Plugin) *pluginChain {
	chain, err := r.plugins.extend(plugins)
	if err != nil {
		panic(err.Error())
	}
	for _, p := range plugins {
		if names := peerOnlyHooks(p); len(names) > 0 {
			r.log().Warnf("plugin %s is given to %s, where its hooks %s cannot fire: they come before routing or without a route; give it to NewPeer",
				p.Name(), where, strings.Join(names, ", "))
		}
	}
	return chain
}

// join returns the path of name below the router's.
func (r *Router) join(name string) string {
	if strings.ContainsAny(name, "?#") {
		panic(fmt.Sprintf("tp: path %q: a path has no query or fragment", name))
	}
	return path.Join(r.prefix, name)
}

// Handlers returns what is registered, in the whole tree, sorted by name.
func (r *Router) Handlers() []*Handler {
	t := r.routes.load()
	all := make([]*Handler, 0, len(t.known)+len(t.unknown))
	for _, h := range t.known {
		all = append(all, h)
	}
	for _, h := range t.unknown {
		all = append(all, h)
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].name != all[j].name {
			return all[i].name < all[j].name
		}
		return !all[i].isUnknown && all[j].isUnknown
	})
	return all
}

// route finds the handler of c. other is the router of the other kind, by
// which it can tell a wrong kind from a wrong path.
func (r *Router) route(c *handlerCtx, other *Router) (*Handler, *Rerror) {
	t := r.routes.load()
	if h := t.known[c.input.Uri()]; h != nil && h.isPlain {
		return h, nil
	}
	return r.routeParsed(t, c.input.Uri(), other)
}

// routeParsed is route for a URI that is not simply the path of a handler.
func (r *Router) routeParsed(t *routeTable, asked string, other *Router) (*Handler, *Rerror) {
	at, _, err := uri.Split(asked)
	if err != nil {
		return nil, NewRerror(CodeBadPacket, CodeText(CodeBadPacket), err.Error())
	}
	if h := t.known[at]; h != nil {
		return h, nil
	}
	if h := t.findUnknown(at); h != nil {
		return h, nil
	}
	if other.routes.load().known[at] != nil {
		kind := "pushes"
		if !r.isPull {
			kind = "pulls"
		}
		return nil, NewRerror(CodePtypeNotAllowed, CodeText(CodePtypeNotAllowed), "the handler of "+clipURI(at)+" is for "+kind)
	}
	detail := "no handler of " + clipURI(at)
	if !strings.HasPrefix(at, "/") {
		detail += ": a path begins with '/'"
	}
	return nil, NewRerror(CodeNotFound, CodeText(CodeNotFound), detail)
}

// routes is the table of a router and all its groups. Finding takes no lock;
// the first to find something after a registration copies the table.
type routes struct {
	current atomic.Pointer[routeTable] // nil after a registration

	mu     sync.Mutex // protects following
	master routeTable
}

// routeTable is not changed once it is current.
type routeTable struct {
	known   map[string]*Handler
	unknown map[string]*Handler // by the path of the group
	longest int                 // of those paths
}

func (r *routes) load() *routeTable {
	if t := r.current.Load(); t != nil {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &routeTable{
		known:   make(map[string]*Handler, len(r.master.known)),
		unknown: make(map[string]*Handler, len(r.master.unknown)),
	}
	for name, h := range r.master.known {
		t.known[name] = h
	}
	for name, h := range r.master.unknown {
		t.unknown[name] = h
		t.longest = max(t.longest, len(name))
	}
	r.current.Store(t)
	return t
}

// add registers all of the handlers or none.
func (r *routes) add(handlers []*Handler) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range handlers {
		taken := r.master.known[h.name] != nil
		for _, before := range handlers[:i] {
			taken = taken || before.name == h.name
		}
		if taken && !h.isUnknown {
			return fmt.Errorf("%s is registered twice: rename one, or put it in another group", h.name)
		}
	}
	if r.master.known == nil {
		r.master.known, r.master.unknown = make(map[string]*Handler), make(map[string]*Handler)
	}
	for _, h := range handlers {
		h.isPlain = uri.IsPlain(h.name)
		if h.isUnknown {
			r.master.unknown[h.name] = h
		} else {
			r.master.known[h.name] = h
		}
	}
	r.current.Store(nil)
	return nil
}

// findUnknown returns the unknown handler of the longest group that at is in.
func (t *routeTable) findUnknown(at string) *Handler {
	if len(t.unknown) == 0 {
		return nil
	}
	if len(at) > t.longest { // a path of a million slashes costs no more than a group's
		at = at[:t.longest+1]
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
	}
	for at != "" {
		if h := t.unknown[at]; h != nil {
			return h
		}
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
	}
	return t.unknown["/"]
}
