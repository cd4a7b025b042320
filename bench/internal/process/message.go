// Package process runs a server and a client in processes of their own. Both are of
// the program of their stack, which reads orders from its standard input and answers
// on its standard output, one line of JSON each.
package process

import (
	"github.com/henrylee2cn/teleport/bench/internal/scenario"
	"github.com/henrylee2cn/teleport/bench/internal/usage"
)

// order is what the parent says.
type order struct {
	Do       string // one of the words below
	Stack    string
	Scenario scenario.Scenario
	Addr     string // to connect to
}

const (
	doServe   = "serve"   // listen, and answer with the address
	doConnect = "connect" // connect
	doRun     = "run"     // start the load
	doBegin   = "begin"   // the window opens
	doEnd     = "end"     // the window closes: answer with what was in it
	doWeigh   = "weigh"   // answer with the memory in use
)

// answer is what a child says.
type answer struct {
	Error  string `json:",omitempty"`
	Addr   string `json:",omitempty"`
	Window window
	Memory usage.Memory
}

// window is what a child saw of the measured time. The server knows only what
// it used.
type window struct {
	Calls   int64
	Seconds float64
	Micros  [3]float64 // p50, p99, p999
	Used    usage.Rate
	RSS     int64
}
