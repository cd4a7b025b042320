package main

import tp "github.com/henrylee2cn/teleport"

// Plugins with hooks that do nothing: what is measured is that they are called.

func serverPlugins() (plugins []tp.Plugin) {
	for _, name := range pluginNames {
		plugins = append(plugins, serverPlugin{name})
	}
	return plugins
}

func clientPlugins() (plugins []tp.Plugin) {
	for _, name := range pluginNames {
		plugins = append(plugins, clientPlugin{name})
	}
	return plugins
}

var pluginNames = []string{"first", "second", "third"}

type serverPlugin struct{ name string }

var (
	_ tp.PostReadPullHeaderPlugin = serverPlugin{}
	_ tp.PostReadPullBodyPlugin   = serverPlugin{}
	_ tp.PreWriteReplyPlugin      = serverPlugin{}
	_ tp.PostWriteReplyPlugin     = serverPlugin{}
)

func (p serverPlugin) Name() string                           { return p.name }
func (serverPlugin) PostReadPullHeader(tp.ReadCtx) *tp.Rerror { return nil }
func (serverPlugin) PostReadPullBody(tp.ReadCtx) *tp.Rerror   { return nil }
func (serverPlugin) PreWriteReply(tp.WriteCtx) *tp.Rerror     { return nil }
func (serverPlugin) PostWriteReply(tp.WriteCtx) *tp.Rerror    { return nil }

type clientPlugin struct{ name string }

var (
	_ tp.PreWritePullPlugin        = clientPlugin{}
	_ tp.PostWritePullPlugin       = clientPlugin{}
	_ tp.PostReadReplyHeaderPlugin = clientPlugin{}
	_ tp.PostReadReplyBodyPlugin   = clientPlugin{}
)

func (p clientPlugin) Name() string                            { return p.name }
func (clientPlugin) PreWritePull(tp.WriteCtx) *tp.Rerror       { return nil }
func (clientPlugin) PostWritePull(tp.WriteCtx) *tp.Rerror      { return nil }
func (clientPlugin) PostReadReplyHeader(tp.ReadCtx) *tp.Rerror { return nil }
func (clientPlugin) PostReadReplyBody(tp.ReadCtx) *tp.Rerror   { return nil }
