package tp

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// pluginChain is the PluginContainer. Its hooks are sorted once, when the
// chain changes, so that an exchange only ranges over slices.
type pluginChain struct {
	parent *pluginChain
	log    func() Logger

	mu       *sync.Mutex // of the whole tree; protects following
	own      []Plugin
	children []*pluginChain

	sorted atomic.Pointer[hooks]
}

var _ PluginContainer = new(pluginChain)

// hooks are the plugins of a chain, by what they implement.
type hooks struct {
	all                 []Plugin
	postReg             []PostRegPlugin
	postListen          []PostListenPlugin
	preShutdown         []PreShutdownPlugin
	postDial            []PostDialPlugin
	postAccept          []PostAcceptPlugin
	preWritePull        []PreWritePullPlugin
	postWritePull       []PostWritePullPlugin
	preWriteReply       []PreWriteReplyPlugin
	postWriteReply      []PostWriteReplyPlugin
	preWritePush        []PreWritePushPlugin
	postWritePush       []PostWritePushPlugin
	preReadHeader       []PreReadHeaderPlugin
	postReadPullHeader  []PostReadPullHeaderPlugin
	preReadPullBody     []PreReadPullBodyPlugin
	postReadPullBody    []PostReadPullBodyPlugin
	postReadPushHeader  []PostReadPushHeaderPlugin
	preReadPushBody     []PreReadPushBodyPlugin
	postReadPushBody    []PostReadPushBodyPlugin
	postReadReplyHeader []PostReadReplyHeaderPlugin
	preReadReplyBody    []PreReadReplyBodyPlugin
	postReadReplyBody   []PostReadReplyBodyPlugin
	postExchange        []PostExchangePlugin
	postDisconnect      []PostDisconnectPlugin
}

func sortHooks(all []Plugin) *hooks {
	h := &hooks{all: all}
	for _, p := range all {
		appendHook(&h.postReg, p)
		appendHook(&h.postListen, p)
		appendHook(&h.preShutdown, p)
		appendHook(&h.postDial, p)
		appendHook(&h.postAccept, p)
		appendHook(&h.preWritePull, p)
		appendHook(&h.postWritePull, p)
		appendHook(&h.preWriteReply, p)
		appendHook(&h.postWriteReply, p)
		appendHook(&h.preWritePush, p)
		appendHook(&h.postWritePush, p)
		appendHook(&h.preReadHeader, p)
		appendHook(&h.postReadPullHeader, p)
		appendHook(&h.preReadPullBody, p)
		appendHook(&h.postReadPullBody, p)
		appendHook(&h.postReadPushHeader, p)
		appendHook(&h.preReadPushBody, p)
		appendHook(&h.postReadPushBody, p)
		appendHook(&h.postReadReplyHeader, p)
		appendHook(&h.preReadReplyBody, p)
		appendHook(&h.postReadReplyBody, p)
		appendHook(&h.postExchange, p)
		appendHook(&h.postDisconnect, p)
	}
	return h
}

func appendHook[H Plugin](list *[]H, p Plugin) {
	if h, ok := p.(H); ok {
		*list = append(*list, h)
	}
}

// newPluginChain returns the root of a tree: the chain of a peer.
func newPluginChain(log func() Logger) *pluginChain {
	c := &pluginChain{log: log, mu: new(sync.Mutex)}
	c.sorted.Store(new(hooks))
	return c
}

// extend returns a chain below c, for a group or handler. It is one of its own
// also without plugins, so that adding to it later does not add to c.
func (c *pluginChain) extend(plugins []Plugin) (*pluginChain, error) {
	child := &pluginChain{parent: c, log: c.log, mu: c.mu}
	c.mu.Lock()
	defer c.mu.Unlock()
	child.sorted.Store(c.sorted.Load())
	if err := child.add(plugins); err != nil {
		return nil, err
	}
	c.children = append(c.children, child)
	return child, nil
}

// Add appends plugins.
func (c *pluginChain) Add(plugins ...Plugin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(plugins)
}

// add is Add. mu is held.
func (c *pluginChain) add(plugins []Plugin) error {
	if len(plugins) == 0 {
		return nil
	}
	taken := make(map[string]bool)
	for up := c; up != nil; up = up.parent {
		for _, p := range up.own {
			taken[p.Name()] = true
		}
	}
	c.namesBelow(taken)
	for _, p := range plugins {
		if p == nil {
			return fmt.Errorf("tp: a plugin is nil")
		}
		name := p.Name()
		if name == "" {
			return fmt.Errorf("tp: plugin %T has an empty name", p)
		}
		if taken[name] {
			return fmt.Errorf("tp: plugin %q (%T) stands twice in one chain: give it another name, or register it once", name, p)
		}
		taken[name] = true
	}
	c.own = append(c.own[:len(c.own):len(c.own)], plugins...)
	c.sort()
	for _, p := range plugins {
		for _, doubt := range doubtfulHooks(p) {
			c.log().Warnf("plugin %s (%T): %s", p.Name(), p, doubt)
		}
	}
	return nil
}

func (c *pluginChain) namesBelow(names map[string]bool) {
	for _, child := range c.children {
		for _, p := range child.own {
			names[p.Name()] = true
		}
		child.namesBelow(names)
	}
}

// sort renews the hooks of c and of all below. mu is held.
func (c *pluginChain) sort() {
	var all []Plugin
	if c.parent != nil {
		all = append(all, c.parent.sorted.Load().all...)
	}
	c.sorted.Store(sortHooks(append(all, c.own...)))
	for _, child := range c.children {
		child.sort()
	}
}

// Remove removes a plugin that was added here.
func (c *pluginChain) Remove(pluginName string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.own {
		if p.Name() == pluginName {
			own := append([]Plugin(nil), c.own[:i]...)
			c.own = append(own, c.own[i+1:]...)
			c.sort()
			return nil
		}
	}
	return fmt.Errorf("tp: no plugin %q was added here", pluginName)
}

// GetByName returns the plugin of the chain with the name, or nil.
func (c *pluginChain) GetByName(pluginName string) Plugin {
	for _, p := range c.sorted.Load().all {
		if p.Name() == pluginName {
			return p
		}
	}
	return nil
}

// GetAll returns the plugins of the chain.
func (c *pluginChain) GetAll() []Plugin {
	return append([]Plugin(nil), c.sorted.Load().all...)
}

// writesLaunch reports whether any hook sees a pull or push before it is sent.
func (c *pluginChain) writesLaunch() bool {
	h := c.sorted.Load()
	return len(h.preWritePull) > 0 || len(h.preWritePush) > 0
}

// readsHeaders reports whether any hook sees a packet before it is read.
func (c *pluginChain) readsHeaders() bool { return len(c.sorted.Load().preReadHeader) > 0 }

// readsPullHeaders reports whether any hook sees a pull before it is given to a worker.
func (c *pluginChain) readsPullHeaders() bool { return len(c.sorted.Load().postReadPullHeader) > 0 }

// seesPushes reports whether any hook sees the pushes of this side.
func (c *pluginChain) seesPushes() bool {
	h := c.sorted.Load()
	return len(h.preWritePush)+len(h.postWritePush) > 0
}

// seesReplies reports whether any hook sees the replies of this side.
func (c *pluginChain) seesReplies() bool {
	h := c.sorted.Load()
	return len(h.preWriteReply)+len(h.postWriteReply)+len(h.postExchange) > 0
}

// seesPulls reports whether any hook sees the pulls of this side.
func (c *pluginChain) seesPulls() bool {
	h := c.sorted.Load()
	return len(h.preWritePull)+len(h.postWritePull)+len(h.postReadReplyHeader)+
		len(h.preReadReplyBody)+len(h.postReadReplyBody)+len(h.postExchange) > 0
}

// runHooks calls a hook of each plugin until one vetoes or panics.
func runHooks[H Plugin, C any](c *pluginChain, list []H, ctx C, name string, hook func(H, C) *Rerror) (rerr *Rerror) {
	if len(list) == 0 {
		return nil
	}
	i := 0
	defer func() {
		if r := recover(); r != nil {
			plugin := list[i].Name()
			c.log().Errorf("plugin %s: %s panicked: %v\n%s", plugin, name, r, debug.Stack())
			rerr = NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), "plugin "+plugin+" failed in "+name)
		}
	}()
	for ; i < len(list); i++ {
		if rerr = hook(list[i], ctx); rerr != nil {
			return rerr
		}
	}
	return nil
}

// tellHooks is runHooks for what is over anyway: it calls the hook of each plugin,
// whatever became of those before it, and returns the first veto.
func tellHooks[H Plugin, C any](c *pluginChain, list []H, ctx C, name string, hook func(H, C) *Rerror) (first *Rerror) {
	for i := range list {
		if rerr := runHooks(c, list[i:i+1], ctx, name, hook); first == nil {
			first = rerr
		}
	}
	return first
}
